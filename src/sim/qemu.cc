#include "sim/qemu.h"

#include "sim/dnsmasq.h"
#include "sim/http.h"
#include "wire/json_fields.h"

#include <algorithm>
#include <csignal>

namespace godwit::sim {
namespace {

// "socket,id=qmp,path=/x,server=on" -> "/x"
std::string option_in(const std::string& options, const std::string& key) {
  const auto at = ("," + options).find("," + key + "=");
  if (at == std::string::npos) return {};
  const auto start = at + key.size() + 1;
  return options.substr(start, options.find(',', start) - start);
}

// "fd=3" or "fds=3:4" of a -netdev.
std::uint8_t queue_pairs_in(const std::string& options) {
  if (!option_in(options, "fd").empty()) return 1;
  const auto descriptors = option_in(options, "fds");
  return static_cast<std::uint8_t>(descriptors.empty() ? 0 : 1 + std::ranges::count(descriptors, ':'));
}

QemuLine line_of(const sys::ProcessSpec& spec) {
  QemuLine line;
  const auto& words = spec.argv;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const auto next = i + 1 < words.size() ? words[i + 1] : std::string();
    if (words[i] == "-S") line.stopped = true;
    if (words[i] == "-incoming") line.incoming = true;
    if (words[i] == "-name") line.instance = option_in(next, "guest");
    if (words[i] == "-netdev") line.queue_pairs = queue_pairs_in(next);
    if (words[i] == "-device" && next.starts_with("virtio-net-pci,")) line.mac = option_in(next, "mac");
    if (words[i] == "-chardev" && next.starts_with("socket,id=qmp,")) line.monitor_path = option_in(next, "path");
    if (words[i] != "-blockdev") continue;
    const auto node = wire::parse_json(next);
    if (!node || !node->is_object()) continue;
    const auto& fields = node->get_object();
    const auto name = wire::text_at(fields, "node-name");
    if (name == "disk0-file") line.disk_path = wire::text_at(fields, "filename");
    if (name == "disk0") line.base_node = wire::text_at(fields, "backing");
    if (name != "disk0-file" && name != "disk0") {
      line.base_path = wire::text_at(wire::object_at(fields, "file"), "filename");
    }
    if (wire::text_at(fields, "driver") == "nbd") {
      line.base_socket = wire::text_at(wire::object_at(fields, "server"), "path");
    }
  }
  return line;
}

// What it answers when it is not to run a machine.
Result<std::string> answer(Host& host, const sys::ProcessSpec& spec) {
  const auto has = [&](const std::string& word) { return std::ranges::find(spec.argv, word) != spec.argv.end(); };
  if (has("--version")) return "QEMU emulator version 7.2.22 (simulated)\n";
  if (has("-machine") && has("help")) {
    return "Supported machines are:\npc-i440fx-7.2        Standard PC\npc-q35-7.2           Standard PC (Q35)\n";
  }
  if (has("-cpu") && has("help")) return "Available CPUs:\nx86 Nehalem\nx86 qemu64\nx86 max\n";
  for (const auto& word : spec.argv) {
    if (word.starts_with("file:")) host.files().write_cached(word.substr(5), "godwit-boots");
  }
  return "";
}

}  // namespace

void install_qemu(Host& host, Guests& guests, const QemuSettings& settings) {
  host.register_program(kQemu, [&guests, settings](Process& process, const sys::ProcessSpec& spec) {
    return std::make_unique<Qemu>(process, guests, settings, spec);
  });
  host.register_command(kQemu, [&host](const sys::ProcessSpec& spec) { return answer(host, spec); });
}

Qemu::Qemu(Process& process, Guests& guests, const QemuSettings& settings, const sys::ProcessSpec& spec)
    : core_(process, guests, settings, line_of(spec), spec.output_path,
            [this](std::string command, json::object arguments) {
              return execute(std::move(command), std::move(arguments));
            }),
      base_(process),
      server_(process.runtime(), core_.disk),
      outgoing_(core_, parameters_,
                [this] {
                  if (has_job()) mirror_->on_drain();
                }),
      incoming_(core_),
      gate_(process.runtime().executor) {
  add_commands();
  add_mirror_commands();
  add_migration_commands();
  add_server_commands();
  process.on_signal([this](int number) {
    if (number == SIGTERM) shut_down(false, "host-signal");
    core_.end();
  });
  gate_.spawn(main());
}

