// How bytes of QEMU cross the WAN: the seam where deduplication and compression slot in.
#pragma once

#include "migrate/channel.h"
#include "wire/migration.h"

#include <string_view>

namespace godwit::migrate {

// What one migration holds back in each direction of a connection, at most. QEMU decides when to switch over by what is
// taken from it, so whatever is taken and not yet on the wire lengthens the downtime.
inline constexpr std::size_t kHeldBack_bytes = 64UL * 1024;

// Whose content crosses, and between which hosts: what may be referred to instead of sent.
struct TransferSpec {
  std::string tenant;        // the dedup domain: nothing of another's is ever referred to
  std::string image_sha256;  // of the disk that both hosts hold beneath the instance's; empty: none
  std::string peer;          // the other host, as its certificate says
  std::string instance{};    // whose pages; empty: of one that is not known from another move
  // Whether the mirror may flush the destination's disk. No: who asks for the transfer flushes it, before the guest
  // runs there, and no round trip is spent on it.
  bool flushes_cross{false};
  std::uint8_t frames_version{1};  // at the source: what the destination speaks of docs/formats/batch.md
};

// How the connections of one migration cross the WAN, at one of its ends. Outlives every carry() of its own.
class Transfer {
 public:
  virtual ~Transfer() = default;
  // Both directions of one connection of QEMU, until both have ended or one has failed. Holds back at most
  // kHeldBack_bytes of what will stand on the wire, and nothing for longer than it needs. What comes out is what went
  // in, byte for byte, or the connection fails. `local`: QEMU, on this host.
  [[nodiscard]] virtual sys::Task<Result<>> carry(Channel channel, std::unique_ptr<sys::Stream> local,
                                                  std::unique_ptr<sys::Stream> wan) = 0;
  // At the source: what was put on the wire. At the destination: zeros.
  [[nodiscard]] virtual wire::WanBytes wan_bytes() const = 0;
  // At the source: what QEMU reports of the guest, and whether it has the turn to pause: who else leaves this host may
  // be slowed down for it.
  virtual void note(const wire::MigrationProgress& progress, bool may_pause) {
    static_cast<void>(progress);
    static_cast<void>(may_pause);
  }
  // At the source: what became of the bytes that QEMU gave. All zeros where the encoding does not look.
  [[nodiscard]] virtual wire::Savings savings() const { return {}; }
};

class Encoding {
 public:
  virtual ~Encoding() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;  // as Hello and Welcome say it
  // Whether the host has memory for one migration more. No: another encoding is the better choice.
  [[nodiscard]] virtual bool has_room() const { return true; }
  // The source's end, and the destination's. The encoding outlives both.
  [[nodiscard]] virtual std::unique_ptr<Transfer> leave(TransferSpec spec) = 0;
  [[nodiscard]] virtual std::unique_ptr<Transfer> arrive(TransferSpec spec) = 0;
};

// One that treats each connection alone, and only the direction to the destination: QEMU's return path and NBD's
// replies are short, and never wait.
class StreamEncoding : public Encoding {
 public:
  // At the source: everything from `local` to `wan`, until `local` ends; then ends `wan`'s writing. Adds to `wan_bytes`
  // what it has put on the wire.
  [[nodiscard]] virtual sys::Task<Result<>> encode(Channel channel, sys::Stream& local, sys::Stream& wan,
                                                   std::uint64_t& wan_bytes) = 0;
  // At the destination, the other way round.
  [[nodiscard]] virtual sys::Task<Result<>> decode(Channel channel, sys::Stream& wan, sys::Stream& local) = 0;

  [[nodiscard]] std::unique_ptr<Transfer> leave(TransferSpec spec) final;
  [[nodiscard]] std::unique_ptr<Transfer> arrive(TransferSpec spec) final;
};

// Bytes as they are.
class PlainEncoding final : public StreamEncoding {
 public:
  [[nodiscard]] std::string_view name() const override { return "plain"; }
  [[nodiscard]] sys::Task<Result<>> encode(Channel channel, sys::Stream& local, sys::Stream& wan,
                                           std::uint64_t& wan_bytes) override;
  [[nodiscard]] sys::Task<Result<>> decode(Channel channel, sys::Stream& wan, sys::Stream& local) override;
};

// Two directions of one connection at once; one that has failed takes the other with it. The first failure, if any.
[[nodiscard]] sys::Task<Result<>> carry_both(std::unique_ptr<sys::Stream> local, std::unique_ptr<sys::Stream> wan,
                                             sys::Task<Result<>> forth, sys::Task<Result<>> back);

}  // namespace godwit::migrate
