#include "sim/world.h"

#include "sim/host.h"
#include "sim/network.h"

#include <gtest/gtest.h>

#include <csignal>

namespace godwit::sim {
namespace {

// A program whose main() is a function of the test.
class Main final : public Program {
 public:
  Main(Process& process, const std::function<sys::Task<void>(sys::Runtime&)>& body)
      : gate_(process.runtime().executor) {
    gate_.spawn(body(process.runtime()));
  }

 private:
  sys::Gate gate_;
};

Host::Factory main_of(std::function<sys::Task<void>(sys::Runtime&)> body) {
  return [body = std::move(body)](Process& process) { return std::make_unique<Main>(process, body); };
}

// Says in which order things went.
struct Noted {
  Noted(std::string* into, std::string what) : log(into), text(std::move(what)) {}
  ~Noted() { *log += text; }
  Noted(const Noted&) = delete;
  Noted& operator=(const Noted&) = delete;
  std::string* log;
  std::string text;
};

struct Two {
  World world{7};
  Host& a{world.add_host("a1", "site-a", "10.1.0.1")};
  Host& b{world.add_host("b1", "site-b", "10.2.0.1")};
  std::string log;

  static sys::Task<void> sink(sys::Runtime& runtime, std::string& log) {
    runtime.peers.trust({authority("cloud-a", "cloud-a"), authority("cloud-b", "cloud-b")});
    auto listener = runtime.peers.listen("10.2.0.1", 7402);
    if (!listener) co_return;
    auto stream = co_await (*listener)->accept();
    if (!stream) co_return;
    for (;;) {
      ByteVector buffer(4096);
      const auto count = co_await (*stream)->read_some(buffer);
      if (!count) {
        log +=
            fmt::format("{} at {:.3f};", to_string(count.error().code), to_s(runtime.clock.now().time_since_epoch()));
        co_return;
      }
      log += as_text(ByteView(buffer).first(*count));
    }
  }
  static sys::Task<void> source(sys::Runtime& runtime) {
    runtime.peers.trust({authority("cloud-a", "cloud-a"), authority("cloud-b", "cloud-b")});
    const sys::PeerAddress address{"10.2.0.1", 7402, "b1.cloud-b.godwit"};
    auto stream = co_await runtime.peers.dial(address);
    if (!stream) co_return;
    for (;;) {
      const auto written = co_await (*stream)->write(as_bytes("x"));
      if (!written) co_return;
      co_await runtime.clock.sleep_for(Millis{100});
    }
  }
  void start_both() {
    b.start("sink", {"b1.cloud-b.godwit", "cloud-b"}, main_of([this](sys::Runtime& r) { return sink(r, log); }));
    world.run_for(Millis{1});
    a.start("source", {"a1.cloud-a.godwit", "cloud-a"}, main_of([](sys::Runtime& r) { return source(r); }));
  }
};

TEST(World, TimeJumpsToTheNextDeadlineAndNoFurther) {
  World world(1);
  Host& host = world.add_host("h", "s", "10.0.0.1");
  std::vector<double> woke;
  host.start("p", {}, main_of([&](sys::Runtime& runtime) -> sys::Task<void> {
               for (const int wait_ms : {10, 0, 250}) {
                 co_await runtime.clock.sleep_for(Millis{wait_ms});
                 woke.push_back(to_ms(runtime.clock.now().time_since_epoch()));
               }
             }));
  world.run_for(Millis{100});
  EXPECT_EQ(woke, (std::vector<double>{10, 10}));
  EXPECT_EQ(to_ms(world.now().time_since_epoch()), 100);
  EXPECT_TRUE(world.run_until([&] { return woke.size() == 3; }, Seconds{1}));
  EXPECT_EQ(woke.back(), 260);
}

TEST(World, AKilledProcessUnwindsBeforeItsProgramIsDestroyedAndItsPeerSeesTheEnd) {
  Two two;
  two.start_both();
  two.world.run_for(Millis{500});
  EXPECT_EQ(two.log.substr(0, 4), "xxxx");
  two.log.clear();
  two.a.find("source")->kill();
  two.world.run_for(Millis{500});
  EXPECT_TRUE(two.log.ends_with("closed at 0.521;")) << two.log;  // half a round trip later
  EXPECT_EQ(two.a.find("source"), nullptr);
}

TEST(World, FramesUnwindInsideOut) {
  World world(1);
  Host& host = world.add_host("h", "s", "10.0.0.1");
  std::string log;
  class Outer final : public Program {
   public:
    Outer(Process& process, std::string& into) : note_(&into, "program;"), gate_(process.runtime().executor) {
      auto body = [](sys::Runtime& runtime, std::string& to) -> sys::Task<void> {
        const Noted frame(&to, "frame;");
        co_await runtime.clock.sleep_for(Seconds{100});
        to += "never;";
      };
      gate_.spawn(body(process.runtime(), into));
    }

   private:
    Noted note_;
    sys::Gate gate_;
  };
  host.start("p", {}, [&](Process& process) { return std::make_unique<Outer>(process, log); });
  world.run_for(Seconds{1});
  host.find("p")->kill();
  world.run_for(Seconds{1});
  EXPECT_EQ(log, "frame;program;");
}

TEST(World, AfterAPowerFailureThePeerHearsNothingUntilTcpGivesUp) {
  Two two;
  two.start_both();
  two.world.run_for(Millis{500});
  ASSERT_TRUE(two.a.files().write_atomic("/synced", "1", 0600));
  two.a.files().write_cached("/cached", "1");
  two.log.clear();
  two.a.power_off();
  two.world.run_for(Seconds{9});
  EXPECT_EQ(two.log.find("at"), std::string::npos) << two.log;
  two.world.run_for(Seconds{3});
  EXPECT_NE(two.log.find("io at 10."), std::string::npos) << two.log;
  EXPECT_TRUE(two.a.files().exists("/synced"));
  EXPECT_FALSE(two.a.files().exists("/cached"));
}

TEST(World, AShortCutDelaysAndALongOneBreaks) {
  Two two;
  two.start_both();
  two.world.run_for(Millis{500});
  two.world.network().cut("site-a", "site-b");
  two.world.run_for(Seconds{5});
  const auto before = two.log.size();
  two.world.network().heal("site-a", "site-b");
  two.world.run_for(Seconds{1});
  EXPECT_GT(two.log.size(), before + 50) << "what was under way arrives";
  two.world.network().cut("a1", "b1");
  two.world.run_for(Seconds{11});
  EXPECT_NE(two.log.find("io at 16."), std::string::npos) << two.log;
}

TEST(World, ProcessesAreSpawnedSignalledAndMourned) {
  World world(1);
  Host& host = world.add_host("h", "s", "10.0.0.1");
  host.register_program("child", [](Process& process, const sys::ProcessSpec&) {
    process.on_signal([&process](int) { process.kill(); });
    return std::make_unique<Program>();
  });
  std::string log;
  host.start("p", {}, main_of([&](sys::Runtime& runtime) -> sys::Task<void> {
               sys::ProcessSpec spec;
               spec.argv = {"/usr/bin/child"};
               const auto id = runtime.processes.spawn(spec);
               log += runtime.processes.alive(*id) ? "alive;" : "dead;";
               runtime.processes.signal(*id, SIGTERM);
               co_await runtime.processes.wait_gone(*id);
               log += runtime.processes.alive(*id) ? "alive;" : "dead;";
               spec.argv = {"/usr/bin/none"};
               log += to_string(runtime.processes.spawn(spec).error().code);
             }));
  world.run_for(Seconds{1});
  EXPECT_EQ(log, "alive;dead;not_found");
}

TEST(World, ALinkHasARateAndADelay) {
  Two two;
  two.world.network().set_link("site-a", "site-b", {Millis{50}, 100'000});
  EXPECT_EQ(two.world.network().arrival(two.a, two.b, 10'000), two.world.now() + Millis{150});
  EXPECT_EQ(two.world.network().arrival(two.a, two.b, 10'000), two.world.now() + Millis{250}) << "one after the other";
}

TEST(World, EqualSeedsLeaveEqualTraces) {
  const auto trace_of = [](std::uint64_t seed) {
    World world(seed);
    Host& host = world.add_host("h", "s", "10.0.0.1");
    host.start("p", {}, main_of([](sys::Runtime& runtime) -> sys::Task<void> {
                 for (int i = 0; i < 10; ++i) {
                   const auto id = runtime.random.id("x");
                   runtime.log.info("{}", id);
                   co_await runtime.clock.sleep_for(Millis{1});
                 }
               }));
    world.run_for(Seconds{1});
    return world.trace_hash();
  };
  EXPECT_EQ(trace_of(1), trace_of(1));
  EXPECT_NE(trace_of(1), trace_of(2));
}

}  // namespace
}  // namespace godwit::sim
