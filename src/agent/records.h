// What the agent must not forget: one JSON file an instance, in STATE/records, and the last desired state of the host.
#pragma once

#include "sys/files.h"
#include "wire/host.h"

#include <string>
#include <vector>

namespace godwit::agent {

struct InstanceRecord {
  wire::InstanceSpec spec;
  std::uint32_t uid{0};
  std::uint64_t location_version{0};  // of this host's claim; 0 while the instance has only been announced to arrive
  bool ready{false};                  // the guest has phoned home
  bool halted{false};   // the guest has ended itself, and is not to be started until it is asked for again
  std::string claim{};  // with which it arrived here, as in wire::Location
};
BOOST_DESCRIBE_STRUCT(InstanceRecord, (), (spec, uid, location_version, ready, halted, claim))

class Records {
 public:
  Records(sys::Files& files, std::string state_directory);

  [[nodiscard]] Result<> prepare();
  // Errors: protocol where a file can't be read as a record: then a person must look (the instance may not be ours).
  [[nodiscard]] Result<std::vector<InstanceRecord>> load();
  [[nodiscard]] Result<> save(const InstanceRecord& record);
  [[nodiscard]] Result<> remove(const std::string& instance);

  [[nodiscard]] wire::DesiredState load_desired();  // empty when there is none
  [[nodiscard]] Result<> save_desired(const wire::DesiredState& desired);

 private:
  [[nodiscard]] std::string path_of(const std::string& instance) const;

  sys::Files& files_;
  std::string directory_;
  std::string desired_path_;
};

}  // namespace godwit::agent
