#include "lab/lab.h"

#include "base/id.h"
#include "lab/interrupt.h"
#include "lab/line.h"
#include "lab/netns.h"
#include "lab/preflight.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>

namespace godwit::lab {
namespace {

constexpr std::string_view kDefaultName = "lab";
constexpr std::string_view kLineName = "delay-line";
constexpr Seconds kLineStartLimit{10};
constexpr Seconds kAwaitedLimit{120};  // a process that up() waits for; images are read before
constexpr std::size_t kMostProcesses = 256;

Result<Plan> plan_of(const State& state, const std::string& name) {
  auto config = parse_config(state.config, state.config_source);
  if (!config) return pass(config);
  config->name = name;
  return make_plan(std::move(*config));
}

// Runs one after the other; stops between two when a person asked for that.
Result<> run_all(const std::vector<Command>& commands) {
  for (const Command& command : commands) {
    if (Interrupt::came()) return fail(Errc::cancelled, "interrupted");
    if (const auto done = run_command(command); !done) return done;
  }
  return {};
}

// What tells the CLI in a node of its lab's sky, and agents how to name what they make.
std::map<std::string, std::string> node_environment(const Plan& plan, const std::string& node) {
  return {{"GODWIT_LAB", plan.config.name},
          {"GODWIT_NETNS_PREFIX", netns_prefix(plan.config.name) + node + "-"},
          {"GODWIT_TOKEN_FILE", fmt::format("{}/{}/sky/token", kStateRoot, plan.config.name)}};
}

Result<const Node*> node_of(const Plan& plan, const std::string& name) {
  const Node* node = find_node(plan, name);
  if (node) return node;
  std::vector<std::string_view> known;
  for (const Node& each : plan.nodes) known.push_back(each.name);
  return fail(Errc::not_found, R"(lab "{}" has no node "{}": it has {})", plan.config.name, name,
              fmt::join(known, ", "));
}

ProcessPlan line_process(const StateDirectory& directory) {
  std::error_code none;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", none);
  return {"wan", std::string(kLineName), {self.string(), "lab", "delay-line", directory.path()}, {}};
}

// The delay line says "+" when it serves.
Result<> await_line(int reading, const std::string& log_path) {
  pollfd said{.fd = reading, .events = POLLIN, .revents = 0};
  char byte = 0;
  const int ready = ::poll(&said, 1, static_cast<int>(Millis(kLineStartLimit).count()));
  if (ready == 1 && ::read(reading, &byte, 1) == 1) return {};
  if (Interrupt::came()) return fail(Errc::cancelled, "interrupted");
  auto why = read_file(log_path, 64UL * 1024).value_or("");
  while (why.ends_with('\n')) why.pop_back();
  return fail(Errc::io, "the delay line did not start: {}", why.empty() ? "it said nothing" : why);
}

bool has_cuts_of_hosts(const Effects& effects) {
  return std::ranges::any_of(effects.commands,
                             [](const Command& command) { return command.input.find("drop") != std::string::npos; });
}

}  // namespace

Result<std::string> Labs::up(const UpRequest& request) const {
  auto config = parse_config(request.config, request.config_source);
  if (!config) return pass(config);
  if (!request.name.empty()) config->name = request.name;
  if (config->name.empty()) config->name = kDefaultName;
  config->images = request.images;
  config->image_send_kib_s = request.image_send_kib_s;
  const std::string name = config->name;
  if (!is_lab_name(name)) {
    return fail(Errc::invalid_argument,
                R"("{}" is no name of a lab: a lower-case letter, then up to 14 letters and digits)", name);
  }
  const Plan plan = make_plan(std::move(*config));
  struct stat status{};
  const bool taken = ::stat((root_ + "/" + name).c_str(), &status) == 0;
  if (!taken) {
    if (const auto machine = check_machine(plan); !machine) return pass(machine);
  }
  const Interrupt interrupt;
  const auto directory = StateDirectory::create(root_, name);
  if (!directory) return pass(directory);
  const auto made = make(*directory, plan, request);
  if (made) return name;
  const auto undone = unmake(*directory, name);
  const Error error = made.error().within(fmt::format("bring up lab \"{}\"", name));
  if (undone) return fail(error.code, "{} (what was made of it is removed)", error.message);
  return fail(error.code, "{}; and then, to remove what was made: {}", error.message, undone.error().message);
}

Result<> Labs::make(const StateDirectory& directory, const Plan& plan, const UpRequest& request) const {
  Journal journal{boot_id(), {}};
  for (const Node& node : plan.nodes) journal.netns.push_back(node.netns);
  if (const auto written = directory.write_journal(journal); !written) return written;
  State state{request.config, request.config_source, false, {}, {}};
  if (const auto written = directory.write_state(state); !written) return written;
  if (const auto written = write_file(directory.path() + "/wan.json", to_json(plan.wan)); !written) return written;
  if (::mkdir((directory.path() + "/log").c_str(), 0700) != 0) return fail_errno(errno, "create the log directory");
  if (const auto made = run_all(plan.make_namespaces); !made) return made;
  if (const auto filled = run_all(plan.fill_namespaces); !filled) return filled;

  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  if (const auto started = start(directory, plan, state, line_process(directory), writing.get()); !started)
    return started;
  writing = Descriptor();
  if (const auto ready = await_line(reading.get(), state.processes.back().log_path); !ready) return ready;
  if (request.processes) {
    const auto processes = request.processes(plan, directory.path());
    if (!processes) return pass(processes);
    for (const ProcessPlan& process : *processes) {
      if (Interrupt::came()) return fail(Errc::cancelled, "interrupted");
      if (const auto started = start(directory, plan, state, process, -1); !started) return started;
    }
    for (const ProcessPlan& process : *processes) {
      if (!process.awaited) continue;
      if (const auto done = await(state, process); !done) return done;
    }
  }
  state.complete = true;
  return directory.write_state(state);
}

// A crash between the start and the record leaves a process that down() finds by its namespace.
Result<> Labs::start(const StateDirectory& directory, const Plan& plan, State& state, const ProcessPlan& process,
                     int inherited) const {
  const auto node = node_of(plan, process.node);
  if (!node) return pass(node);
  if (!is_label(process.name)) {
    return fail(Errc::invalid_argument, R"("{}" is no name of a process: letters, digits and hyphens)", process.name);
  }
  for (auto each = state.processes.begin(); each != state.processes.end();) {
    const bool same = each->node == process.node && each->name == process.name;
    if (same && is_alive(each->id)) {
      return fail(Errc::conflict, R"(a process "{}" runs in {} already (pid {}))", process.name, process.node,
                  each->id.pid);
    }
    each = same ? state.processes.erase(each) : std::next(each);
  }
  if (state.processes.size() >= kMostProcesses)
    return fail(Errc::exhausted, "a lab has at most {} processes", kMostProcesses);
  ProcessPlan full = process;
  full.environment.merge(node_environment(plan, process.node));
  const std::string log_path = fmt::format("{}/log/{}.{}.log", directory.path(), process.node, process.name);
  auto record = start_process(full, (*node)->netns, log_path, inherited);
  if (!record) return pass(record);
  state.processes.push_back(std::move(*record));
  return directory.write_state(state);
}

Result<> Labs::await(State& state, const ProcessPlan& process) {
  const auto found = std::ranges::find_if(state.processes, [&](const ProcessRecord& each) {
    return each.node == process.node && each.name == process.name;
  });
  const auto awaited = *found;
  state.processes.erase(found);
  return await_end(awaited, state.processes, kAwaitedLimit);
}

Result<> Labs::down(const std::string& name) const {
  const auto directory = StateDirectory::open(root_, name);
  if (!directory) return pass(directory);
  return unmake(*directory, name);
}

Result<> Labs::unmake(const StateDirectory& directory, const std::string& name) const {
  const Interrupt uninterrupted;
  const Journal journal = directory.read_journal();
  const auto state = directory.read_state();
  // Agents make namespaces of their own, with the lab's prefix.
  const auto all_netns = [&journal, &name] {
    std::vector<std::string> all = netns_with_prefix(netns_prefix(name));
    std::erase_if(all, [&journal](const std::string&) { return journal.netns.empty(); });
    return all;
  };
  if (inside_of(all_netns())) {
    return fail(Errc::conflict, "you are inside lab \"{}\": run this command outside of it", name);
  }
  const auto left_processes = [&] {
    auto left = processes_in(all_netns());
    if (!state || journal.boot_id != boot_id()) return left;
    for (const ProcessRecord& process : state->processes) {
      if (is_alive(process.id) && std::ranges::find(left, process.id) == left.end()) left.push_back(process.id);
    }
    return left;
  };
  if (const auto stopped = stop_processes(left_processes); !stopped) return stopped;
  std::string batch;
  for (const std::string& each : all_netns()) batch += "netns del " + each + "\n";
  if (!batch.empty()) {
    if (const auto deleted = run_command({"", {"ip", "-batch", "-"}, batch}); !deleted) return deleted;
  }
  return directory.remove();
}

Result<LabStatus> Labs::status(const std::string& name) const {
  const std::string directory = root_ + "/" + name;
  struct stat found{};
  if (::stat(directory.c_str(), &found) != 0) {
    return fail(Errc::not_found, "lab \"{0}\" is not up: godwit lab up --name {0}", name);
  }
  LabStatus status{.name = name, .plan = {}, .paths = {}, .faults = {}, .processes = {}};
  const auto state = look_at(root_, name);
  if (!state) return status;  // its up had just begun
  auto plan = plan_of(*state, name);
  if (!plan) return pass(plan);
  status.complete = state->complete;
  status.plan = std::move(*plan);
  status.faults = state->faults;
  for (const ProcessRecord& record : state->processes) {
    status.processes.push_back({record, is_alive(record.id)});
    if (record.name == kLineName) status.line_alive = status.processes.back().alive;
  }
  const auto counters = status.line_alive ? ask_counters(directory) : fail(Errc::unavailable, "gone");
  const Effects effects = effects_of(status.plan, status.faults);
  for (std::size_t i = 0; i < effects.table.size(); ++i) {
    const WanRow& row = effects.table[i];
    const auto& ports = status.plan.wan.ports;
    PathStatus path{ports[row.from].site, ports[row.to].site, row.source, row.destination, row.shape, {}};
    if (counters && counters->rows.size() == effects.table.size()) path.counters = counters->rows[i].counters;
    status.paths.push_back(std::move(path));
  }
  return status;
}

Result<Labs::Opened> Labs::open(const std::string& name) const {
  auto directory = StateDirectory::open(root_, name);
  if (!directory) return pass(directory);
  auto state = directory->read_state();
  if (!state) return pass(state);
  auto plan = plan_of(*state, name);
  if (!plan) return pass(plan);
  return Opened{std::move(*directory), std::move(*state), std::move(*plan)};
}

Result<> Labs::set_faults(Opened& lab, std::vector<Fault> faults) {
  const bool had_cuts = has_cuts_of_hosts(effects_of(lab.plan, lab.state.faults));
  lab.state.faults = std::move(faults);
  const Effects effects = effects_of(lab.plan, lab.state.faults);
  // Written first: whatever fails now, the next command brings everything to what is written.
  if (const auto written = lab.directory.write_state(lab.state); !written) return written;
  if (const auto set = set_table(lab.directory.path(), effects.table); !set) return set;
  return had_cuts || has_cuts_of_hosts(effects) ? run_all(effects.commands) : Result<>{};
}

Result<> Labs::fault(const std::string& name, const Fault& change) const {
  auto lab = open(name);
  if (!lab) return pass(lab);
  if (const auto checked = check_fault(lab->plan, change); !checked) return checked;
  auto faults = lab->state.faults;
  auto same = std::ranges::find_if(faults, [&](const Fault& each) { return each.between(change.a, change.b); });
  if (same == faults.end()) {
    if (faults.size() >= kMostFaults) {
      return fail(Errc::exhausted, "lab \"{}\" has {} faults already: godwit lab heal", name, kMostFaults);
    }
    same = faults.insert(faults.end(), {.a = change.a, .b = change.b});
  }
  same->cut = same->cut || change.cut;
  if (change.rate_bps) same->rate_bps = change.rate_bps;
  if (change.round_trip) same->round_trip = change.round_trip;
  if (change.loss_ppm) same->loss_ppm = change.loss_ppm;
  return set_faults(*lab, std::move(faults));
}

Result<> Labs::heal(const std::string& name, const std::optional<std::pair<std::string, std::string>>& between) const {
  auto lab = open(name);
  if (!lab) return pass(lab);
  auto faults = lab->state.faults;
  if (between) {
    const Fault healed{.a = between->first, .b = between->second};
    if (const auto checked = check_fault(lab->plan, healed); !checked) return checked;
    std::erase_if(faults, [&healed](const Fault& each) { return each.between(healed.a, healed.b); });
  } else {
    faults.clear();
  }
  return set_faults(*lab, std::move(faults));
}

Result<ProcessRecord> Labs::run(const std::string& name, const ProcessPlan& process) const {
  auto lab = open(name);
  if (!lab) return pass(lab);
  if (const auto started = start(lab->directory, lab->plan, lab->state, process, -1); !started) return pass(started);
  return lab->state.processes.back();
}

Result<> Labs::exec(const std::string& name, const std::string& node, const std::vector<std::string>& argv) const {
  const auto state = look_at(root_, name);
  if (!state) return pass(state);
  const auto plan = plan_of(*state, name);
  if (!plan) return pass(plan);
  const auto found = node_of(*plan, node);
  if (!found) return pass(found);
  if (const auto entered = enter_netns((*found)->netns); !entered) return entered;
  for (const auto& [key, value] : node_environment(*plan, node)) ::setenv(key.c_str(), value.c_str(), 1);
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execvp(words[0], words.data());
  return fail_errno(errno, fmt::format("run {} in {}", argv[0], node));
}

}  // namespace godwit::lab
