#include "sys/begun.h"

#include "support/event_loop.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace godwit::sys {
namespace {

// Something that a coroutine runs in, which needs a few turns to end.
class Works final {
 public:
  Works(const Executor& executor, int& destroyed) : destroyed_(destroyed), never_(executor), gate_(executor) {
    gate_.spawn(work());
  }
  ~Works() {
    EXPECT_EQ(gate_.running(), 0U) << "it is destroyed while its coroutine runs";
    ++destroyed_;
  }
  Works(const Works&) = delete;
  Works& operator=(const Works&) = delete;
  Task<void> close() { return gate_.close(); }

 private:
  Task<void> work() { co_await never_.wait(); }

  int& destroyed_;
  Signal never_;
  Gate gate_;
};

using Mine = Begun<Works>;

Task<void> begin_and_wait(Executor executor, int& destroyed, std::unique_ptr<Works>* taken) {
  Mine mine(executor, std::make_unique<Works>(executor, destroyed), &Works::close);
  if (taken) {
    *taken = mine.take();
    co_return;
  }
  Signal never(executor);
  co_await never.wait();
}

TEST(Begun, EndsByItselfWhereWhoeverBeganItIsCancelled) {
  testing::EventLoop loop;
  int destroyed = 0;
  Gate gate(loop.executor());
  gate.spawn(begin_and_wait(loop.executor(), destroyed, nullptr));
  loop.drain();
  EXPECT_EQ(destroyed, 0);
  gate.cancel();
  loop.drain();
  EXPECT_EQ(destroyed, 1);
}

TEST(Begun, IsSomebodyElsesOnceItIsTaken) {
  testing::EventLoop loop;
  int destroyed = 0;
  std::unique_ptr<Works> taken;
  loop.run(begin_and_wait(loop.executor(), destroyed, &taken));
  ASSERT_TRUE(taken);
  EXPECT_EQ(destroyed, 0);
  loop.run(taken->close());
  taken.reset();
  EXPECT_EQ(destroyed, 1);
}

TEST(Begun, IsGoneWhenItsEndWasWaitedFor) {
  testing::EventLoop loop;
  int destroyed = 0;
  auto story = [](Executor executor, int& count) -> Task<void> {
    Mine mine(executor, std::make_unique<Works>(executor, count), &Works::close);
    co_await boost::asio::post(executor, boost::asio::use_awaitable);
    co_await mine.close();
    EXPECT_EQ(count, 1);
  };
  loop.run(story(loop.executor(), destroyed));
  EXPECT_EQ(destroyed, 1);
}

}  // namespace
}  // namespace godwit::sys
