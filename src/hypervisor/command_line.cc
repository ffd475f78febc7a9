// QEMU's command line: ours alone, whoever the instance comes from.
#include "hypervisor/qemu_machine.h"

namespace godwit::hypervisor {
namespace {

namespace json = wire::json;

// What a guest that has broken out of QEMU may still ask of the kernel. QEMU's docs/system/security.rst.
constexpr const char* kSandbox = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";
// A translation cache grows to this under TCG; QEMU's default is a gigabyte a machine.
constexpr int kTranslationCacheMib = 256;

// Under emulation QEMU before 9.0 forgets pages that are written while it counts what is dirty, where a block of memory
// is whole words of its bitmap: so it never is. docs/decisions/emulated-dirty-pages.md.
constexpr std::uint64_t kUneven_KiB = 64;

std::string memory_size(const MachineSpec& spec) {
  const auto size_KiB = spec.memory_mib * 1024UL + (spec.accelerator == "kvm" ? 0 : kUneven_KiB);
  return fmt::format("{}K", size_KiB);
}

// For so long QEMU's reads wait for a server that has gone: long enough for anybody to start another.
constexpr std::uint32_t kReconnect_s = 30U * 24 * 3600;

std::string blockdev(json::object node) { return wire::print_json(node); }

// With one pair of queues these are the words of before there were more, and the device is the same to a guest and to a
// migration. vhost is off: docs/decisions/packet-path.md.
std::string netdev(const std::vector<int>& descriptors) {
  if (descriptors.size() == 1) return fmt::format("tap,id=net0,fd={},vhost=off", descriptors.front());
  return fmt::format("tap,id=net0,fds={},vhost=off", fmt::join(descriptors, ":"));
}

std::string network_device(const MachineSpec& spec, std::size_t queue_pairs) {
  auto device = fmt::format("virtio-net-pci,netdev=net0,mac={},host_mtu={}", spec.mac, spec.mtu);
  // An interrupt for each queue, one for the configuration and one for the control queue.
  if (queue_pairs > 1) device += fmt::format(",mq=on,vectors={}", 2 * queue_pairs + 2);
  return device;
}

}  // namespace

std::string serial_of(const std::string& instance_id) {
  // 17 hex digits of the id behind "ec2", in the shape of a version 4 uuid.
  const auto d = instance_id.substr(2);
  return fmt::format("ec2{}-{}-4{}-8{}-{}0000000000", d.substr(0, 5), d.substr(5, 4), d.substr(9, 3), d.substr(12, 3),
                     d.substr(15, 2));
}

std::string nbd_socket_of(const std::string& directory) { return directory + "/nbd.sock"; }
std::string memory_socket_of(const std::string& directory) { return directory + "/memory.sock"; }
std::string log_of(const std::string& directory) { return directory + ".log"; }

json::object disk_node(const MachineSpec& spec, bool local_base) {
  json::object node{{"driver", "qcow2"}, {"node-name", "disk0"}, {"file", "disk0-file"}};
  if (!spec.base_path.empty()) node["backing"] = local_base ? kLocalBase : kServedBase;
  return node;
}

json::object local_base_node(const MachineSpec& spec) {
  json::object file{{"driver", "file"}, {"node-name", "base-file"}, {"filename", spec.base_path}, {"read-only", true}};
  return {{"driver", spec.base_format}, {"node-name", kLocalBase}, {"file", std::move(file)}, {"read-only", true}};
}

json::object served_base_node(const MachineSpec& spec) {
  json::object server{{"type", "unix"}, {"path", spec.base_socket}};
  return {{"driver", "nbd"},   {"node-name", kServedBase},       {"export", "base"}, {"server", std::move(server)},
          {"read-only", true}, {"reconnect-delay", kReconnect_s}};
}

std::vector<std::string> command_line(const QemuProgram& qemu, const MachineSpec& spec, Launch launch,
                                      const std::vector<int>& tap_descriptors) {
  const auto accelerator =
      spec.accelerator == "kvm" ? std::string("kvm") : fmt::format("tcg,tb-size={}", kTranslationCacheMib);
  std::vector<std::string> line{qemu.path,
                                "-name",
                                "guest=" + spec.id,
                                "-nodefaults",
                                "-no-user-config",
                                "-machine",
                                spec.machine_type,
                                "-accel",
                                accelerator,
                                "-cpu",
                                spec.cpu_model,
                                "-smp",
                                std::to_string(spec.vcpus),
                                "-m",
                                memory_size(spec),
                                "-uuid",
                                spec.serial,
                                "-smbios",
                                "type=1,manufacturer=Godwit,serial=" + spec.serial,
                                "-display",
                                "none",
                                "-msg",
                                "timestamp=on",
                                "-sandbox",
                                kSandbox,
                                "-no-shutdown",  // a guest that ends itself stays to be asked how
                                "-device",
                                "virtio-rng-pci"};
  const auto add = [&](std::initializer_list<std::string> words) { line.insert(line.end(), words); };
  add({"-chardev", "socket,id=qmp,path=" + spec.directory + "/qmp.sock,server=on,wait=off", "-mon",
       "chardev=qmp,mode=control"});
  add({"-chardev", "file,id=console,append=on,path=" + spec.directory + "/console.log", "-serial", "chardev:console"});
  if (!spec.disk_path.empty()) {
    json::object file{{"driver", "file"}, {"node-name", "disk0-file"}, {"filename", spec.disk_path}};
    const bool local_base = spec.base_socket.empty();
    if (!spec.base_path.empty()) {
      add({"-blockdev", blockdev(local_base ? local_base_node(spec) : served_base_node(spec))});
    }
    add({"-blockdev", blockdev(std::move(file)), "-blockdev", blockdev(disk_node(spec, local_base))});
    add({"-device", "virtio-blk-pci,id=virtio-disk0,drive=disk0"});
  }
  if (!tap_descriptors.empty()) {
    add({"-netdev", netdev(tap_descriptors)});
    add({"-device", network_device(spec, tap_descriptors.size())});
  }
  if (!spec.kernel_path.empty()) {
    add({"-kernel", spec.kernel_path, "-append", spec.cmdline});
    if (!spec.initrd_path.empty()) add({"-initrd", spec.initrd_path});
  }
  if (launch != Launch::cold) add({"-incoming", "defer", "-S"});
  return line;
}

}  // namespace godwit::hypervisor
