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
  // `images`: files that both ends have, by digest, in an order that is the same at both.
  Carrying(migrate::Encoding& encoding, Role role, std::string tenant, std::string peer,
           std::vector<std::string> images);

  // Both directions of one connection, until both have ended or one has failed. `local` is QEMU, or libvirt, of this
  // host.
  [[nodiscard]] sys::Task<Result<>> carry(Channel channel, std::unique_ptr<sys::Stream> local,
                                          std::unique_ptr<sys::Stream> wan);
  [[nodiscard]] std::string_view encoding() const { return encoding_; }
  [[nodiscard]] const std::vector<std::string>& images() const { return images_; }
  // Of QEMU's data, at the sending end.
  [[nodiscard]] wire::WanBytes wan_bytes() const { return transfer_->wan_bytes(); }
  [[nodiscard]] wire::Savings savings() const { return transfer_->savings(); }

 private:
  std::string_view encoding_;
  std::vector<std::string> images_;
  std::unique_ptr<migrate::Transfer> transfer_;
};

}  // namespace godwit::tunnel
