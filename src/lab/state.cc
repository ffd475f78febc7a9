#include "lab/state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <sstream>

namespace godwit::lab {
namespace {
namespace json = boost::json;

constexpr std::size_t kMostStateBytes = 4UL * 1024 * 1024;
constexpr Seconds kLockLimit{10};
constexpr Millis kLockRetry{20};

json::value fault_json(const Fault& fault) {
  json::object object{{"a", fault.a}, {"b", fault.b}, {"cut", fault.cut}};
  if (fault.rate_bps) object["rate_bps"] = *fault.rate_bps;
  if (fault.round_trip) object["round_trip_ns"] = fault.round_trip->count();
  if (fault.loss_ppm) object["loss_ppm"] = *fault.loss_ppm;
  return object;
}

json::value process_json(const ProcessRecord& process) {
  return {{"node", process.node},    {"name", process.name},  {"argv", json::value_from(process.argv)},
          {"log", process.log_path}, {"pid", process.id.pid}, {"start_ticks", process.id.start_ticks}};
}

// These throw; parse_state() turns that into an Error.
std::string text_of(const json::value& value) { return std::string(value.as_string()); }

Fault fault_of(const json::value& value) {
  Fault fault{.a = text_of(value.at("a")), .b = text_of(value.at("b")), .cut = value.at("cut").as_bool()};
  const json::object& object = value.as_object();
  if (const auto* rate = object.if_contains("rate_bps")) fault.rate_bps = rate->to_number<std::uint64_t>();
  if (const auto* span = object.if_contains("round_trip_ns")) fault.round_trip = Nanos{span->to_number<std::int64_t>()};
  if (const auto* loss = object.if_contains("loss_ppm")) fault.loss_ppm = loss->to_number<std::uint32_t>();
  return fault;
}

ProcessRecord process_of(const json::value& value) {
  return {text_of(value.at("node")),
          text_of(value.at("name")),
          json::value_to<std::vector<std::string>>(value.at("argv")),
          text_of(value.at("log")),
          {value.at("pid").to_number<std::int32_t>(), value.at("start_ticks").to_number<std::uint64_t>()}};
}

Result<> sync_directory(const std::string& path) {
  const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) return fail_errno(errno, "sync " + path);
  return {};
}

Error exists_already(const std::string& root, const std::string& name) {
  const auto state = look_at(root, name);
  if (state && state->complete) {
    return {Errc::conflict, fmt::format("lab \"{0}\" is up already: godwit lab down {0}", name)};
  }
  return {Errc::conflict, fmt::format("lab \"{0}\" is being made, or was left half made: godwit lab down {0}", name)};
}

}  // namespace

std::string to_text(const Journal& journal) {
  std::string text = "boot " + journal.boot_id + "\n";
  for (const std::string& name : journal.netns) text += "netns " + name + "\n";
  return text;
}

Journal parse_journal(std::string_view text) {
  Journal journal;
  while (true) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return journal;
    const auto line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.starts_with("boot ")) journal.boot_id = line.substr(5);
    if (line.starts_with("netns ")) journal.netns.emplace_back(line.substr(6));
  }
}

std::string to_json(const State& state) {
  json::array faults;
  for (const Fault& fault : state.faults) faults.push_back(fault_json(fault));
  json::array processes;
  for (const ProcessRecord& process : state.processes) processes.push_back(process_json(process));
  return json::serialize(json::object{{"config", state.config},
                                      {"config_source", state.config_source},
                                      {"complete", state.complete},
                                      {"faults", faults},
                                      {"processes", processes}});
}

Result<State> parse_state(std::string_view text) {
  try {
    const json::value value = json::parse(json::string_view(text.data(), text.size()));
    State state{
        text_of(value.at("config")), text_of(value.at("config_source")), value.at("complete").as_bool(), {}, {}};
    for (const json::value& each : value.at("faults").as_array()) state.faults.push_back(fault_of(each));
    for (const json::value& each : value.at("processes").as_array()) state.processes.push_back(process_of(each));
    return state;
  } catch (const std::exception& error) {
    return fail(Errc::protocol, "state of the lab: {}", error.what());
  }
}

