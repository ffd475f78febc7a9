#include "sim/guests.h"

#include <fmt/format.h>

#include <algorithm>

namespace godwit::sim {

int Guests::running(const std::string& instance) const {
  const auto found = instances_.find(instance);
  return found == instances_.end() ? 0 : static_cast<int>(found->second.running_on.size());
}

bool Guests::runs(const std::string& instance, const std::string& host) const {
  const auto found = instances_.find(instance);
  return found != instances_.end() && found->second.running_on.contains(host);
}

std::uint64_t Guests::acknowledged(const std::string& instance) const {
  const auto found = instances_.find(instance);
  return found == instances_.end() ? 0 : found->second.acknowledged;
}

void Guests::starts(const std::string& instance, const std::string& host, std::uint64_t records_on_disk) {
  auto& guest = instances_[instance];
  guest.running_on.insert(host);
  if (guest.running_on.size() > 1) blame(fmt::format("{} copies of {} run", guest.running_on.size(), instance));
  if (records_on_disk < guest.acknowledged) {
    blame(fmt::format("{} runs at {} on a disk with {} records, and was promised {}", instance, host, records_on_disk,
                      guest.acknowledged));
  }
}

void Guests::stands_still(const std::string& instance, const std::string& host) {
  auto& running = instances_[instance].running_on;
  if (const auto found = running.find(host); found != running.end()) running.erase(found);
}

void Guests::acknowledge(const std::string& instance, std::uint64_t record) {
  auto& known = instances_[instance].acknowledged;
  known = std::max(known, record);
}

void Guests::blame(std::string problem) {
  if (problem_.empty()) problem_ = std::move(problem);
}

bool Guests::lock(const std::string& host, const std::string& path) { return locks_.emplace(host, path).second; }

void Guests::unlock(const std::string& host, const std::string& path) { locks_.erase({host, path}); }

}  // namespace godwit::sim
