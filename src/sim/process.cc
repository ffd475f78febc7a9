#include "sim/process.h"

#include "base/assert.h"
#include "sim/clock.h"
#include "sim/host.h"
#include "sim/http.h"
#include "sim/local_sockets.h"
#include "sim/peer_network.h"
#include "sim/processes.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <utility>

namespace godwit::sim {
namespace asio = boost::asio;
namespace {

// Lets the pending operations be destroyed, and so every frame unwound, before the objects that they use.
class Context : public asio::io_context {
 public:
  Context() : asio::io_context(1) {}
  using asio::execution_context::shutdown;
};

class TraceSink final : public LogSink {
 public:
  TraceSink(World& world, std::string process) : world_(world), process_(std::move(process)) {}
  [[nodiscard]] bool wants(LogLevel level) const override { return level >= world_.trace_level(); }
  void write(LogLevel, std::string_view component, std::string_view line) override {
    world_.trace(fmt::format("{} {}: {}", process_, component, line));
  }

 private:
  World& world_;
  std::string process_;
};

}  // namespace

std::string Identity::key_sha256() const {
  // 256 bits that differ where the names differ (splitmix64, seeded by FNV-1a): a key has no other use here.
  std::uint64_t state = 0xCBF29CE484222325ULL;
  for (const char c : name + "/" + signer) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  ByteVector bytes;
  for (int i = 0; i < 4; ++i) {
    std::uint64_t z = (state += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    append_be64(bytes, z ^ (z >> 31U));
  }
  return to_hex(bytes);
}

sys::TrustedCa authority(const std::string& signer, const std::string& cloud) { return {cloud, signer}; }

struct Process::Parts {
  Parts(Process& process, Host& host, const std::string& full_name)
      : clock(host.world()),
        random(host.world().draw()),
        processes(process),
        local(context.get_executor(), host),
        peers(context.get_executor(), process),
        http(context.get_executor(), process),
        taps(process),
        sink(host.world(), full_name),
        runtime{
            context.get_executor(), clock, random, host.files(), host.page_files(), processes, local, peers, http, taps,
            Log(sink, "main")} {}

  Context context;
  SimClock clock;
  SimRandom random;
  SimProcesses processes;
  SimLocalSockets local;
  SimPeerNetwork peers;
  SimHttp http;
  SimTaps taps;
  TraceSink sink;
  sys::Runtime runtime;
};

Process::Process(Host& host, std::string name, Identity identity, sys::ProcessId id)
    : world_(host.world()), host_(host), name_(std::move(name)), identity_(std::move(identity)), id_(id) {
  birth_ = world_.births_++;
  touch();
  parts_ = std::make_unique<Parts>(*this, host_, host_.name() + "/" + name_);
}

Process::~Process() {
  parts_->context.shutdown();
  program_.reset();
  if (listed_at_ != TimePoint::max()) world_.deadlines_.erase({listed_at_, birth_});
  std::erase(world_.woken_, this);
}

sys::Runtime& Process::runtime() { return parts_->runtime; }

void Process::kill() {
  if (doomed_) return;
  doomed_ = true;
  world_.doomed_.push_back(this);
}

void Process::spawn(sys::Task<void> task) {
  asio::co_spawn(parts_->context, std::move(task), [](const std::exception_ptr& thrown) { GODWIT_ASSERT(!thrown); });
}

bool Process::poll() {
  if (frozen_) return false;
  parts_->context.restart();
  return parts_->context.poll() > 0;
}

TimePoint Process::next_deadline() const { return frozen_ ? TimePoint::max() : parts_->clock.next_deadline(); }

void Process::touch() {
  if (!world_.only_woken_ || std::exchange(woken_, true)) return;
  world_.woken_.push_back(this);
}

void Process::list_deadline() {
  const auto next = doomed_ ? TimePoint::max() : next_deadline();
  if (next == listed_at_) return;
  if (listed_at_ != TimePoint::max()) world_.deadlines_.erase({listed_at_, birth_});
  listed_at_ = next;
  if (next != TimePoint::max()) world_.deadlines_.emplace(std::pair(next, birth_), this);
}

void Process::wake(TimePoint now) {
  if (!frozen_) parts_->clock.wake(now);
}

}  // namespace godwit::sim
