#include "sys/accepting.h"

#include "support/scripted_listener.h"
#include "support/virtual_time.h"
#include "sys/task.h"

namespace godwit::sys {
namespace {

class NoStream final : public Stream {
 public:
  Task<Result<std::size_t>> read_some(ByteSpan) override { co_return fail(Errc::closed, "read"); }
  Task<Result<>> write(ByteView) override { co_return Result<>{}; }
  Task<Result<>> shutdown_write() override { co_return Result<>{}; }
  void close() override {}
};

TEST(AcceptEach, GoesOnAfterAnErrorAndEndsWhenTheListenerIsClosed) {
  testing::VirtualTime time;
  std::deque<testing::ScriptedListener::Came> script;
  script.emplace_back(std::make_unique<NoStream>());
  script.emplace_back(fail(Errc::exhausted, "too many open files"));
  script.emplace_back(std::make_unique<NoStream>());
  script.emplace_back(fail(Errc::closed, "closed"));
  testing::ScriptedListener listener(std::move(script));
  Gate gate(time.executor());
  int taken = 0;
  auto take = [&taken](const std::unique_ptr<Stream>&) { ++taken; };
  gate.spawn(accept_each(listener, time, Log(), take));
  EXPECT_TRUE(time.run_until([&] { return taken == 1; }, Nanos{0}));
  EXPECT_TRUE(time.run_until([&] { return gate.running() == 0; }, kAcceptAgain));
  EXPECT_EQ(taken, 2);
}

}  // namespace
}  // namespace godwit::sys