Result<std::string> read_file(const std::string& path, std::size_t limit_bytes) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno(errno, "open " + path);
  std::string content;
  std::string chunk(64UL * 1024, '\0');
  while (content.size() <= limit_bytes) {
    const ssize_t got = ::read(file.get(), chunk.data(), chunk.size());
    if (got < 0) return fail_errno(errno, "read " + path);
    if (got == 0) return content;
    content.append(chunk, 0, static_cast<std::size_t>(got));
  }
  return fail(Errc::exhausted, "read {}: larger than {} bytes", path, limit_bytes);
}

Result<> write_file(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".new";
  const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return fail_errno(errno, "create " + temporary);
  for (std::string_view left = content; !left.empty();) {
    const ssize_t put = ::write(file.get(), left.data(), left.size());
    if (put < 0) return fail_errno(errno, "write " + temporary);
    left.remove_prefix(static_cast<std::size_t>(put));
  }
  if (::fsync(file.get()) != 0) return fail_errno(errno, "sync " + temporary);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno(errno, "rename " + temporary);
  return sync_directory(std::filesystem::path(path).parent_path());
}

std::string boot_id() {
  auto id = read_file("/proc/sys/kernel/random/boot_id", 64);
  return id ? id->substr(0, id->find('\n')) : std::string();
}

Result<StateDirectory> StateDirectory::create(std::string root, const std::string& name) {
  std::error_code error;
  std::filesystem::create_directories(root, error);
  if (error) return fail(Errc::io, "create {}: {}", root, error.message());
  std::string path = root + "/" + name;
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno == EEXIST) return std::unexpected(exists_already(root, name));
    return fail_errno(errno, "create " + path);
  }
  return lock(std::move(path), name);
}

Result<StateDirectory> StateDirectory::open(std::string root, const std::string& name) {
  return lock(root + "/" + name, name);
}

Result<StateDirectory> StateDirectory::lock(std::string path, const std::string& name) {
  // Not closed on exec: a command that `up` ran when it was killed keeps the lock until it has made what it makes.
  Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY));
  if (!directory) {
    if (errno == ENOENT) return fail(Errc::not_found, "lab \"{0}\" is not up: godwit lab up --name {0}", name);
    return fail_errno(errno, "open " + path);
  }
  const timespec pause{.tv_sec = 0, .tv_nsec = Nanos(kLockRetry).count()};
  for (auto waited = Nanos{0}; ::flock(directory.get(), LOCK_EX | LOCK_NB) != 0; waited += kLockRetry) {
    if (waited >= kLockLimit) {
      return fail(Errc::conflict, "lab \"{}\": another godwit lab command has been changing it for {} s", name,
                  kLockLimit.count());
    }
    ::nanosleep(&pause, nullptr);
  }
  // Whoever had the lock may have taken the lab down.
  struct stat status{};
  if (::fstat(directory.get(), &status) != 0 || status.st_nlink == 0) {
    return fail(Errc::not_found, "lab \"{0}\" was just taken down: godwit lab up --name {0}", name);
  }
  return StateDirectory(std::move(path), std::move(directory));
}

Result<> StateDirectory::write_journal(const Journal& journal) const {
  return write_file(path_ + "/journal", to_text(journal));
}

Journal StateDirectory::read_journal() const {
  const auto text = read_file(path_ + "/journal", kMostStateBytes);
  return text ? parse_journal(*text) : Journal{};
}

Result<> StateDirectory::write_state(const State& state) const {
  return write_file(path_ + "/lab.json", to_json(state));
}

Result<State> StateDirectory::read_state() const {
  const auto text = read_file(path_ + "/lab.json", kMostStateBytes);
  if (!text) return pass(text);
  return parse_state(*text);
}

Result<> StateDirectory::remove() const {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
  if (error) return fail(Errc::io, "remove {}: {}", path_, error.message());
  return {};
}

std::vector<std::string> lab_names(const std::string& root) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(root, none)) {
    if (auto name = entry.path().filename().string(); is_lab_name(name)) names.push_back(std::move(name));
  }
  std::ranges::sort(names);
  return names;
}

Result<State> look_at(const std::string& root, const std::string& name) {
  const auto text = read_file(root + "/" + name + "/lab.json", kMostStateBytes);
  if (!text) return fail(Errc::not_found, "lab \"{0}\" is not up: godwit lab up --name {0}", name);
  return parse_state(*text);
}

}  // namespace godwit::lab
