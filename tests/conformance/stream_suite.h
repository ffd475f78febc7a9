// What every sys::Stream does, whatever carries it. A harness gives connected pairs:
//   struct Harness {
//     void run(sys::Task<void>);   // to its end
//     sys::Clock& clock();
//     sys::Executor executor();
//     sys::Task<Result<StreamPair>> connect();
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Unix, StreamSuite, UnixHarness);
#pragma once

#include "support/event_loop.h"
#include "sys/stream.h"
#include "sys/task.h"

#include <gtest/gtest.h>

namespace godwit::testing {

struct StreamPair {
  std::unique_ptr<sys::Stream> a;
  std::unique_ptr<sys::Stream> b;
};

template <class Harness>
class StreamSuite : public ::testing::Test {
 public:
  Harness harness;

  // Byte i of the test's data: a fault in order or place shows.
  static std::byte pattern(std::size_t i) { return static_cast<std::byte>((i * 131 + i / 251) & 0xFFU); }
  static ByteVector patterned(std::size_t size) {
    ByteVector bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = pattern(i);
    return bytes;
  }

  static sys::Task<void> send(sys::Stream& stream, std::size_t size, std::size_t step) {
    const auto bytes = patterned(size);
    for (std::size_t at = 0; at < size; at += step) {
      const auto written = co_await stream.write(ByteView(bytes).subspan(at, std::min(step, size - at)));
      GODWIT_CO_ASSERT_OK(written);
    }
    const auto shut = co_await stream.shutdown_write();
    GODWIT_CO_ASSERT_OK(shut);
  }

