// What an agent is told once, by `godwit agent join`: STATE/agent.json.
#pragma once

#include "wire/json.h"

#include <cstdint>
#include <string>
#include <vector>

namespace godwit::agent {

// A device of this host that is on a real LAN, for one network of a tenant alone.
struct LanPort {
  std::string tenant;
  std::string network;  // its name: that of its cluster
  std::string device;
};

struct AgentConfig {
  std::string cloud;
  std::string host;
  std::string cloud_url;  // "https://10.0.0.1:7443"
  std::string listen_ip;  // where other hosts reach this one: migrations
  std::uint16_t migration_port{7402};
  std::uint16_t directory_port{7403};  // for the other hosts of the cloud
  std::uint16_t image_port{7404};      // likewise: for those that take images from here
  std::string state_directory;
  std::string switch_socket;
  std::string qemu{"/usr/bin/qemu-system-x86_64"};
  std::string dnsmasq{"/usr/sbin/dnsmasq"};
  std::uint32_t uid_base{200'000};  // each instance has a uid of its own from here on; hosts that share a kernel differ
  std::string namespace_prefix{"godwit-"};
  // What may be given to instances; 0: what the machine has, less 1 GiB for itself. vCPUs may be oversubscribed.
  std::uint32_t vcpus{0};
  std::uint32_t memory_mib{0};
  std::uint32_t disk_gib{0};
  std::uint32_t content_gib{4};  // of disk, for the pages that crossed: what migrations refer to instead of sending
  std::uint32_t image_gib{200};  // of disk, for the images that the cloud wants here
  // Of an image that an instance boots of while it comes, what no read waits for: 0: as much as can come.
  std::uint32_t image_fill_kib_s{0};
  std::uint32_t image_send_kib_s{0};  // of all images, to the hosts behind; 0: as fast as can be
  std::uint32_t scan_mib_s{16};       // of the guests' memory, looked through for what others need not send; 0: none
  std::vector<LanPort> lans{};        // told at each start, not in the file
  std::string godwit{"/usr/bin/godwit"};  // likewise: this program, for disk servers
};
BOOST_DESCRIBE_STRUCT(AgentConfig, (),
                      (cloud, host, cloud_url, listen_ip, migration_port, directory_port, image_port, state_directory,
                       switch_socket, qemu, dnsmasq, uid_base, namespace_prefix, vcpus, memory_mib, disk_gib,
                       content_gib, image_gib, image_fill_kib_s, image_send_kib_s, scan_mib_s))

}  // namespace godwit::agent
