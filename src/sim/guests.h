// What somebody who sees every host of a world knows of its guests: who runs, what was promised to them, and whether
// anything has happened that never may. All simulated QEMUs of a world report here.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace godwit::sim {

class Guests final {
 public:
  [[nodiscard]] int running(const std::string& instance) const;
  [[nodiscard]] bool runs(const std::string& instance, const std::string& host) const;
  // The last disk record that a guest of that instance was told to be safe.
  [[nodiscard]] std::uint64_t acknowledged(const std::string& instance) const;
  // The first thing that was wrong: two copies that run at once, a guest that runs on less than it was promised.
  [[nodiscard]] const std::string& problem() const { return problem_; }

  // For QEMUs.
  void starts(const std::string& instance, const std::string& host, std::uint64_t records_on_disk);
  void stands_still(const std::string& instance, const std::string& host);
  void acknowledge(const std::string& instance, std::uint64_t record);
  void blame(std::string problem);
  // Of a file: one process a file and host at a time.
  [[nodiscard]] bool lock(const std::string& host, const std::string& path);
  void unlock(const std::string& host, const std::string& path);

 private:
  struct Instance {
    std::multiset<std::string> running_on;
    std::uint64_t acknowledged{0};
  };
  std::map<std::string, Instance> instances_;
  std::set<std::pair<std::string, std::string>> locks_;
  std::string problem_;
};

}  // namespace godwit::sim
