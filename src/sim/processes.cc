#include "sim/processes.h"

#include <algorithm>
#include <csignal>

namespace godwit::sim {
namespace {

std::string basename_of(const sys::ProcessSpec& spec) {
  if (spec.argv.empty()) return {};
  const auto& path = spec.argv.front();
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

Result<sys::ProcessId> SimProcesses::spawn(const sys::ProcessSpec& spec) {
  Host& host = self_.host();
  const auto program = host.programs_.find(basename_of(spec));
  if (program == host.programs_.end()) {
    return fail(Errc::not_found, "start {}: ENOENT No such file or directory", spec.argv.empty() ? "" : spec.argv[0]);
  }
  auto& made =
      host.start(basename_of(spec), self_.identity(), [&](Process& process) { return program->second(process, spec); });
  for (const auto& inherited : spec.descriptors) {
    const auto tap = self_.open_taps_.find(inherited.first);
    if (tap != self_.open_taps_.end()) host.taps_[tap->second] = made.id().pid;
  }
  return made.id();
}

sys::Task<Result<std::string>> SimProcesses::run(sys::ProcessSpec spec, Nanos) {
  const auto command = self_.host().commands_.find(basename_of(spec));
  if (command == self_.host().commands_.end()) {
    co_return fail(Errc::not_found, "run {}: ENOENT No such file or directory", basename_of(spec));
  }
  co_return command->second(spec);
}

bool SimProcesses::alive(sys::ProcessId id) const { return self_.host().find(id) != nullptr; }

void SimProcesses::signal(sys::ProcessId id, int number) {
  Process* const process = self_.host().find(id);
  if (!process) return;
  if (number != SIGKILL && process->on_signal_) {
    process->on_signal_(number);
  } else if (number != 0) {
    process->kill();
  }
}

namespace {

sys::Task<void> await_death(Process& self, sys::ProcessId id) {
  sys::Signal gone(self.runtime().executor);
  const Host::Mourner mourner(self.host(), gone);
  while (self.host().find(id)) co_await gone.wait();
}

}  // namespace

sys::Task<void> SimProcesses::wait_gone(sys::ProcessId id) { return await_death(self_, id); }

Result<std::vector<int>> SimTaps::open_for_guest(const std::string& name, unsigned, unsigned queues) {
  auto& taps = self_.host().taps_;
  if (taps.contains(name)) return fail(Errc::conflict, "open tap \"{}\": EBUSY Device or resource busy", name);
  taps[name] = self_.id().pid;
  std::vector<int> out;
  for (unsigned queue = 0; queue < queues; ++queue) {
    self_.open_taps_[next_] = name;
    out.push_back(next_++);
  }
  self_.host().links_changed();
  return out;
}

void SimTaps::close_descriptor(int descriptor) {
  const auto found = self_.open_taps_.find(descriptor);
  if (found == self_.open_taps_.end()) return;
  const auto name = found->second;
  self_.open_taps_.erase(found);
  if (std::ranges::any_of(self_.open_taps_, [&](const auto& each) { return each.second == name; })) return;
  auto& taps = self_.host().taps_;
  const auto tap = taps.find(name);
  if (tap != taps.end() && tap->second == self_.id().pid) taps.erase(tap);
  self_.host().links_changed();
}

}  // namespace godwit::sim
