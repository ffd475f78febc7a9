#include "os/local_sockets.h"

#include "conformance/stream_suite.h"
#include "os/clock.h"
#include "support/event_loop.h"
#include "support/temp_directory.h"

#include <sys/stat.h>

#include <fstream>

namespace godwit::os {
namespace {

struct UnixHarness {
  testing::TempDirectory directory;
  testing::EventLoop loop;
  SystemClock time;
  SystemLocalSockets sockets{loop.executor()};

  void run(sys::Task<void> task) { loop.run(std::move(task)); }
  sys::Clock& clock() { return time; }
  sys::Executor executor() { return loop.executor(); }

  sys::Task<Result<testing::StreamPair>> connect() {
    auto listener = sockets.listen(directory / "s", 0600, 0);
    if (!listener) co_return pass(listener);
    auto a = co_await sockets.dial(directory / "s");
    if (!a) co_return pass(a);
    auto b = co_await (*listener)->accept();
    if (!b) co_return pass(b);
    testing::StreamPair pair;
    pair.a = std::move(*a);
    pair.b = std::move(*b);
    co_return pair;
  }
};

class LocalSockets : public ::testing::Test {
 protected:
  UnixHarness harness_;
};

TEST_F(LocalSockets, FileHasItsModeAndIsRemovedAtTheEnd) {
  const auto path = harness_.directory / "s";
  auto listener = harness_.sockets.listen(path, 0640, 0);
  ASSERT_TRUE(listener) << listener.error().message;
  struct stat made{};
  ASSERT_EQ(::stat(path.c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 07777, 0640U);
  listener->reset();
  EXPECT_NE(::stat(path.c_str(), &made), 0);
}

TEST_F(LocalSockets, StaleFileIsReplacedALivingListenerIsNot) {
  const auto path = harness_.directory / "s";
  {
    auto dead = listen_local(path, 0600, 0);
    ASSERT_TRUE(dead);
  }
  auto first = harness_.sockets.listen(path, 0600, 0);
  ASSERT_TRUE(first) << first.error().message;
  const auto second = harness_.sockets.listen(path, 0600, 0);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::conflict);
}

TEST_F(LocalSockets, AFileThatIsNoSocketStays) {
  const auto path = harness_.directory / "precious";
  std::ofstream(path) << "x";
  const auto listener = harness_.sockets.listen(path, 0600, 0);
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().code, Errc::conflict);
  EXPECT_TRUE(std::ifstream(path).good());
}

TEST_F(LocalSockets, DialSaysWhatIsWrong) {
  auto story = [](UnixHarness& harness) -> sys::Task<void> {
    const auto none = co_await harness.sockets.dial(harness.directory / "none");
    GODWIT_CO_ASSERT(!none);
    EXPECT_EQ(none.error().code, Errc::not_found);
    {
      const auto dead = listen_local(harness.directory / "dead", 0600, 0);
      GODWIT_CO_ASSERT(dead);
    }
    const auto dead = co_await harness.sockets.dial(harness.directory / "dead");
    GODWIT_CO_ASSERT(!dead);
    EXPECT_EQ(dead.error().code, Errc::unavailable);
    const auto too_long = co_await harness.sockets.dial("/" + std::string(200, 'x'));
    GODWIT_CO_ASSERT(!too_long);
    EXPECT_EQ(too_long.error().code, Errc::invalid_argument);
  };
  harness_.run(story(harness_));
}

TEST_F(LocalSockets, ClosingTheListenerEndsAccept) {
  auto story = [](UnixHarness& harness) -> sys::Task<void> {
    auto listener = harness.sockets.listen(harness.directory / "s", 0600, 0);
    GODWIT_CO_ASSERT(listener);
    sys::Gate gate(harness.executor());
    auto accept = [](sys::Listener& from) -> sys::Task<void> {
      const auto stream = co_await from.accept();
      GODWIT_CO_ASSERT(!stream);
      EXPECT_EQ(stream.error().code, Errc::cancelled);
    };
    gate.spawn(accept(**listener));
    co_await harness.time.sleep_for(Millis(1));
    listener->reset();
    while (gate.running() > 0) co_await harness.time.sleep_for(Millis(1));
  };
  harness_.run(story(harness_));
}

}  // namespace
}  // namespace godwit::os

namespace godwit::testing {
INSTANTIATE_TYPED_TEST_SUITE_P(Unix, StreamSuite, os::UnixHarness);
}  // namespace godwit::testing
