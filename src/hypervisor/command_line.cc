// QEMU's command line: ours alone, whoever the instance comes from.
#include "hypervisor/machine.h"

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

std::string blockdev(json::object node) { return wire::print_json(node); }

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

json::object disk_node(const MachineSpec& spec) {
  json::object node{{"driver", "qcow2"}, {"node-name", "disk0"}, {"file", "disk0-file"}};
  if (!spec.base_path.empty()) node["backing"] = "base";
  return node;
}

std::vector<std::string> command_line(const QemuProgram& qemu, const MachineSpec& spec, Launch launch,
                                      int tap_descriptor) {
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
    if (!spec.base_path.empty()) {
      json::object base_file{
          {"driver", "file"}, {"node-name", "base-file"}, {"filename", spec.base_path}, {"read-only", true}};
      json::object base{
          {"driver", spec.base_format}, {"node-name", "base"}, {"file", "base-file"}, {"read-only", true}};
      add({"-blockdev", blockdev(std::move(base_file)), "-blockdev", blockdev(std::move(base))});
    }
    add({"-blockdev", blockdev(std::move(file)), "-blockdev", blockdev(disk_node(spec))});
    add({"-device", "virtio-blk-pci,id=virtio-disk0,drive=disk0"});
  }
  if (tap_descriptor >= 0) {
    add({"-netdev", fmt::format("tap,id=net0,fd={},vhost=off", tap_descriptor)});
    add({"-device", fmt::format("virtio-net-pci,netdev=net0,mac={},host_mtu={}", spec.mac, spec.mtu)});
  }
  if (!spec.kernel_path.empty()) {
    add({"-kernel", spec.kernel_path, "-append", spec.cmdline});
    if (!spec.initrd_path.empty()) add({"-initrd", spec.initrd_path});
  }
  if (launch != Launch::cold) add({"-incoming", "defer", "-S"});
  return line;
}

}  // namespace godwit::hypervisor
