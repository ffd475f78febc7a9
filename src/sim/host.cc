#include "sim/host.h"

#include "sim/network.h"

#include <algorithm>

namespace godwit::sim {

Host::Host(World& world, std::string name, std::string site, std::string ip)
    : world_(world), name_(std::move(name)), site_(std::move(site)), ip_(std::move(ip)) {}
Host::~Host() = default;

Process& Host::add_process(const std::string& process_name, const Identity& identity) {
  const sys::ProcessId id{next_pid_, static_cast<std::uint64_t>(world_.now().time_since_epoch().count())};
  ++next_pid_;
  processes_.push_back(std::unique_ptr<Process>(new Process(*this, process_name, identity, id)));
  world_.processes_.push_back(processes_.back().get());
  world_.trace(fmt::format("{}/{} starts as {}", name_, process_name, id.pid));
  return *processes_.back();
}

Process& Host::start(const std::string& process_name, const Identity& identity, const Factory& make) {
  Process& process = add_process(process_name, identity);
  process.program_ = make(process);
  return process;
}

Process* Host::find(const std::string& process_name) {
  for (const auto& each : processes_) {
    if (each->name() == process_name && !each->doomed_) return each.get();
  }
  return nullptr;
}

Process* Host::find(sys::ProcessId id) {
  for (const auto& each : processes_) {
    if (each->id() == id && !each->doomed_) return each.get();
  }
  return nullptr;
}

void Host::bury(Process& process) {
  const auto found =
      std::find_if(processes_.begin(), processes_.end(), [&](const auto& p) { return p.get() == &process; });
  const auto dead = std::move(*found);  // destroyed at the end, when nobody finds it any more
  processes_.erase(found);
  std::erase(world_.processes_, &process);
  const auto unplugged = std::erase_if(taps_, [&](const auto& tap) { return tap.second == process.id().pid; });
  world_.trace(fmt::format("{}/{} is gone", name_, process.name()));
  for (auto* each : mourners_) each->notify();
  if (unplugged > 0) links_changed();
}

void Host::links_changed() {
  for (auto* each : link_watches_) each->notify();
}

std::vector<Process*> Host::processes() const {
  std::vector<Process*> living;
  for (const auto& each : processes_) {
    if (!each->doomed_) living.push_back(each.get());
  }
  return living;
}

void Host::power_off() {
  world_.trace(name_ + " loses power");
  dark_ = true;
  for (const auto& each : processes_) each->kill();
  world_.bury_doomed();
  files_.lose_power();
  switch_taps_.clear();
  gateways_.clear();
  dark_ = false;
}

std::uint16_t Host::free_port() {
  while (ports_.contains({"", next_port_})) ++next_port_;
  return next_port_++;
}

}  // namespace godwit::sim
