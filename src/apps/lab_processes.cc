#include "apps/lab_processes.h"

#include "apps/image_send_option.h"
#include "image/store.h"
#include "lab/plan.h"
#include "lab/quantity.h"
#include "wire/json.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace godwit::apps {
namespace {

constexpr std::uint16_t kRelayPort = 4791;
constexpr std::uint16_t kRelayTcpPort = 443;
constexpr std::uint32_t kFirstUid = 200'000;
constexpr std::uint32_t kUidsPerHost = 4096;
// What a host of a lab gives to instances: they share one machine, so this is a matter of belief.
constexpr int kHostVcpus = 8;
constexpr int kHostMemoryMib = 4096;
constexpr int kHostDiskGib = 64;
constexpr const char* kTenant = "lab";

std::string address_of(const lab::Plan& plan, const std::string& node) {
  return lab::format_address(lab::find_node(plan, node)->address.address);
}

bool publishes_api(const lab::CloudConfig& cloud) {
  return std::ranges::any_of(
      cloud.publish, [&](const auto& each) { return each.port == lab::kApiPort && each.node == cloud.control; });
}

// As everybody outside reaches the cloud: behind a NAT, by the router's published port.
std::string url_of(const lab::Plan& plan, const lab::CloudConfig& cloud) {
  const auto node = publishes_api(cloud) ? cloud.name + "-router" : cloud.control;
  return fmt::format("https://{}:{}", address_of(plan, node), lab::kApiPort);
}

Result<std::string> image_name(const std::string& directory) {
  std::ifstream file(directory + "/manifest.json");
  std::stringstream text;
  text << file.rdbuf();
  if (!file)
    return fail(Errc::not_found, "image {}: has no manifest.json (make images fills .cache/images)", directory);
  const auto manifest = wire::decode<image::Recipe>(text.str());
  if (!manifest) return fail(manifest, "image " + directory);
  return manifest->name;
}

// Of whoever gives of images.
std::string image_send_option(const lab::Plan& plan) {
  const auto kib_s = plan.config.image_send_kib_s;
  return kib_s == 0 ? std::string() : fmt::format(" --image-send-kib-s {}", kib_s);
}

// Writes the script and plans to run it.
class Scripts {
 public:
  Scripts(std::string program, std::string directory)
      : program_(std::move(program)), directory_(std::move(directory)) {}

  Result<> add(const std::string& node, const std::string& name, const std::string& body, bool awaited = false) {
    const auto path = fmt::format("{}/start/{}.{}", directory_, node, name);
    std::ofstream file(path);
    file << "#!/bin/sh\nset -e\ngodwit=" << program_ << "\nlab=" << directory_ << "\n" << body;
    file.close();
    if (!file) return fail(Errc::io, "write {}: is the disk full?", path);
    std::filesystem::permissions(path, std::filesystem::perms(0700));
    processes_.push_back({node, name, {path}, {}, awaited});
    return {};
  }
  std::vector<lab::ProcessPlan> take() { return std::move(processes_); }

