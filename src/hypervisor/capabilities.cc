// What this host's QEMU can do, found out by asking it and by booting something.
#include "hypervisor/machine.h"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace godwit::hypervisor {
namespace {

namespace json = wire::json;

constexpr Seconds kAskLimit{20};
constexpr Seconds kBootLimit{20};  // the sector boots in half a second under emulation, in a quarter of that with KVM
constexpr std::size_t kProbeAnswerLimit = 64UL * 1024;
constexpr std::string_view kProbeWord = "godwit-boots";
constexpr const char* kUserfaultfd = "/proc/sys/vm/unprivileged_userfaultfd";

// A boot sector that says kProbeWord on the first serial port and resets the machine, which with -no-reboot ends QEMU.
//   cli; xor ax,ax; mov ds,ax; mov si,word; mov dx,0x3f8
//   next: lodsb; test al,al; jz done; out dx,al; jmp next
//   done: mov al,0xfe; out 0x64,al; hlt; jmp done+4
std::string boot_sector() {
  static constexpr unsigned char kCode[] = {0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0xbe, 0x1a, 0x7c, 0xba,
                                            0xf8, 0x03, 0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb,
                                            0xf8, 0xb0, 0xfe, 0xe6, 0x64, 0xf4, 0xeb, 0xfd};
  std::string sector(reinterpret_cast<const char*>(kCode), sizeof kCode);
  sector += kProbeWord;
  sector.resize(510);
  sector += "\x55\xaa";
  return sector;
}

// What is remembered, and for which machine: another boot, kernel or QEMU asks again.
struct Remembered {
  std::string key;
  Capabilities capabilities;
};
BOOST_DESCRIBE_STRUCT(Remembered, (), (key, capabilities))

std::string key_of(sys::Runtime& runtime, const std::string& version) {
  const auto boot = runtime.files.read("/proc/sys/kernel/random/boot_id", 256);
  const auto kernel = runtime.files.read("/proc/sys/kernel/osrelease", 256);
  const auto userfaultfd = runtime.files.read(kUserfaultfd, 16);
  return fmt::format("{}|{}|{}|{}", version, boot.value_or(""), kernel.value_or(""), userfaultfd.value_or(""));
}

// Plain functions: g++ 12 stumbles over initializer lists inside coroutines.
sys::ProcessSpec program(const QemuProgram& qemu, std::initializer_list<std::string> arguments) {
  sys::ProcessSpec spec;
  spec.argv = {qemu.path};
  spec.argv.insert(spec.argv.end(), arguments);
  return spec;
}
sys::ProcessSpec ask_version(const QemuProgram& qemu) { return program(qemu, {"--version"}); }
sys::ProcessSpec ask_help(const QemuProgram& qemu, const std::string& about) { return program(qemu, {about, "help"}); }
sys::ProcessSpec boot_probe(const QemuProgram& qemu, const std::string& accelerator, const std::string& sector,
                            const std::string& output) {
  return program(
      qemu, {"-accel", accelerator, "-machine", "pc", "-nodefaults", "-no-user-config", "-display", "none", "-m", "32",
             "-no-reboot", "-serial", "file:" + output, "-drive", "file=" + sector + ",format=raw,if=ide,snapshot=on"});
}

// "pc-q35-7.2" -> {7, 2}; nothing for an alias or another family.
std::optional<std::pair<int, int>> version_of(std::string_view machine) {
  for (const std::string_view family : {"pc-q35-", "pc-i440fx-"}) {
    if (!machine.starts_with(family)) continue;
    const auto digits = machine.substr(family.size());
    int major = 0;
    int minor = 0;
    const auto first = std::from_chars(digits.data(), digits.data() + digits.size(), major);
    if (first.ec != std::errc{} || first.ptr == digits.data() + digits.size() || *first.ptr != '.') return std::nullopt;
    if (std::from_chars(first.ptr + 1, digits.data() + digits.size(), minor).ec != std::errc{}) return std::nullopt;
    return std::pair{major, minor};
  }
  return std::nullopt;
}

std::vector<std::string> machine_types_in(const std::string& help) {
  std::vector<std::pair<std::pair<int, int>, std::string>> found;
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) {
    const auto name = line.substr(0, line.find(' '));
    if (const auto version = version_of(name)) found.emplace_back(*version, name);
  }
  // Newest first; q35 before i440fx of the same version.
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a > b; });
  std::vector<std::string> names;
  for (auto& each : found) names.push_back(std::move(each.second));
  return names;
}

std::vector<std::string> cpu_models_in(const std::string& help) {
  std::vector<std::string> names;
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string family;
    std::string name;
    if (words >> family >> name && family == "x86") names.push_back(name);
  }
  return names;
}

