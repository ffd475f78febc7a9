// How the connections of one migration cross: the one place where the tunnel meets migrate's encodings.
#pragma once

#include "migrate/encoding.h"
#include "tunnel/hello.h"

#include <memory>
#include <vector>

namespace godwit::tunnel {

// Those that this end can use, best first; they outlive the tunnel.
using Encodings = std::vector<migrate::Encoding*>;

[[nodiscard]] std::vector<std::string> names(const Encodings& encodings);
// The first of `wanted` that is among `here`, or null.
[[nodiscard]] migrate::Encoding* choose(const Encodings& here, const std::vector<std::string>& wanted);

enum class Role : std::uint8_t { send = 1, receive };

// One end of one migration. Outlives every carry() of its own.
class Carrying final {
 public:
  Carrying(migrate::Encoding& encoding, Role role) : encoding_(encoding), role_(role) {}

  // Both directions of one connection of QEMU, until both have ended or one has failed. `local` is the QEMU of this
  // host.
  [[nodiscard]] sys::Task<Result<>> carry(Channel channel, std::unique_ptr<sys::Stream> local,
                                          std::unique_ptr<sys::Stream> wan);
  [[nodiscard]] std::string_view encoding() const { return encoding_.name(); }
  [[nodiscard]] std::uint64_t wan_bytes() const { return wan_bytes_; }  // of QEMU's data, at the sending end

 private:
  migrate::Encoding& encoding_;
  Role role_;
  std::uint64_t wan_bytes_{0};
};

}  // namespace godwit::tunnel
