#include "migrate/record.h"

#include "base/id.h"

namespace godwit::migrate {
namespace {

constexpr std::size_t kRecordLimit_bytes = 1024UL * 1024;
constexpr std::string_view kSuffix = ".json";

}  // namespace

Result<std::vector<Record>> Records::load() {
  const auto made = files_.make_directories(directory_, 0700, 0);
  if (!made) return fail(made, "migration records");
  const auto names = files_.list(directory_);
  if (!names) return fail(names, "migration records");
  std::vector<Record> records;
  for (const auto& name : *names) {
    if (!name.ends_with(kSuffix)) continue;  // what an interrupted write has left
    const auto id = name.substr(0, name.size() - kSuffix.size());
    const auto text = files_.read(path_of(id), kRecordLimit_bytes);
    if (!text) return fail(text, "migration record");
    auto record = wire::decode<Record>(*text, kRecordLimit_bytes);
    if (!record) return fail(Errc::protocol, "migration record {}: {}", path_of(id), record.error().message);
    if (record->version != kRecordVersion || record->id != id || !is_id("mig", id)) {
      return fail(Errc::protocol, "migration record {}: is of another version or migration", path_of(id));
    }
    records.push_back(std::move(*record));
  }
  return records;
}

Result<> Records::save(const Record& record) {
  return files_.write_atomic(path_of(record.id), wire::print_json_pretty(wire::to_json(record)), 0600);
}

Result<> Records::remove(const std::string& id) { return files_.remove(path_of(id)); }

}  // namespace godwit::migrate
