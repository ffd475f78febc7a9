#include "lab/command.h"

#include "lab/lab.h"
#include "lab/line.h"
#include "lab/report.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

namespace godwit::lab {
namespace {

constexpr int kFailed = 1;
constexpr int kReadyDescriptor = 3;  // as start_process() hands it over

// What the words of a command line are read into; lives as long as the parser.
struct Words {
  std::string lab;
  std::string file;
  std::string a;
  std::string b;
  std::string value;
  std::string process;
  std::string directory;
  std::vector<std::string> command;
  std::vector<std::string> images;
  std::uint32_t image_send_kib_s{0};
  bool bare{false};
  bool json{false};
};

class Commands {
 public:
  Commands(ProcessPlanner planner, int& exit_code) : planner_(std::move(planner)), exit_code_(exit_code) {}

  // Each returns when its work is done, or with what stderr is to say.
  Result<> up() {
    UpRequest request{words.lab,    std::string(kDefaultLab), "(default lab)", words.bare ? ProcessPlanner{} : planner_,
                      words.images, words.image_send_kib_s};
    if (!words.file.empty()) {
      auto text = read_file(words.file, kMostConfigBytes);
      if (!text) return pass(text);
      request.config = std::move(*text);
      request.config_source = words.file;
    }
    const auto name = labs_.up(request);
    if (!name) return pass(name);
    const auto status = labs_.status(*name);
    if (!status) return pass(status);
    fmt::print("{}", welcome(*status));
    return {};
  }

  Result<> status() {
    std::vector<LabStatus> all;
    for (const std::string& name : words.lab.empty() ? labs_.names() : std::vector{words.lab}) {
      auto status = labs_.status(name);
      if (!status) return pass(status);
      all.push_back(std::move(*status));
    }
    if (words.json) fmt::print("{}\n", to_json(all));
    if (words.json) return {};
    if (all.empty()) fmt::print("No lab is up. Bring one up with: godwit lab up\n");
    for (const LabStatus& each : all) fmt::print("{}", to_table(each));
    return {};
  }

  Result<> down() {
    const auto name = the_lab();
    return name ? labs_.down(*name) : Result<>(pass(name));
  }

  Result<> exec() {
    const auto name = the_lab();
    return name ? labs_.exec(*name, words.a, words.command) : Result<>(pass(name));
  }

  Result<> run() {
    const auto name = the_lab();
    if (!name) return pass(name);
    const auto record = labs_.run(*name, {words.a, words.process, words.command, {}});
    if (!record) return pass(record);
    fmt::print("{} runs in {} as pid {}, its output goes to {}\n", record->name, record->node, record->id.pid,
               record->log_path);
    return {};
  }

  Result<> heal() {
    const auto name = the_lab();
    if (!name) return pass(name);
    if (words.a.empty()) return labs_.heal(*name, std::nullopt);
    if (words.b.empty()) return fail(Errc::invalid_argument, "heal {}: name two places, or none for all", words.a);
    return labs_.heal(*name, std::pair(words.a, words.b));
  }

  Result<> cut() {
    Fault fault = fault_between();
    fault.cut = true;
    return apply(fault);
  }

  Result<> rate() {
    const auto rate = parse_rate(words.value);
    if (!rate) return pass(rate);
    Fault fault = fault_between();
    fault.rate_bps = *rate;
    return apply(fault);
  }

  Result<> delay() {
    const auto span = parse_span(words.value);
    if (!span) return pass(span);
    Fault fault = fault_between();
    fault.round_trip = *span;
    return apply(fault);
  }

  Result<> loss() {
    const auto loss = parse_loss(words.value);
    if (!loss) return pass(loss);
    Fault fault = fault_between();
    fault.loss_ppm = *loss;
    return apply(fault);
  }

  Result<> delay_line() { return run_line(words.directory, kReadyDescriptor); }

  void carry_out(Result<> (Commands::*command)()) {
    const auto done = (this->*command)();
    if (done) return;
    fmt::print(stderr, "godwit lab: {}\n", done.error().message);
    exit_code_ = kFailed;
  }

  Words words;

 private:
  Fault fault_between() const { return {.a = words.a, .b = words.b}; }

  Result<> apply(const Fault& fault) {
    const auto name = the_lab();
    return name ? labs_.fault(*name, fault) : Result<>(pass(name));
  }

  // The one that was named, else the one that is up.
  Result<std::string> the_lab() const {
    if (!words.lab.empty()) return words.lab;
    const auto names = labs_.names();
    if (names.size() == 1) return names.front();
    if (names.empty()) return fail(Errc::not_found, "no lab is up: godwit lab up");
    return fail(Errc::invalid_argument, "several labs are up ({}): say which, with --lab NAME", fmt::join(names, ", "));
  }