Qemu::~Qemu() = default;

sys::Task<void> Qemu::main() {
  co_await core_.clock().sleep_for(core_.settings.start_time);
  // An incoming machine's disk stays inactive, and unlocked, until it is exported or loaded.
  const auto active = core_.line.incoming ? Result<>() : core_.activate_disk();
  if (!active) {
    core_.die(active.error().message);
    co_return;
  }
  base_.begin(core_.line.base_node, core_.line.base_path, core_.line.base_socket);
  const auto based = co_await base_.open();
  if (!based) {
    core_.die(based.error().message);
    co_return;
  }
  const auto open = core_.monitor.open(core_.line.monitor_path);
  if (!open) {
    core_.die(open.error().message);
    co_return;
  }
  core_.disk.load();
  core_.remember(core_.disk.whole());
  gate_.spawn(guest());
  if (!core_.line.mac.empty()) gate_.spawn(boot());
  if (!core_.line.stopped && !core_.line.incoming) core_.run();
}

sys::Task<void> Qemu::guest() {
  for (;;) {
    co_await core_.clock().sleep_for(core_.settings.write_interval);
    if (core_.write_record() && has_job()) mirror_->on_write(core_.remembered());
  }
}

// 4 KiB of the next piece but six of its base: all of them in the end.
sys::Task<void> Qemu::read_base() {
  constexpr std::uint64_t kStride_bytes = 7UL * 64 * 1024;
  constexpr std::uint32_t kRead_bytes = 4096;
  const auto size = base_.size_bytes();
  if (size < kRead_bytes) co_return;
  const auto offset = base_reads_++ * kStride_bytes % (size - kRead_bytes + 1);
  const auto bytes = co_await base_.read(offset, kRead_bytes);
  if (core_.settings.base_read) core_.settings.base_read(core_.line.instance, offset, bytes ? *bytes : ByteVector());
}

// Boots, wherever it runs meanwhile, asks for an address and tells the metadata service that it is ready.
sys::Task<void> Qemu::boot() {
  constexpr Millis kStep{250};
  Nanos ran{};
  while (!core_.booted) {
    co_await core_.clock().sleep_for(kStep);
    if (core_.running()) ran += kStep;
    if (core_.running() && base_reads_ < core_.settings.base_reads) {
      co_await read_base();
      continue;
    }
    if (!core_.running() || ran < core_.settings.boot_time) continue;
    const auto lease = lease_on(core_.process().host(), core_.line.mac);
    if (!lease) continue;
    sys::HttpRequest ready;
    ready.method = "POST";
    ready.path = "/godwit/ready";
    auto calling =
        call_gateway(core_.process(), lease->network_namespace, lease->ip, std::move(ready), core_.settings.boot_time);
    const auto told = co_await std::move(calling);
    core_.booted = core_.booted || (told && told->status == 200);
  }
  while (core_.settings.base_reads > 0) {
    co_await core_.clock().sleep_for(kStep);
    if (core_.running()) co_await read_base();
  }
}

void Qemu::hang() { hung_ = std::make_unique<MainLoop::Hold>(core_.loop); }

void Qemu::shut_down(bool by_guest, const std::string& reason) {
  json::object data{{"guest", by_guest}, {"reason", reason}};
  core_.event("SHUTDOWN", std::move(data));
  if (by_guest) core_.halt("shutdown");
}

sys::Task<void> Qemu::press_power_button() {
  core_.event("POWERDOWN");
  co_await core_.clock().sleep_for(core_.settings.shutdown_time);
  if (core_.running()) power_off();
}

sys::Task<void> Qemu::quit_soon() {
  co_await core_.clock().sleep_for(Millis{1});  // after the reply
  core_.end();
}

}  // namespace godwit::sim
