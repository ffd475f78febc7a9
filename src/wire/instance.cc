#include "wire/instance.h"

#include "base/id.h"
#include "wire/image_names.h"

#include <algorithm>

namespace godwit::wire {
namespace {

// Printable, no white space or separators of QEMU's options: what may stand on a command line.
bool is_word(std::string_view text, std::size_t limit) {
  return !text.empty() && text.size() <= limit && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_' || c == '+';
  });
}

bool is_mac(std::string_view text) {
  if (text.size() != 17) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (i % 3 == 2 ? c != ':' : !hex) return false;
  }
  return true;
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

const std::vector<InstanceType>& instance_types() {
  static const std::vector<InstanceType> types{
      {"t3.pico", 1, 128, 1},     {"t3.nano", 1, 512, 3},    {"t3.micro", 1, 1024, 4},  {"t3.small", 2, 2048, 8},
      {"t3.medium", 2, 4096, 16}, {"t3.large", 2, 8192, 32}, {"m5.large", 2, 8192, 32}, {"m5.xlarge", 4, 16384, 64},
      {"c5.large", 2, 4096, 32},  {"r5.large", 2, 16384, 32}};
  return types;
}

Result<InstanceType> find_instance_type(std::string_view name) {
  std::string known;
  for (const auto& type : instance_types()) {
    if (type.name == name) return type;
    known += (known.empty() ? "" : ", ") + type.name;
  }
  return fail(Errc::not_found, "instance type \"{}\": no such type (there are {})", name, known);
}

Result<> validate(const InstanceSpec& spec) {
  const auto bad = [&](std::string_view field, std::string_view rule) {
    return fail(Errc::invalid_argument, "instance {}: {} {}", is_id("i", spec.id) ? spec.id : "?", field, rule);
  };
  if (!is_id("i", spec.id)) return bad("id", "must be i- and 17 hex digits");
  if (!is_label(spec.name)) return bad("name", "must be a DNS label");
  if (!is_word(spec.tenant, 64)) return bad("tenant", "must be 1 to 64 letters, digits, .-_+");
  if (!spec.cluster.empty() && !is_label(spec.cluster)) return bad("cluster", "must be a DNS label");
  if (spec.roles.size() > 16 || !std::all_of(spec.roles.begin(), spec.roles.end(), is_label)) {
    return bad("roles", "must be at most 16 DNS labels");
  }
  if (spec.vcpus < 1 || spec.vcpus > 256) return bad("vcpus", "must be 1 to 256");
  if (spec.memory_mib < 64 || spec.memory_mib > 4 * 1024 * 1024) return bad("memory_mib", "must be 64 to 4194304");
  if (spec.disk_gib < 1 || spec.disk_gib > 65536) return bad("disk_gib", "must be 1 to 65536");
  if (!is_image_name(spec.image)) return bad("image", "must be NAME or NAME:TAG");
  if (!is_sha256(spec.image_sha256)) return bad("image_sha256", "must be 64 hex digits");
  if (!is_id("net", spec.interface.network)) return bad("interface.network", "must be a network's id");
  if (!is_mac(spec.interface.mac)) return bad("interface.mac", "must be a MAC address in lower case");
  if (!is_word(spec.interface.ip, 45)) return bad("interface.ip", "must be an IP address");
  if (spec.ssh_keys.size() > 64) return bad("ssh_keys", "must be at most 64");
  for (const auto& key : spec.ssh_keys) {
    if (key.size() > 4096 || key.find('\n') != std::string::npos) return bad("ssh_keys", "must be one line each");
  }
  if (spec.user_data.size() > kUserDataLimit) return bad("user_data", "must be at most 64 KiB");
  if (!is_word(spec.machine_type, 64)) return bad("machine_type", "must be a name");
  if (!is_word(spec.cpu_model, 64)) return bad("cpu_model", "must be a name");
  if (spec.accelerator != "kvm" && spec.accelerator != "tcg") return bad("accelerator", "must be kvm or tcg");
  if (spec.queue_pairs < 1 || spec.queue_pairs > kMostQueuePairs) return bad("queue_pairs", "must be 1 to 8");
  return {};
}

}  // namespace godwit::wire
