#include "sky/records.h"

#include "wire/json.h"

namespace godwit::sky {
namespace {

constexpr std::size_t kRecordLimit = 4UL * 1024 * 1024;
constexpr unsigned kSecretMode = 0600;
constexpr unsigned kDirectoryMode = 0700;

std::string path_of(const std::string& directory, std::string_view kind, const std::string& name) {
  return fmt::format("{}/{}/{}.json", directory, kind, name);
}

template <class Record>
Result<std::vector<Record>> load_all(sys::Files& files, const std::string& directory, std::string_view kind) {
  const auto folder = fmt::format("{}/{}", directory, kind);
  const auto names = files.list(folder);
  if (!names) return pass(names);
  std::vector<Record> out;
  for (const auto& name : *names) {
    if (!name.ends_with(".json")) continue;  // what a crash left of an unfinished write
    const auto path = folder + "/" + name;
    const auto text = files.read(path, kRecordLimit);
    if (!text) return pass(text);
    auto record = wire::decode<Record>(*text, kRecordLimit);
    if (!record) return fail(record, fmt::format("read {} (restore it, or move it away to forget it)", path));
    out.push_back(std::move(*record));
  }
  return out;
}

template <class Record>
Result<> write(sys::Files& files, const std::string& path, const Record& record) {
  return files.write_atomic(path, wire::print_json_pretty(wire::to_json(record)), kSecretMode);
}

}  // namespace

Result<Store> Store::open(sys::Files& files, std::string directory) {
  for (const auto* kind : {"accounts", "clusters", "image-names", "migrations", "security-groups"}) {
    const auto made = files.make_directories(fmt::format("{}/{}", directory, kind), kDirectoryMode, 0);
    if (!made) return fail(made, "open sky's state");
  }
  return Store(files, std::move(directory));
}

Result<std::vector<wire::Account>> Store::accounts() const {
  return load_all<wire::Account>(*files_, directory_, "accounts");
}
Result<std::vector<ClusterRecord>> Store::clusters() const {
  return load_all<ClusterRecord>(*files_, directory_, "clusters");
}
Result<std::vector<MigrationRecord>> Store::migrations() const {
  return load_all<MigrationRecord>(*files_, directory_, "migrations");
}
Result<std::vector<ImageRecord>> Store::images() const {
  return load_all<ImageRecord>(*files_, directory_, "image-names");
}

Result<std::vector<wire::SecurityGroup>> Store::security_groups() const {
  return load_all<wire::SecurityGroup>(*files_, directory_, "security-groups");
}

Result<> Store::save(const wire::Account& account) {
  return write(*files_, path_of(directory_, "accounts", account.cloud), account);
}
Result<> Store::save(const ClusterRecord& cluster) {
  return write(*files_, path_of(directory_, "clusters", cluster.spec.name), cluster);
}
Result<> Store::save(const MigrationRecord& migration) {
  return write(*files_, path_of(directory_, "migrations", migration.id), migration);
}
Result<> Store::save(const wire::SecurityGroup& group) {
  return write(*files_, path_of(directory_, "security-groups", group.name), group);
}

Result<> Store::remove_account(const std::string& cloud) {
  return files_->remove(path_of(directory_, "accounts", cloud));
}
Result<> Store::remove_cluster(const std::string& name) {
  return files_->remove(path_of(directory_, "clusters", name));
}
Result<> Store::remove_migration(const std::string& id) {
  return files_->remove(path_of(directory_, "migrations", id));
}
Result<> Store::save(const ImageRecord& image) {
  return write(*files_, path_of(directory_, "image-names", image.name), image);
}

Result<> Store::remove_image(const std::string& name) {
  return files_->remove(path_of(directory_, "image-names", name));
}

Result<> Store::remove_security_group(const std::string& name) {
  return files_->remove(path_of(directory_, "security-groups", name));
}

}  // namespace godwit::sky
