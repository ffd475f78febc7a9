#include "sim/world_accidents.h"

#include "sim/host.h"

namespace godwit::simtest {
namespace {

constexpr std::int64_t kLeastSpan_ms = 100;
constexpr std::uint64_t kSpans_ms = 15'000;

}  // namespace

void Accident::happen(Fault fault) {
  switch (fault) {
    case Fault::source_agent: crash("a1", "agent"); break;
    case Fault::destination_agent: crash("b1", "agent"); break;
    case Fault::source_qemu: kill_qemu("a1"); break;
    case Fault::destination_qemu: kill_qemu("b1"); break;
    case Fault::wan: cut("site-a", "site-b"); break;
    case Fault::hosts_only: cut("a1", "b1"); break;
    case Fault::source_cloud_cut_off: cut("b1", "cloud-a"); break;
    case Fault::source_cloud: crash("cloud-a", "cloud"); break;
    case Fault::destination_cloud: crash("cloud-b", "cloud"); break;
    case Fault::sky: crash("home", "sky"); break;
    case Fault::switches:
      crash("a1", "switch");
      crash("b1", "switch");
      break;
    case Fault::source_power: rig_.power_off("a1", span()); break;
    case Fault::destination_power: rig_.power_off("b1", span()); break;
    case Fault::source_disk_full: fill_disk("a1"); break;
    case Fault::destination_disk_full: fill_disk("b1"); break;
    case Fault::cancel: cancel(); break;
  }
}

Millis Accident::span() { return Millis{kLeastSpan_ms + static_cast<std::int64_t>(rig_.world.draw_below(kSpans_ms))}; }

void Accident::after(Nanos span, std::function<void()> what) {
  rig_.world.at(rig_.world.now() + span, std::move(what));
}

void Accident::crash(const std::string& host, const std::string& process) {
  rig_.kill(host, process);
  after(span(), [&rig = rig_, host, process] { rig.start(host, process); });
}

void Accident::kill_qemu(const std::string& host) {
  if (auto* qemu = rig_.qemu(host, instance_)) qemu->kill();
}

void Accident::cut(const std::string& a, const std::string& b) {
  rig_.world.network().cut(a, b);
  after(span(), [&rig = rig_, a, b] { rig.world.network().heal(a, b); });
}

void Accident::fill_disk(const std::string& host) {
  auto& files = rig_.world.host(host).files();
  files.refuse_writes(true);
  after(span(), [&files] { files.refuse_writes(false); });
}

void Accident::cancel() {
  auto* sky = rig_.sky();
  const auto cancelled = sky ? sky->cancel(migration_) : Result<>{};
  if (!cancelled) rig_.world.trace(cancelled.error().message);  // it has ended already
}

}  // namespace godwit::simtest
