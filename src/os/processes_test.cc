#include "os/processes.h"

#include "os/clock.h"
#include "os/descriptor.h"
#include "os/spawn.h"
#include "support/event_loop.h"
#include "support/temp_directory.h"
#include "sys/task.h"

#include <fcntl.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <sstream>

namespace godwit::os {
namespace {

sys::ProcessSpec shell(const std::string& script) {
  sys::ProcessSpec spec;
  spec.argv = {"/bin/sh", "-c", script};
  spec.environment = {{"PATH", "/usr/bin:/bin"}};
  return spec;
}

std::string content_of(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

class Processes : public ::testing::Test {
 public:
  // The output of a program that must succeed.
  std::string output_of(sys::ProcessSpec spec) {
    std::string output;
    auto story = [](SystemProcesses& from, sys::ProcessSpec program, std::string& out) -> sys::Task<void> {
      auto result = co_await from.run(std::move(program), Seconds(10));
      GODWIT_CO_ASSERT_OK(result);
      out = *result;
    };
    loop.run(story(processes, std::move(spec), output));
    return output;
  }

  Error error_of(sys::ProcessSpec spec, Nanos limit) {
    Error error;
    auto story = [](SystemProcesses& from, sys::ProcessSpec program, Nanos span, Error& out) -> sys::Task<void> {
      auto result = co_await from.run(std::move(program), span);
      GODWIT_CO_ASSERT(!result);
      out = result.error();
    };
    loop.run(story(processes, std::move(spec), limit, error));
    return error;
  }

  testing::TempDirectory directory;
  testing::EventLoop loop;
  SystemClock clock;
  SystemProcesses processes{loop.executor()};
};

TEST_F(Processes, RunGivesTheOutput) {
  auto spec = shell("echo out; echo err >&2; echo $WORD; pwd; cat");
  spec.environment["WORD"] = "bird";
  spec.working_directory = "/usr";
  EXPECT_EQ(output_of(spec), "out\nerr\nbird\n/usr\n");
}

TEST_F(Processes, RunFailsWithTheLastLine) {
  const auto error = error_of(shell("echo fine; echo 'no such bird' >&2; exit 3"), Seconds(10));
  EXPECT_EQ(error.code, Errc::io);
  EXPECT_EQ(error.message, "run /bin/sh: exit code 3: no such bird");
}

TEST_F(Processes, RunDoesNotWaitForABackgroundProcessThatHoldsTheOutput) {
  const auto output = output_of(shell("sleep 60 & echo $!"));
  ::kill(std::stoi(output), SIGKILL);
}

TEST_F(Processes, RunKillsWhatIsLateOrTooLoud) {
  EXPECT_EQ(error_of(shell("sleep 60"), Millis(20)).code, Errc::timed_out);
  EXPECT_EQ(error_of(shell("yes"), Seconds(20)).code, Errc::exhausted);
}

TEST_F(Processes, CancellingRunKillsTheProgram) {
  const auto pid_file = directory / "pid";
  auto story = [](Processes& test, std::string path) -> sys::Task<void> {
    sys::Gate gate(test.loop.executor());
    auto job = [](SystemProcesses& from, std::string script) -> sys::Task<void> {
      const auto result = co_await from.run(shell(script), Seconds(60));
      EXPECT_FALSE(result);
    };
    gate.spawn(job(test.processes, fmt::format("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 60", path)));
    while (!std::ifstream(path).good()) co_await test.clock.sleep_for(Millis(2));
    const int pid = std::stoi(content_of(path));
    const auto stat = stat_process(pid);
    GODWIT_CO_ASSERT_OK(stat);
    co_await gate.close();
    const sys::ProcessId id{pid, stat->start_ticks};
    co_await test.processes.wait_gone(id);
    EXPECT_FALSE(test.processes.alive(id));
  };
  loop.run(story(*this, pid_file));
}

TEST_F(Processes, FailureToStartComesBackAtOnce) {
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {  // what other tests left
  }
  sys::ProcessSpec spec;
  spec.argv = {"/no/such/program"};
  const auto missing = processes.spawn(spec);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::not_found);
  EXPECT_NE(missing.error().message.find("run /no/such/program"), std::string::npos);
  spec.argv = {"sh"};
  EXPECT_EQ(processes.spawn(spec).error().code, Errc::invalid_argument);
  spec = shell("true");
  spec.working_directory = "/no/such/directory";
  EXPECT_NE(processes.spawn(spec).error().message.find("working directory"), std::string::npos);
  spec = shell("true");
  spec.network_namespace = "no-such-namespace";
  EXPECT_EQ(processes.spawn(spec).error().code, Errc::not_found);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "no zombie is left";
}

TEST_F(Processes, ASpawnedProcessIsFollowedToItsEndAndReaped) {
  auto spec = shell("echo started; exec sleep 60");
  spec.output_path = directory / "log";
  const auto id = processes.spawn(spec);
  ASSERT_TRUE(id) << id.error().message;
  EXPECT_TRUE(processes.alive(*id));
  EXPECT_FALSE(processes.alive({id->pid, id->start_ticks + 1})) << "another process of that number";
  processes.signal({id->pid, id->start_ticks + 1}, SIGKILL);
  EXPECT_TRUE(processes.alive(*id));
  EXPECT_EQ(::getsid(id->pid), id->pid);
  auto story = [](Processes& test, sys::ProcessId process, std::string log) -> sys::Task<void> {
    while (content_of(log).empty()) co_await test.clock.sleep_for(Millis(2));
    test.processes.signal(process, SIGTERM);
    co_await test.processes.wait_gone(process);
    EXPECT_FALSE(test.processes.alive(process));
    co_await test.processes.wait_gone(process);
    while (::kill(process.pid, 0) == 0) co_await test.clock.sleep_for(Millis(1));
  };
  loop.run(story(*this, *id, spec.output_path));
  EXPECT_EQ(content_of(spec.output_path), "started\n");
}

TEST_F(Processes, OnlyTheGivenDescriptorsPass) {
  std::ofstream(directory / "seven") << "seventh\n";
  std::ofstream(directory / "five") << "fifth\n";
  const Descriptor leaked(::open("/dev/null", O_RDONLY));  // without O_CLOEXEC
  const Descriptor seven(::open((directory / "seven").c_str(), O_RDONLY | O_CLOEXEC));
  const Descriptor five(::open((directory / "five").c_str(), O_RDONLY | O_CLOEXEC));
  auto spec = shell("cat <&7; cat <&5; exec ls /proc/self/fd");
  spec.descriptors = {{seven.get(), 7}, {five.get(), 5}};
  // 3 is the directory that ls reads.
  EXPECT_EQ(output_of(spec), "seventh\nfifth\n0\n1\n2\n3\n5\n7\n");
  // Places that are taken by each other's sources.
  spec.descriptors = {{seven.get(), five.get()}, {five.get(), seven.get()}};
  spec.argv[2] = fmt::format("cat /proc/self/fd/{}", five.get()) /* opened anew: from its start */;
  EXPECT_EQ(output_of(spec), "seventh\n");
}

TEST_F(Processes, SignalsAreAsAProgramExpectsThem) {
  ::signal(SIGPIPE, SIG_IGN);
  const auto status = output_of(shell("grep -E 'Sig(Blk|Ign)' /proc/self/status"));
  ::signal(SIGPIPE, SIG_DFL);
  EXPECT_EQ(status, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST_F(Processes, AnotherUserGetsNoPrivilegeAndNoGroup) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  auto spec = shell("id -u; id -g; id -G; grep NoNewPrivs /proc/self/status; grep CapEff /proc/self/status");
  spec.uid = 54321;
  EXPECT_EQ(output_of(spec), "54321\n54321\n54321\nNoNewPrivs:\t1\nCapEff:\t0000000000000000\n");
}

TEST_F(Processes, EntersANetworkNamespaceBeforeItDropsItsRights) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const auto name = fmt::format("gwos{}", ::getpid());
  auto add = shell("ip netns add " + name);
  auto remove = shell("ip netns del " + name);
  add.environment["PATH"] = remove.environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin";
  output_of(add);
  auto spec = shell("id -u; tail -n +3 /proc/self/net/dev | wc -l");
  spec.uid = 54321;
  spec.network_namespace = name;
  EXPECT_EQ(output_of(spec), "54321\n1\n") << "its own loopback device alone";
  output_of(remove);
}

}  // namespace
}  // namespace godwit::os
