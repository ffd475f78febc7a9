#include "agent/records.h"

#include "base/id.h"

namespace godwit::agent {
namespace {

constexpr std::size_t kRecordLimit = 512UL * 1024;
constexpr std::size_t kDesiredLimit = 64UL * 1024 * 1024;
constexpr std::string_view kSuffix = ".json";

}  // namespace

Records::Records(sys::Files& files, std::string state_directory)
    : files_(files), directory_(state_directory + "/records"), desired_path_(state_directory + "/desired.json") {}

std::string Records::path_of(const std::string& instance) const { return directory_ + "/" + instance + ".json"; }

Result<> Records::prepare() { return files_.make_directories(directory_, 0700, 0); }

Result<std::vector<InstanceRecord>> Records::load() {
  const auto names = files_.list(directory_);
  if (!names) return pass(names);
  std::vector<InstanceRecord> records;
  for (const auto& name : *names) {
    if (!name.ends_with(kSuffix)) continue;
    const auto path = directory_ + "/" + name;
    const auto text = files_.read(path, kRecordLimit);
    if (!text) return pass(text);
    auto record = wire::decode<InstanceRecord>(*text, kRecordLimit);
    if (!record) return fail(Errc::protocol, "record {}: {}", path, record.error().message);
    const auto valid = wire::validate(record->spec);
    if (!valid) return fail(Errc::protocol, "record {}: {}", path, valid.error().message);
    records.push_back(std::move(*record));
  }
  return records;
}

Result<> Records::save(const InstanceRecord& record) {
  return files_.write_atomic(path_of(record.spec.id), wire::print_json_pretty(wire::to_json(record)), 0600);
}

Result<> Records::remove(const std::string& instance) { return files_.remove(path_of(instance)); }

wire::DesiredState Records::load_desired() {
  const auto text = files_.read(desired_path_, kDesiredLimit);
  if (!text) return {};
  auto desired = wire::decode<wire::DesiredState>(*text, kDesiredLimit);
  if (!desired) return {};
  desired->generation = 0;  // whatever has changed since is to be heard at once
  return std::move(*desired);
}

Result<> Records::save_desired(const wire::DesiredState& desired) {
  return files_.write_atomic(desired_path_, wire::encode(desired), 0600);
}

}  // namespace godwit::agent
