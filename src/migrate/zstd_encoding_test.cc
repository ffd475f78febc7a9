#include "migrate/zstd_encoding.h"

#include "support/event_loop.h"

#include <gtest/gtest.h>

#include <random>

namespace godwit::migrate {
namespace {

// Gives `input` in parts, and keeps what is written.
class Tape final : public sys::Stream {
 public:
  Tape(ByteVector input, std::size_t part) : input_(std::move(input)), part_(part) {}
  sys::Task<Result<std::size_t>> read_some(ByteSpan into) override {
    const auto size = std::min({into.size(), part_, input_.size() - at_});
    if (size == 0) co_return fail(Errc::closed, "end of tape");
    std::copy_n(input_.begin() + static_cast<std::ptrdiff_t>(at_), size, into.begin());
    at_ += size;
    if (on_read) on_read();
    co_return size;
  }
  sys::Task<Result<>> write(ByteView bytes) override {
    output.insert(output.end(), bytes.begin(), bytes.end());
    co_return Result<>{};
  }
  sys::Task<Result<>> shutdown_write() override {
    ended = true;
    co_return Result<>{};
  }
  void close() override {}

  ByteVector output;
  bool ended{false};
  std::function<void()> on_read;

 private:
  ByteVector input_;
  std::size_t part_;
  std::size_t at_{0};
};

// Guest memory's likeness: pages of zeros, of text, and of noise.
ByteVector pages(std::size_t count) {
  std::mt19937_64 random(5);
  ByteVector out;
  for (std::size_t page = 0; page < count; ++page) {
    for (int i = 0; i < 4096; ++i) {
      const auto noise = random();
      out.push_back(page % 3 == 0 ? std::byte{0} : static_cast<std::byte>(page % 3 == 1 ? 'a' + noise % 4 : noise));
    }
  }
  return out;
}

ByteVector encoded(const ByteVector& bytes, std::size_t part, std::uint64_t& count) {
  testing::EventLoop loop;
  Tape local(bytes, part);
  Tape wan({}, 1);
  auto story = [](sys::Stream& from, sys::Stream& to, std::uint64_t& counted) -> sys::Task<void> {
    ZstdEncoding encoding;
    const auto done = co_await encoding.encode(Channel::memory, from, to, counted);
    EXPECT_TRUE(done) << done.error().message;
  };
  loop.run(story(local, wan, count));
  EXPECT_TRUE(wan.ended);
  return wan.output;
}

Result<> decode(const ByteVector& bytes, std::size_t part, Tape& local) {
  testing::EventLoop loop;
  Tape wan(bytes, part);
  Result<> result;
  auto story = [](sys::Stream& from, sys::Stream& to, Result<>& out) -> sys::Task<void> {
    ZstdEncoding encoding;
    out = co_await encoding.decode(Channel::memory, from, to);
  };
  loop.run(story(wan, local, result));
  return result;
}

TEST(ZstdEncoding, WhatComesOutIsWhatWentInHoweverItIsCut) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{300}}) {
    const auto memory = pages(size);
    for (const std::size_t part : {std::size_t{1000}, std::size_t{65536}, std::size_t{1} << 24U}) {
      std::uint64_t count = 0;
      const auto wire = encoded(memory, part, count);
      EXPECT_EQ(count, wire.size());
      Tape local({}, 1);
      const auto decoded = decode(wire, part / 7, local);
      ASSERT_TRUE(decoded) << decoded.error().message;
      EXPECT_TRUE(local.output == memory);
      EXPECT_TRUE(local.ended);
    }
  }
}

TEST(ZstdEncoding, GuestMemoryGetsSmaller) {
  std::uint64_t count = 0;
  const auto memory = pages(300);
  (void)encoded(memory, 65536, count);
  EXPECT_LT(count, memory.size() / 2);
}

// QEMU waits for answers to what it has sent: nothing may stay here until more comes.
TEST(ZstdEncoding, NothingIsHeldBackUntilMoreComes) {
  testing::EventLoop loop;
  const auto memory = pages(6);
  Tape local(memory, 4096);
  Tape wan({}, 1);
  std::size_t reads = 0;
  local.on_read = [&] {
    Tape far({}, 1);
    (void)decode(wan.output, 1U << 20U, far);  // what came so far; its end is missing
    EXPECT_EQ(far.output.size(), reads * 4096) << "before read " << reads + 1;
    ++reads;
  };
  std::uint64_t count = 0;
  auto story = [](sys::Stream& from, sys::Stream& to, std::uint64_t& counted) -> sys::Task<void> {
    ZstdEncoding encoding;
    (void)co_await encoding.encode(Channel::memory, from, to, counted);
  };
  loop.run(story(local, wan, count));
  EXPECT_EQ(reads, 6U);
}

TEST(ZstdEncoding, ADamagedOrCutStreamIsAnError) {
  std::uint64_t count = 0;
  const auto wire = encoded(pages(30), 65536, count);
  auto bad = wire;
  bad[3] ^= std::byte{0xff};
  Tape local({}, 1);
  auto decoded = decode(bad, 4096, local);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, Errc::protocol);
  decoded = decode(ByteVector(wire.begin(), wire.end() - 100), 4096, local);
  ASSERT_FALSE(decoded);
  EXPECT_NE(decoded.error().message.find("ended in the middle"), std::string::npos) << decoded.error().message;
  EXPECT_FALSE(local.ended);
}

}  // namespace
}  // namespace godwit::migrate
