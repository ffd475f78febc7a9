#include "overlay/pcapng.h"

#include <algorithm>

namespace godwit::overlay::pcapng {
namespace {

enum class Block : std::uint32_t { section = 0x0a0d0d0a, interface = 1, statistics = 5, packet = 6 };

constexpr std::uint16_t kEndOfOptions = 0;
constexpr std::uint16_t kComment = 1;
constexpr std::uint16_t kSectionApplication = 4;
constexpr std::uint16_t kInterfaceName = 2;
constexpr std::uint16_t kInterfaceResolution = 9;
constexpr std::uint16_t kPacketFlags = 2;
constexpr std::uint16_t kReceived = 4;
constexpr std::uint16_t kDropped = 5;

constexpr std::uint16_t kEthernet = 1;
constexpr std::byte kNanoseconds{9};                  // 10^-9 s
constexpr std::size_t kPacketBlock = 32 + 8 + 4 + 4;  // both ends, flags, end of options, head of a comment

constexpr std::size_t padded(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

void append_padded(ByteVector& out, ByteView bytes) {
  append(out, bytes);
  out.resize(out.size() + padded(bytes.size()) - bytes.size());
}

void append_option(ByteVector& out, std::uint16_t code, ByteView value) {
  append_be16(out, code);
  append_be16(out, static_cast<std::uint16_t>(value.size()));
  append_padded(out, value);
}

void append_time(ByteVector& out, std::uint64_t time_ns) {
  append_be32(out, static_cast<std::uint32_t>(time_ns >> 32U));
  append_be32(out, static_cast<std::uint32_t>(time_ns));
}

// Its length stands at both ends of a block.
class OpenBlock {
 public:
  OpenBlock(ByteVector& out, Block type) : out_(out), begin_(out.size()) {
    append_be32(out_, static_cast<std::uint32_t>(type));
    append_be32(out_, 0);
  }
  OpenBlock(const OpenBlock&) = delete;
  OpenBlock& operator=(const OpenBlock&) = delete;
  ~OpenBlock() {
    const auto size = static_cast<std::uint32_t>(out_.size() - begin_ + 4);
    append_be32(out_, size);
    store_be32(ByteSpan(out_).subspan(begin_ + 4), size);
  }

 private:
  ByteVector& out_;
  std::size_t begin_;
};

void end_options(ByteVector& out) { append_option(out, kEndOfOptions, {}); }

}  // namespace

std::size_t packet_bound(const Packet& packet) {
  return kPacketBlock + padded(std::min(packet.bytes.size(), packet.snap_bytes)) + padded(packet.comment.size());
}

void append_section(ByteVector& out, std::string_view application) {
  const OpenBlock block(out, Block::section);
  append_be32(out, 0x1a2b3c4d);
  append_be16(out, 1);  // version 1.0
  append_be16(out, 0);
  append_be64(out, ~std::uint64_t{0});  // its length is not known
  append_option(out, kSectionApplication, as_bytes(application));
  end_options(out);
}

void append_interface(ByteVector& out, std::string_view name, std::uint32_t snap_bytes) {
  const OpenBlock block(out, Block::interface);
  append_be16(out, kEthernet);
  append_be16(out, 0);
  append_be32(out, snap_bytes);
  append_option(out, kInterfaceName, as_bytes(name));
  append_option(out, kInterfaceResolution, ByteView(&kNanoseconds, 1));
  end_options(out);
}

void append_packet(ByteVector& out, const Packet& packet) {
  const OpenBlock block(out, Block::packet);
  const auto kept = packet.bytes.first(std::min(packet.bytes.size(), packet.snap_bytes));
  append_be32(out, packet.interface);
  append_time(out, packet.time_ns);
  append_be32(out, static_cast<std::uint32_t>(kept.size()));
  append_be32(out, static_cast<std::uint32_t>(packet.bytes.size()));
  append_padded(out, kept);
  if (!packet.comment.empty()) append_option(out, kComment, as_bytes(packet.comment));
  append_be16(out, kPacketFlags);
  append_be16(out, 4);
  append_be32(out, static_cast<std::uint32_t>(packet.direction));
  end_options(out);
}

void append_statistics(ByteVector& out, std::uint32_t interface, std::uint64_t time_ns, std::uint64_t received,
                       std::uint64_t dropped) {
  const OpenBlock block(out, Block::statistics);
  append_be32(out, interface);
  append_time(out, time_ns);
  for (const auto& [code, value] : {std::pair{kReceived, received}, std::pair{kDropped, dropped}}) {
    append_be16(out, code);
    append_be16(out, 8);
    append_be64(out, value);
  }
  end_options(out);
}

}  // namespace godwit::overlay::pcapng