// How long the boot sector takes; nothing where it does not boot.
sys::Task<std::optional<Nanos>> boot_time(sys::Runtime& runtime, QemuProgram qemu, std::string accelerator,
                                          std::string directory) {
  const auto sector = directory + "/boot-sector";
  const auto said = directory + "/boot-said";
  if (!runtime.files.write_atomic(sector, boot_sector(), 0644) || !runtime.files.remove(said)) co_return std::nullopt;
  const auto began = runtime.clock.now();
  const auto ran = co_await runtime.processes.run(boot_probe(qemu, accelerator, sector, said), kBootLimit);
  const auto output = runtime.files.read(said, kProbeAnswerLimit);
  if (!ran || !output || output->find(kProbeWord) == std::string::npos) co_return std::nullopt;
  co_return runtime.clock.now() - began;
}

// A KVM that opens proves nothing, nor does one that crawls through a BIOS: some nested ones run a sector, ten times
// slower than emulation does, and never a kernel.
sys::Task<std::string> choose_accelerator(sys::Runtime& runtime, QemuProgram qemu, std::string directory) {
  if (!runtime.files.exists("/dev/kvm")) co_return "tcg";
  const auto kvm = co_await boot_time(runtime, qemu, "kvm", directory);
  if (!kvm) co_return "tcg";
  const auto tcg = co_await boot_time(runtime, qemu, "tcg", directory);
  if (tcg && *kvm > *tcg) {
    runtime.log.warn("KVM boots a sector in {:.0f} ms where emulation takes {:.0f} ms: it is not used", to_ms(*kvm),
                     to_ms(*tcg));
    co_return "tcg";
  }
  co_return "kvm";
}

// A paused, empty machine as the unprivileged uid, which is asked for the capability as a migration would.
sys::Task<void> probe_post_copy(sys::Runtime& runtime, QemuProgram qemu, std::string directory, unsigned uid,
                                Capabilities* capabilities) {
  MachineSpec spec;
  spec.id = "probe";
  spec.directory = directory + "/probe";
  spec.uid = uid;
  spec.memory_mib = 64;
  spec.machine_type = capabilities->machine_types.front();
  spec.cpu_model = "qemu64";
  spec.accelerator = "tcg";
  spec.serial = "ec200000-0000-4000-8000-000000000000";
  const auto made = runtime.files.make_directories(spec.directory, 0700, uid);
  if (!made) {
    capabilities->post_copy_problem = made.error().message;
    co_return;
  }
  const auto machine = co_await Machine::launch(runtime, qemu, spec, Launch::deferred);
  if (!machine) {
    capabilities->post_copy_problem = machine.error().message;
    co_return;
  }
  const auto able = co_await (*machine)->check_post_copy();
  capabilities->post_copy = able.has_value();
  if (!able) capabilities->post_copy_problem = able.error().message;
  co_await (*machine)->kill();
  co_await (*machine)->detach();
}

}  // namespace

sys::Task<Result<Capabilities>> probe_capabilities(sys::Runtime& runtime, QemuProgram qemu,
                                                   std::string scratch_directory, unsigned uid,
                                                   std::string cache_path) {
  const auto version = co_await runtime.processes.run(ask_version(qemu), kAskLimit);
  if (!version) co_return fail(version, "QEMU (install qemu-system-x86)");
  const auto key = key_of(runtime, *version);
  if (const auto text = runtime.files.read(cache_path, kProbeAnswerLimit)) {
    auto remembered = wire::decode<Remembered>(*text);
    if (remembered && remembered->key == key) co_return std::move(remembered->capabilities);
  }
  Remembered found;
  found.key = key;
  auto& capabilities = found.capabilities;
  capabilities.qemu_version = version->substr(0, version->find('\n'));
  const auto machines = co_await runtime.processes.run(ask_help(qemu, "-machine"), kAskLimit);
  if (!machines) co_return fail(machines, "ask QEMU for its machine types");
  capabilities.machine_types = machine_types_in(*machines);
  if (capabilities.machine_types.empty()) co_return fail(Errc::unsupported, "{}: no pc machine type", qemu.path);
  const auto models = co_await runtime.processes.run(ask_help(qemu, "-cpu"), kAskLimit);
  if (!models) co_return fail(models, "ask QEMU for its CPU models");
  capabilities.cpu_models = cpu_models_in(*models);

  const auto made = runtime.files.make_directories(scratch_directory, 0711, 0);
  if (!made) co_return pass(made);
  capabilities.accelerator = co_await choose_accelerator(runtime, qemu, scratch_directory);
  co_await probe_post_copy(runtime, qemu, scratch_directory, uid, &capabilities);
  const auto removed = runtime.files.remove_tree(scratch_directory);
  if (!removed) runtime.log.warn("{}", removed.error().message);
  const auto saved = runtime.files.write_atomic(cache_path, wire::encode(found), 0600);
  if (!saved) runtime.log.warn("remember what QEMU can do: {}", saved.error().message);
  co_return std::move(capabilities);
}

}  // namespace godwit::hypervisor