  Labs labs_;
  ProcessPlanner planner_;
  int& exit_code_;
};

using Shared = std::shared_ptr<Commands>;  // of the callbacks, which live in the parser

CLI::App* add(CLI::App& app, const Shared& commands, const std::string& name, const std::string& help,
              Result<> (Commands::*command)()) {
  CLI::App* sub = app.add_subcommand(name, help);
  sub->callback([commands, command] { commands->carry_out(command); });
  return sub;
}

void name_lab(CLI::App& sub, const Shared& commands) {
  sub.add_option("--lab", commands->words.lab, "Which lab, when several are up")->envname("GODWIT_LAB");
}

void add_life(CLI::App& app, const Shared& commands) {
  Words& words = commands->words;
  CLI::App* up = add(app, commands, "up", "Make a lab: two clouds, or what lab.toml says", &Commands::up);
  up->add_option("lab.toml", words.file, "What to make (see docs/ops/lab.md)");
  up->add_option("--name", words.lab, "The lab's name, for several side by side");
  up->add_option("--image", words.images, "A directory that images/build-* has filled; may be repeated");
  up->add_option("--image-send-kib-s", words.image_send_kib_s,
                 "KiB/s at which sky, each cloud and each host give of images (0: as fast as can be)");
  up->add_flag("--bare", words.bare, "The networks alone, without the processes of Godwit in them");

  CLI::App* status = add(app, commands, "status", "Show what is up, and how its paths are", &Commands::status);
  status->add_option("name,--name,--lab", words.lab, "Which lab; all, when none is named");
  status->add_flag("--json", words.json, "For programs");

  CLI::App* down = add(app, commands, "down", "Remove a lab and everything that runs in it", &Commands::down);
  down->add_option("name,--name,--lab", words.lab, "Which lab, when several are up");
}

void add_programs(CLI::App& app, const Shared& commands) {
  Words& words = commands->words;
  CLI::App* exec =
      add(app, commands, "exec", "Run a command in a node, as if there: exec a1 -- ping b1", &Commands::exec);
  name_lab(*exec, commands);
  exec->add_option("node", words.a, "Where")->required();
  exec->add_option("command", words.command, "What, after --")->required();

  CLI::App* run =
      add(app, commands, "run", "Start a process in a node that runs until the lab goes down", &Commands::run);
  name_lab(*run, commands);
  run->add_option("node", words.a, "Where")->required();
  run->add_option("--name", words.process, "What status calls it")->required();
  run->add_option("command", words.command, "What, after --")->required();

  CLI::App* line = add(app, commands, "delay-line", "The lab's own WAN process", &Commands::delay_line);
  line->group("");  // hidden: up starts it
  line->add_option("directory", words.directory)->required();
}

void add_faults(CLI::App& app, const Shared& commands) {
  Words& words = commands->words;
  const auto between = [&](CLI::App* sub) {
    name_lab(*sub, commands);
    sub->add_option("A", words.a, R"(A cloud, a public node, a host, or "wan" (all outside of B))")->required();
    sub->add_option("B", words.b, "The other end")->required();
    return sub;
  };
  between(add(app, commands, "cut", "Lose every packet between A and B: cut cloud-a cloud-b", &Commands::cut));
  between(add(app, commands, "rate", "Change the rate, each way: rate cloud-a cloud-b 50mbit", &Commands::rate))
      ->add_option("rate", words.value, R"(Such as 50mbit, or "unlimited")")
      ->required();
  between(add(app, commands, "delay", "Change the round trip: delay cloud-a cloud-b 80ms", &Commands::delay))
      ->add_option("round-trip", words.value, "Such as 80ms; half of it each way")
      ->required();
  between(
      add(app, commands, "loss", "Lose some packets by chance, each way: loss cloud-a cloud-b 0.5%", &Commands::loss))
      ->add_option("loss", words.value, "Such as 0.5%")
      ->required();
  CLI::App* heal = add(app, commands, "heal", "Undo all faults between A and B, or in the whole lab", &Commands::heal);
  name_lab(*heal, commands);
  heal->add_option("A", words.a, "One end");
  heal->add_option("B", words.b, "The other");
}

// Debian's iproute2 and procps live in directories that a plain PATH may lack.
void complete_path() {
  const char* path = std::getenv("PATH");
  const std::string whole = (path ? std::string(path) + ":" : "") + "/usr/sbin:/usr/bin:/sbin:/bin";
  ::setenv("PATH", whole.c_str(), 1);
}

}  // namespace

void add_commands(CLI::App& app, ProcessPlanner planner, int& exit_code) {
  complete_path();
  const auto commands = std::make_shared<Commands>(std::move(planner), exit_code);
  app.require_subcommand(1);
  add_life(app, commands);
  add_programs(app, commands);
  add_faults(app, commands);
}

}  // namespace godwit::lab
