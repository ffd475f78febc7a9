// What an instance is, as every process of Godwit says it to the others.
#pragma once

#include "wire/json.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::wire {

// Named as EC2 names them; burst credits and bandwidth classes are not modelled.
struct InstanceType {
  std::string name;
  std::uint32_t vcpus{1};
  std::uint32_t memory_mib{512};
  std::uint32_t disk_gib{8};
};
BOOST_DESCRIBE_STRUCT(InstanceType, (), (name, vcpus, memory_mib, disk_gib))

// All that Godwit offers, smallest first.
[[nodiscard]] const std::vector<InstanceType>& instance_types();
// Errors: not_found, naming the ones that exist.
[[nodiscard]] Result<InstanceType> find_instance_type(std::string_view name);

// EC2's states, and two of our own: `moved` (another cloud has it now) and `in_doubt` (nobody reachable knows who has
// it).
BOOST_DEFINE_ENUM_CLASS(InstanceState, pending, running, stopping, stopped, shutting_down, terminated, moved, in_doubt)

// Pairs of queues of a guest's network device, one a vCPU up to so many.
constexpr std::uint32_t kMostQueuePairs = 8;

struct NetworkInterface {
  std::string network;  // "net-0123…"
  std::string mac;      // "02:67:…", lower case
  std::string ip;       // "10.77.0.11", without prefix
};
BOOST_DESCRIBE_STRUCT(NetworkInterface, (), (network, mac, ip))

// Everything that makes the instance what it is. It travels with the instance: nothing in it names a path or a host.
struct InstanceSpec {
  std::string id;      // "i-0123456789abcdef0", never changes
  std::string tenant;  // whose it is; also its dedup domain
  std::string name;    // a DNS label: its host name on the network
  std::string cluster;
  std::vector<std::string> roles;
  std::string type;  // "t3.micro"
  std::uint32_t vcpus{1};
  std::uint32_t memory_mib{512};
  std::uint32_t disk_gib{8};
  std::string image;         // name
  std::string image_sha256;  // content: what the overlay's blocks are relative to
  NetworkInterface interface;
  std::vector<std::string> ssh_keys;  // public keys, as in authorized_keys
  std::string user_data;              // as the user gave it, at most 64 KiB
  // Set where it is first scheduled, and kept: a guest can't change them while it runs.
  std::string machine_type;
  std::string cpu_model;
  std::string accelerator;  // "kvm" or "tcg"
  // Of its network device. What was first scheduled before there was a choice has one.
  std::uint32_t queue_pairs{1};
};
BOOST_DESCRIBE_STRUCT(InstanceSpec, (),
                      (id, tenant, name, cluster, roles, type, vcpus, memory_mib, disk_gib, image, image_sha256,
                       interface, ssh_keys, user_data, machine_type, cpu_model, accelerator, queue_pairs))

// Checks every field against what may stand in a file name, a command line or a table. Errors: invalid_argument.
[[nodiscard]] Result<> validate(const InstanceSpec& spec);

constexpr std::size_t kUserDataLimit = 64UL * 1024;

}  // namespace godwit::wire
