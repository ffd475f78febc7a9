// What QEMU says on a connection that a test carries from one host's encoding to another's, and what came of it.
#pragma once

#include "migrate/encoding.h"
#include "support/pages.h"
#include "support/pipes.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

namespace godwit::testing {

// As QEMU's mirror writes a disk: pages that are new, equal to others, changed a little, or zeros; numbered from
// `base`.
inline ByteVector disk_stream(std::uint64_t seed, std::uint64_t requests, std::uint64_t base = 0) {
  std::mt19937_64 random(seed);
  ByteVector out;
  append_be32(out, 3);
  for (std::uint64_t request = 0; request < requests; ++request) {
    const auto pages = 1 + random() % 16;
    append_be32(out, 0x25609513);
    append_be32(out, 1);  // no flags, a write
    append_be64(out, request);
    append_be64(out, random() % 500 * kPage_bytes + (random() % 20 == 0 ? 512 : 0));
    append_be32(out, static_cast<std::uint32_t>(pages * kPage_bytes));
    for (std::uint64_t i = 0; i < pages; ++i) {
      const auto page = page_of(base + random() % 200);
      const auto kind = random() % 4;
      if (kind == 0) append(out, ByteVector(kPage_bytes));
      if (kind == 1) append(out, changed(page, 3, random()));
      if (kind > 1) append(out, page);
    }
  }
  return out;
}

inline ByteVector noise(std::uint64_t seed, std::size_t size) {
  ByteVector out;
  for (std::uint64_t i = 0; out.size() < size; ++i) append(out, page_of(seed * 1000 + i));
  out.resize(size);
  return out;
}

inline sys::Task<bool> say(sys::Stream& stream, ByteView bytes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  while (!bytes.empty()) {
    const auto size = std::min<std::size_t>(bytes.size(), 1 + random() % 150'000);
    const auto written = co_await stream.write(bytes.first(size));
    if (!written) co_return false;
    bytes = bytes.subspan(size);
  }
  const auto ended = co_await stream.shutdown_write();
  co_return ended.has_value();
}

// Until the end: true where it came in order.
inline sys::Task<bool> hear(sys::Stream& stream, ByteVector& into) {
  ByteVector buffer(60'000);
  for (;;) {
    const auto size = co_await stream.read_some(buffer);
    if (!size) co_return size.error().code == Errc::closed;
    append(into, ByteView(buffer).first(*size));
  }
}

// What crosses one connection.
struct Crossing {
  migrate::Channel channel{migrate::Channel::disk};
  ByteVector forth;
  ByteVector back;
  std::uint64_t seed{0};
  Trouble wan_forth{};
  Trouble wan_back{};
};

struct Crossed {
  bool ended{false};  // both ends, and all that QEMU said and heard
  Result<> left;
  Result<> arrived;
  bool all_in_order{false};  // nobody saw anything but the end
  ByteVector forth;
  ByteVector back;
};

inline sys::Task<void> cross(sys::Executor executor, migrate::Transfer& leaving, migrate::Transfer& arriving,
                             Crossing crossing, Crossed& came) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto [qemu_here, here] = pipe(executor, crossing.seed);
  auto [wan_here, wan_there] = pipe(executor, crossing.seed + 10, crossing.wan_forth, crossing.wan_back);
  auto [there, qemu_there] = pipe(executor, crossing.seed + 20);
  auto leave = leaving.carry(crossing.channel, std::move(here), std::move(wan_here));
  auto arrive = arriving.carry(crossing.channel, std::move(there), std::move(wan_there));
  auto all = std::move(leave) && std::move(arrive) && say(*qemu_here, crossing.forth, crossing.seed) &&
             say(*qemu_there, crossing.back, crossing.seed + 1) && hear(*qemu_there, came.forth) &&
             hear(*qemu_here, came.back);
  const auto [left, arrived, said_forth, said_back, heard_forth, heard_back] = co_await std::move(all);
  came.left = left;
  came.arrived = arrived;
  came.all_in_order = said_forth && said_back && heard_forth && heard_back;
  came.ended = true;
}

}  // namespace godwit::testing
