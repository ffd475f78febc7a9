// Streams in memory, joined two by two: what is written to one is read from the other, in pieces that chance cuts;
// late, altered or not at all where a test asks for trouble.
#pragma once

#include "sys/runtime.h"
#include "sys/stream.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <random>

namespace godwit::testing {

inline constexpr std::size_t kPipeWindow_bytes = 128UL * 1024;

// Of one direction.
struct Trouble {
  sys::Clock* late{nullptr};              // some reads wait on it, up to 30 ms
  std::optional<std::uint64_t> flips_at;  // one bit, at this place
  std::optional<std::uint64_t> cuts_at;   // both directions
};

// One direction between two streams.
struct Flow {
  Flow(const sys::Executor& executor, Trouble has) : trouble(has), changed(executor) {}

  ByteVector bytes;
  std::uint64_t passed{0};
  bool ended{false};
  bool closed{false};
  Trouble trouble;
  sys::Signal changed;
};

class Pipe final : public sys::Stream {
 public:
  Pipe(std::shared_ptr<Flow> in, std::shared_ptr<Flow> out, std::uint64_t seed)
      : in_(std::move(in)), out_(std::move(out)), random_(seed) {}
  ~Pipe() override { Pipe::close(); }

  sys::Task<Result<std::size_t>> read_some(ByteSpan into) override {
    if (in_->trouble.late != nullptr && random_() % 8 == 0) {
      const auto until = in_->trouble.late->now() + Millis(static_cast<std::int64_t>(random_() % 30));
      co_await in_->trouble.late->sleep_until(until);
    }
    while (in_->bytes.empty() && !in_->ended && !in_->closed) co_await in_->changed.wait();
    if (in_->closed && !in_->ended) co_return fail(Errc::cancelled, "closed");
    if (in_->bytes.empty()) co_return fail(Errc::closed, "the end");
    const auto piece = 1 + random_() % (random_() % 4 == 0 ? 100 : 100'000);
    const auto size = std::min({into.size(), in_->bytes.size(), static_cast<std::size_t>(piece)});
    const auto end = in_->bytes.begin() + static_cast<std::ptrdiff_t>(size);
    std::copy(in_->bytes.begin(), end, into.begin());
    in_->bytes.erase(in_->bytes.begin(), end);
    in_->changed.notify();
    co_return size;
  }
  sys::Task<Result<>> write(ByteView bytes) override {
    while (out_->bytes.size() >= kPipeWindow_bytes && !out_->closed) co_await out_->changed.wait();
    if (out_->closed || out_->ended) co_return fail(Errc::io, "nobody reads");
    const auto before = out_->passed;
    out_->passed += bytes.size();
    const auto& trouble = out_->trouble;
    append(out_->bytes, bytes);
    if (trouble.flips_at && *trouble.flips_at >= before && *trouble.flips_at < out_->passed) {
      out_->bytes[out_->bytes.size() - (out_->passed - *trouble.flips_at)] ^= std::byte{1} << (random_() % 8);
    }
    if (trouble.cuts_at && *trouble.cuts_at < out_->passed) close();
    out_->changed.notify();
    co_return Result<>{};
  }
  sys::Task<Result<>> shutdown_write() override {
    out_->ended = true;
    out_->changed.notify();
    co_return Result<>{};
  }
  void close() override {
    for (const auto& each : {in_, out_}) {
      each->closed = true;
      each->changed.notify();
    }
  }

 private:
  std::shared_ptr<Flow> in_;  // shared with the other end
  std::shared_ptr<Flow> out_;
  std::mt19937_64 random_;
};

using Ends = std::pair<std::unique_ptr<sys::Stream>, std::unique_ptr<sys::Stream>>;
// `forth`: of what is written to the first and read from the second.
inline Ends pipe(const sys::Executor& executor, std::uint64_t seed, Trouble forth = {}, Trouble back = {}) {
  auto there = std::make_shared<Flow>(executor, forth);
  auto home = std::make_shared<Flow>(executor, back);
  return {std::make_unique<Pipe>(home, there, seed), std::make_unique<Pipe>(there, home, seed + 1)};
}

}  // namespace godwit::testing