  static sys::Task<void> receive(sys::Stream& stream, std::size_t size) {
    ByteVector buffer(100'000);
    std::size_t at = 0;
    for (;;) {
      const auto count = co_await stream.read_some(buffer);
      if (!count) {
        EXPECT_EQ(count.error().code, Errc::closed) << count.error().message;
        break;
      }
      for (std::size_t i = 0; i < *count; ++i, ++at) GODWIT_CO_ASSERT(buffer[i] == pattern(at));
    }
    EXPECT_EQ(at, size);
  }
};

TYPED_TEST_SUITE_P(StreamSuite);

TYPED_TEST_P(StreamSuite, BytesArriveInOrderBothWaysAtOnceAndThenTheEnd) {
  using Suite = StreamSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    auto pair = co_await world.connect();
    GODWIT_CO_ASSERT_OK(pair);
    sys::Gate gate(world.executor());
    gate.spawn(Suite::send(*pair->a, 1'500'000, 70'001));
    gate.spawn(Suite::send(*pair->b, 700'000, 5'003));
    gate.spawn(Suite::receive(*pair->a, 700'000));
    co_await Suite::receive(*pair->b, 1'500'000);
    while (gate.running() > 0) co_await world.clock().sleep_for(Millis(1));
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(StreamSuite, ReadingGoesOnAfterShutdownWrite) {
  auto story = [](TypeParam& world) -> sys::Task<void> {
    auto pair = co_await world.connect();
    GODWIT_CO_ASSERT_OK(pair);
    const auto shut = co_await pair->a->shutdown_write();
    GODWIT_CO_ASSERT_OK(shut);
    ByteVector buffer(16);
    const auto end = co_await pair->b->read_some(buffer);
    GODWIT_CO_ASSERT(!end);
    EXPECT_EQ(end.error().code, Errc::closed);
    const auto written = co_await pair->b->write(as_bytes("late"));
    GODWIT_CO_ASSERT_OK(written);
    const auto read = co_await sys::read_exactly(*pair->a, ByteSpan(buffer).first(4));
    GODWIT_CO_ASSERT_OK(read);
    EXPECT_EQ(as_text(ByteView(buffer).first(4)), "late");
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(StreamSuite, TheEndBeforeEnoughBytesIsAnError) {
  auto story = [](TypeParam& world) -> sys::Task<void> {
    auto pair = co_await world.connect();
    GODWIT_CO_ASSERT_OK(pair);
    const auto written = co_await pair->a->write(as_bytes("abc"));
    GODWIT_CO_ASSERT_OK(written);
    const auto shut = co_await pair->a->shutdown_write();
    GODWIT_CO_ASSERT_OK(shut);
    ByteVector buffer(4);
    const auto read = co_await sys::read_exactly(*pair->b, buffer);
    GODWIT_CO_ASSERT(!read);
    EXPECT_EQ(read.error().code, Errc::closed);
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(StreamSuite, CloseEndsAPendingReadHereAndThere) {
  auto story = [](TypeParam& world) -> sys::Task<void> {
    auto pair = co_await world.connect();
    GODWIT_CO_ASSERT_OK(pair);
    int ended = 0;
    auto read = [](sys::Stream& stream, int& count) -> sys::Task<void> {
      ByteVector buffer(16);
      const auto got = co_await stream.read_some(buffer);
      EXPECT_FALSE(got);
      ++count;
    };
    sys::Gate gate(world.executor());
    gate.spawn(read(*pair->a, ended));
    gate.spawn(read(*pair->b, ended));
    co_await world.clock().sleep_for(Millis(1));
    pair->a->close();
    pair->a->close();
    while (gate.running() > 0) co_await world.clock().sleep_for(Millis(1));
    EXPECT_EQ(ended, 2);
    const auto written = co_await pair->a->write(as_bytes("x"));
    EXPECT_FALSE(written);
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(StreamSuite, AReadThatTimedOutLosesNoByte) {
  auto story = [](TypeParam& world) -> sys::Task<void> {
    auto pair = co_await world.connect();
    GODWIT_CO_ASSERT_OK(pair);
    ByteVector buffer(16);
    const auto nothing = co_await sys::within(world.clock(), Millis(5), "read", pair->b->read_some(ByteSpan(buffer)));
    GODWIT_CO_ASSERT(!nothing);
    EXPECT_EQ(nothing.error().code, Errc::timed_out);
    const auto written = co_await pair->a->write(as_bytes("hello"));
    GODWIT_CO_ASSERT_OK(written);
    const auto read = co_await sys::read_exactly(*pair->b, ByteSpan(buffer).first(5));
    GODWIT_CO_ASSERT_OK(read);
    EXPECT_EQ(as_text(ByteView(buffer).first(5)), "hello");
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(StreamSuite, AClosedGateEndsAReadAndAWriteThatNobodyTakes) {
  auto story = [](TypeParam& world) -> sys::Task<void> {
    auto pair = co_await world.connect();
    GODWIT_CO_ASSERT_OK(pair);
    auto read = [](sys::Stream& stream) -> sys::Task<void> {
      ByteVector buffer(16);
      const auto got = co_await stream.read_some(buffer);
      EXPECT_FALSE(got);
    };
    auto write = [](sys::Stream& stream) -> sys::Task<void> {
      const ByteVector much(64UL * 1024 * 1024);
      const auto written = co_await stream.write(much);
      EXPECT_FALSE(written);
    };
    sys::Gate gate(world.executor());
    gate.spawn(read(*pair->a));
    gate.spawn(write(*pair->a));
    co_await world.clock().sleep_for(Millis(20));
    EXPECT_EQ(gate.running(), 2U) << "nobody reads, so the write must wait";
    co_await gate.close();
    EXPECT_EQ(gate.running(), 0U);
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(StreamSuite, AStreamMayBeDestroyedWhileAReadIsPending) {
  auto story = [](TypeParam& world) -> sys::Task<void> {
    auto pair = co_await world.connect();
    GODWIT_CO_ASSERT_OK(pair);
    sys::Gate gate(world.executor());
    ByteVector buffer(16);
    auto read = [](sys::Task<Result<std::size_t>> pending) -> sys::Task<void> {
      const auto got = co_await std::move(pending);
      EXPECT_FALSE(got);
    };
    gate.spawn(read(pair->a->read_some(buffer)));
    co_await world.clock().sleep_for(Millis(1));
    pair->a.reset();
    while (gate.running() > 0) co_await world.clock().sleep_for(Millis(1));
  };
  this->harness.run(story(this->harness));
}

REGISTER_TYPED_TEST_SUITE_P(StreamSuite, BytesArriveInOrderBothWaysAtOnceAndThenTheEnd, ReadingGoesOnAfterShutdownWrite,
                            TheEndBeforeEnoughBytesIsAnError, CloseEndsAPendingReadHereAndThere,
                            AReadThatTimedOutLosesNoByte, AClosedGateEndsAReadAndAWriteThatNobodyTakes,
                            AStreamMayBeDestroyedWhileAReadIsPending);

}  // namespace godwit::testing