 private:
  std::string program_;
  std::string directory_;
  std::vector<lab::ProcessPlan> processes_;
};

Result<std::string> cloud_script(const lab::Plan& plan, const lab::CloudConfig& cloud) {
  const auto ip = address_of(plan, cloud.control);
  auto body = fmt::format("dir=$lab/clouds/{0}\n$godwit cloud init $dir --name {0} --url {1}\n", cloud.name,
                          url_of(plan, cloud));
  for (const auto& image : plan.config.images) {
    const auto name = image_name(image);
    if (!name) return pass(name);
    body += fmt::format("$godwit cloud add-image $dir {} {}\n", *name, std::filesystem::absolute(image).string());
  }
  for (const auto& host : cloud.hosts) {
    body += fmt::format("$godwit cloud invite $dir {0} > $lab/invitations/{0}.part\n", host);
    body += fmt::format("mv $lab/invitations/{0}.part $lab/invitations/{0}\n", host);
  }
  // The account's token is written last: who finds it finds everything.
  body += fmt::format("$godwit cloud add-user $dir {0} > $lab/accounts/{1}.part\n", kTenant, cloud.name);
  body += fmt::format("mv $lab/accounts/{0}.part $lab/accounts/{0}\n", cloud.name);
  body += fmt::format("exec $godwit cloud run $dir --listen {}:{}{}\n", ip, lab::kApiPort, image_send_option(plan));
  return body;
}

std::string agent_script(const lab::Plan& plan, const lab::CloudConfig& cloud, const std::string& host,
                         std::uint32_t number) {
  const auto inside = fmt::format("https://{}:{}", address_of(plan, cloud.control), lab::kApiPort);
  return fmt::format(
      "until [ -s $lab/invitations/{0} ]; do sleep 0.1; done\n"
      "$godwit agent join --state $lab/hosts/{0} --invitation $lab/invitations/{0} --listen {1} \\\n"
      "  --cloud-url {6} --uid-base {2} --namespace-prefix \"$GODWIT_NETNS_PREFIX\" \\\n"
      "  --vcpus {3} --memory-mib {4} --disk-gib {5}{7}\n"
      "rm $lab/invitations/{0}\n"
      "exec $godwit agent run --state $lab/hosts/{0}\n",
      host, address_of(plan, host), kFirstUid + number * kUidsPerHost, kHostVcpus, kHostMemoryMib, kHostDiskGib, inside,
      image_send_option(plan));
}

// Where some cloud is behind a NAT, hosts find each other by a relay on the first public node.
bool has_relay(const lab::Plan& plan) {
  const auto behind_nat = [](const auto& cloud) { return cloud.nat != lab::Nat::none; };
  return !plan.config.public_nodes.empty() && std::ranges::any_of(plan.config.clouds, behind_nat);
}

std::string relay_script(const lab::Plan& plan) {
  return fmt::format("exec $godwit relay --open --state $lab/relay --listen {0}:{1} --tcp {0}:{2}\n",
                     address_of(plan, plan.config.public_nodes.front()), kRelayPort, kRelayTcpPort);
}

std::string switch_script(const lab::Plan& plan, const std::string& host) {
  std::string script = fmt::format("mkdir -p -m 0711 $lab/hosts/{}\n", host);
  std::string relay;
  if (has_relay(plan)) {
    script += "until [ -s $lab/relay/relay.pub ]; do sleep 0.1; done\n";
    relay = fmt::format(" --relay $(cat $lab/relay/relay.pub)@{}:{}/{}",
                        address_of(plan, plan.config.public_nodes.front()), kRelayPort, kRelayTcpPort);
  }
  return script + fmt::format(
                      "exec $godwit switch --control $lab/hosts/{0}/switch.sock --state $lab/hosts/{0}/switch "
                      "--underlay {1}{2}\n",
                      host, address_of(plan, host), relay);
}

// What it says last is what `up` shows when it does not come to its end.
std::string accounts_script(const lab::Plan& plan) {
  std::string body = "echo waiting for sky\nuntil $godwit account list >/dev/null 2>&1; do sleep 0.2; done\n";
  for (const auto& cloud : plan.config.clouds) {
    body += fmt::format(
        "echo waiting for {0} to make the account\nuntil [ -s $lab/accounts/{0} ]; do sleep 0.1; done\n"
        "until $godwit account add {0} --url {1} --ca $lab/clouds/{0}/ca.pem --token-file $lab/accounts/{0}; do sleep "
        "0.5; done\n",
        cloud.name, url_of(plan, cloud));
  }
  return body;
}

}  // namespace

Result<std::vector<lab::ProcessPlan>> plan_processes(const std::string& program, const lab::Plan& plan,
                                                     const std::string& directory) {
  const auto rate = check_image_send(plan.config.image_send_kib_s);
  if (!rate) return fail(rate, "--image-send-kib-s");
  std::error_code error;
  // QEMU's uids pass through to their own directories; everything else in there is root's alone.
  std::filesystem::permissions(directory, std::filesystem::perms(0711), error);
  for (const auto* part : {"start", "clouds", "invitations", "accounts", "sky"}) {
    std::filesystem::create_directories(directory + "/" + part, error);
    std::filesystem::permissions(directory + "/" + part, std::filesystem::perms(0700), error);
  }
  std::filesystem::create_directories(directory + "/hosts", error);
  if (error) return fail(Errc::io, "make {}: {}", directory, error.message());

  Scripts scripts(program, directory);
  if (has_relay(plan)) {
    const auto added = scripts.add(plan.config.public_nodes.front(), "relay", relay_script(plan));
    if (!added) return pass(added);
  }
  std::uint32_t number = 0;
  for (const auto& cloud : plan.config.clouds) {
    const auto body = cloud_script(plan, cloud);
    if (!body) return pass(body);
    if (const auto added = scripts.add(cloud.control, "cloud", *body); !added) return pass(added);
    for (const auto& host : cloud.hosts) {
      if (const auto added = scripts.add(host, "switch", switch_script(plan, host)); !added) return pass(added);
      if (const auto added = scripts.add(host, "agent", agent_script(plan, cloud, host, number++)); !added)
        return pass(added);
    }
  }
  if (plan.config.public_nodes.empty()) return scripts.take();
  const auto& user = plan.config.public_nodes.front();
  const auto sky = scripts.add(
      user, "sky",
      "exec $godwit sky run --state $lab/sky/state --listen 127.0.0.1:7400 --token-file $GODWIT_TOKEN_FILE" +
          image_send_option(plan) + "\n");
  if (!sky) return pass(sky);
  if (const auto added = scripts.add(user, "accounts", accounts_script(plan), true); !added) return pass(added);
  return scripts.take();
}

}  // namespace godwit::apps
