// What the shrunk connections of a host have together: zstd's working memory, how much the rest of it may come to,
// whatever migrations run, and who of them goes first. The table of all of it: docs/decisions/shrink.md.
#pragma once

#include "base/bytes.h"
#include "migrate/budget.h"
#include "migrate/favour.h"

#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <memory>

namespace godwit::migrate {

// Each batch is encoded, and decoded, in one go: all take turns with this. One strand.
struct Scratch {
  std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> compressor{ZSTD_createCCtx(), &ZSTD_freeCCtx};
  std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> expander{ZSTD_createDCtx(), &ZSTD_freeDCtx};
  ByteVector prefix;
  ByteVector body;
  ByteVector fetched;
  ByteVector joined;
  ByteVector pressed;
};

struct MemoryLimits {
  std::size_t connections_bytes{208UL << 20U};
  std::size_t places_bytes{48UL << 20U};
  std::size_t rapports_bytes{32UL << 20U};
};

struct HostMemory {
  explicit HostMemory(MemoryLimits of = {})
      : limits(of), connections(of.connections_bytes), places(of.places_bytes), rapports(of.rapports_bytes) {}

  MemoryLimits limits;
  Budget connections;
  Budget places;
  Budget rapports;
  Scratch scratch;
  Favour favour;
};

// ---- one connection's part

inline constexpr std::size_t kMiB = 1UL << 20U;
// Of what is sent and not yet rebuilt: what a destination holds at most, and what it may always be sent.
inline constexpr std::size_t kWindowMost_bytes = 16 * kMiB;
inline constexpr std::size_t kWindowLeast_bytes = 1 * kMiB;

// At the source: what waits, what is on its way into the wire, and what is kept until the destination has it.
class SourceRoom final {
 public:
  // Nothing where not even the least is left. The memory outlives it.
  [[nodiscard]] static std::optional<SourceRoom> take(HostMemory& memory) {
    if (memory.connections.spare_bytes() >= 2 * (kFull.base + kFull.kept)) {
      if (auto share = memory.connections.admit(kFull.base + kFull.kept)) return SourceRoom(std::move(*share), kFull);
    }
    if (auto share = memory.connections.admit(kSlim.base + kSlim.kept)) return SourceRoom(std::move(*share), kSlim);
    return std::nullopt;
  }
  // Of the stream, to wait for the next batch.
  [[nodiscard]] std::size_t waiting_most() const { return size_.waiting; }
  [[nodiscard]] std::size_t read_at_once() const { return size_.waiting / 4; }
  [[nodiscard]] std::size_t stretches_most() const { return size_.stretches; }
  // Whether one batch more may be kept beside `kept` bytes. Where nothing is, it may.
  [[nodiscard]] bool may_keep_more(std::size_t kept) {
    return hold(kept + size_.batch) || kept + size_.batch <= size_.kept;
  }
  // So much is kept now, and no more is to come for a while.
  void keeps(std::size_t kept) { (void)hold(kept); }
  // To look far ahead: `bytes` more wait. Once.
  [[nodiscard]] bool take_ahead(std::size_t bytes) {
    // Twice: what was taken is dropped late, and vectors grow in jumps.
    if (!share_.hold(share_.bytes() + 2 * bytes)) return false;
    ahead_ = 2 * bytes;
    return true;
  }

 private:
  struct Size {
    std::size_t waiting;
    std::size_t stretches;
    std::size_t batch;  // of what is kept, one batch
    std::size_t base;   // all but what is kept
    std::size_t kept;   // at least
  };
  static constexpr Size kFull{kMiB, 65536, kMiB + kMiB / 2, 6 * kMiB, 2 * kMiB};
  static constexpr Size kSlim{kMiB / 8, 16384, kMiB / 4, kMiB + kMiB / 2, kMiB / 4};

  SourceRoom(Budget::Share share, Size size) : share_(std::move(share)), size_(size) {}
  [[nodiscard]] bool hold(std::size_t kept) { return share_.hold(size_.base + ahead_ + std::max(kept, size_.kept)); }

  Budget::Share share_;
  Size size_;
  std::size_t ahead_{0};
};

// At the destination: a batch, its bytes, what is said back, and what is held while a batch comes again.
class DestinationRoom final {
 public:
  // Nothing where not even the least is left. The memory outlives it.
  [[nodiscard]] static std::optional<DestinationRoom> take(HostMemory& memory) {
    const auto share = memory.connections.spare_bytes() / 8;
    const auto wanted = std::clamp(share, kWindowLeast_bytes, kWindowMost_bytes);
    for (const auto window : {wanted, kWindowLeast_bytes}) {
      if (auto taken = memory.connections.admit(kBase + window)) return DestinationRoom(std::move(*taken), window);
    }
    return std::nullopt;
  }
  [[nodiscard]] std::size_t window() const { return window_; }

 private:
  static constexpr std::size_t kBase = 3 * kMiB + kMiB / 2;
  DestinationRoom(Budget::Share share, std::size_t window) : share_(std::move(share)), window_(window) {}

  Budget::Share share_;
  std::size_t window_;
};

}  // namespace godwit::migrate
