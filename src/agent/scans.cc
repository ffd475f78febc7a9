#include "agent/scans.h"

namespace godwit::agent {
namespace {

constexpr Millis kStep{100};
constexpr std::size_t kStepsASecond = 10;
constexpr std::size_t kMapsLimit_bytes = 4UL * 1024 * 1024;

}  // namespace

Scans::Scans(sys::Runtime& runtime, const Instances& instances, content::Store& store, content::Library& images,
             std::uint32_t rate_MiB_per_s, std::function<bool()> busy)
    : runtime_(runtime),
      instances_(instances),
      store_(store),
      images_(images),
      pages_a_step_(std::size_t{rate_MiB_per_s} * 1024 * 1024 / kPage_bytes / kStepsASecond),
      busy_(std::move(busy)) {}

sys::Task<void> Scans::run() {
  while (pages_a_step_ > 0) {
    co_await runtime_.clock.sleep_for(kStep);
    if (!busy_()) look();
  }
}

// One guest a step, in turn.
void Scans::look() {
  choose();
  auto turn = scanned_.lower_bound(next_);
  if (turn == scanned_.end()) turn = scanned_.begin();
  if (turn == scanned_.end()) return;
  next_ = turn->first + '\0';
  auto& scan = turn->second.scan;
  if (scan && !scan->advance(pages_a_step_)) scan.reset();
}

// Of each guest that runs one scan, anew when it has another QEMU.
void Scans::choose() {
  std::erase_if(scanned_, [&](const auto& each) {
    const auto found = instances_.all().find(each.first);
    const auto machine = found == instances_.all().end() ? nullptr : found->second->machine();
    return !machine || !(machine->process() == each.second.process);
  });
  for (const auto& [id, instance] : instances_.all()) {
    const auto machine = instance->machine();
    if (!machine || machine->state() != hypervisor::MachineState::running || scanned_.contains(id)) continue;
    scanned_[id] = {machine->process(), open(*instance)};
  }
}

std::unique_ptr<GuestScan> Scans::open(const Instance& instance) {
  const auto process = fmt::format("/proc/{}", instance.machine()->process().pid);
  const auto maps = runtime_.files.read(process + "/maps", kMapsLimit_bytes);
  if (!maps) return nullptr;
  auto ranges = hypervisor::guest_memory(*maps);
  auto memory = runtime_.page_files.open(process + "/mem");
  if (!ranges || !memory) return nullptr;
  const auto& spec = instance.record().spec;
  return std::make_unique<GuestScan>(std::move(*memory), std::move(*ranges), store_, store_.domain(spec.tenant),
                                     images_, spec.image_sha256);
}

}  // namespace godwit::agent
