// The level-triggered conversation of an agent with its cloud: POST /v1/agent/sync carries a HostReport and is answered
// with the DesiredState of that host, at once when the generation has changed, else after wait_ms.
#pragma once

#include "wire/image.h"
#include "wire/migration.h"
#include "wire/network.h"
#include "wire/snapshot.h"

namespace godwit::wire {

struct HostCapacity {
  std::uint32_t vcpus{0};
  std::uint32_t memory_mib{0};
  std::uint32_t disk_gib{0};
};
BOOST_DESCRIBE_STRUCT(HostCapacity, (), (vcpus, memory_mib, disk_gib))

struct ImageReport {
  std::string name;
  std::string sha256;
};
BOOST_DESCRIBE_STRUCT(ImageReport, (), (name, sha256))

// An image that is not here yet, as a whole.
struct ImageArrival {
  std::string name;
  std::string sha256;
  std::uint64_t pieces{0};  // of 64 KiB; 0: not known yet
  std::uint64_t here{0};
  std::string from;     // whom it is taken from now, as its certificate says
  std::string problem;  // why it does not come, for people; empty: it does
};
BOOST_DESCRIBE_STRUCT(ImageArrival, (), (name, sha256, pieces, here, from, problem))

// In which order a boot reads an image: pieces of 64 KiB, as they were first read. Content has one, whoever names it.
struct BootOrder {
  std::string sha256;                 // the content's id
  std::vector<std::uint32_t> ranges;  // first, count, first, count, …: at most 4096 pieces
};
BOOST_DESCRIBE_STRUCT(BootOrder, (), (sha256, ranges))

struct InstanceReport {
  std::string id;
  InstanceState state{InstanceState::pending};
  bool ready{false};                  // the guest phoned home
  std::uint64_t location_version{0};  // of this host's claim; 0 while it has none
  std::string problem;                // what is wrong with it now, for people; empty when nothing is
  std::string claim{};                // what that version came with, as in Location: its hand-offs are for its cloud
};
BOOST_DESCRIBE_STRUCT(InstanceReport, (), (id, state, ready, location_version, problem, claim))

// For so long after it has asked its cloud, by its own monotonic clock, a host may join a network to its LAN where it
// has a lease for that.
constexpr std::int64_t kLanLease_ms = 45'000;

// The host has a device on a real LAN for this network: it could join the two.
struct LanReport {
  std::string tenant;
  std::string network;     // its name
  std::uint64_t lease{0};  // its switch has it that it may not without the lease with this version; 0: it has not
};
BOOST_DESCRIBE_STRUCT(LanReport, (), (tenant, network, lease))

// The host that was asked by may join the network to its LAN, for kLanLease_ms. Without one a host that is the
// network's uplink needs none.
struct LanLease {
  std::string network;  // its id
  std::uint64_t version{0};
};
BOOST_DESCRIBE_STRUCT(LanLease, (), (network, version))

struct HostReport {
  std::string host;
  HostCapacity capacity;
  std::string accelerator;
  std::string qemu_version;
  std::vector<std::string> machine_types;
  std::vector<std::string> cpu_models;
  PeerPoint migration_point;        // where its agent listens for migrations
  std::uint16_t directory_port{0};  // and, at the same address, for the other hosts of its cloud; 0: it does not
  std::uint16_t image_port{0};      // and for those that take images from it
  std::string overlay_ip;
  std::uint16_t overlay_port{0};
  std::string overlay_key;          // its switch's public key (X25519) in hex; empty: not heard from the switch yet
  std::vector<ImageReport> images;  // that are here
  std::vector<ImageArrival> arrivals;
  std::vector<InstanceReport> instances;
  std::vector<MigrationReport> migrations;
  std::vector<std::string> content_of;  // tenants of whose content it holds something
  std::vector<std::string> unsettled;  // migrations, ended or not, of which the other side may have to be told or asked
  std::vector<LanReport> lans;
  std::uint64_t seen_generation{0};
  std::uint32_t wait_ms{0};
  std::vector<BootOrder> boot_orders{};  // seen since the last report that was answered
  std::vector<SnapshotReport> snapshots{};
  std::vector<ImageCheck> checks{};  // of its images, the last one each
  std::uint32_t queue_pairs{1};      // that it gives a guest's network device, at most; earlier agents gave one
};
BOOST_DESCRIBE_STRUCT(HostReport, (),
                      (host, capacity, accelerator, qemu_version, machine_types, cpu_models, migration_point,
                       directory_port, image_port, overlay_ip, overlay_port, overlay_key, images, arrivals, instances,
                       migrations, content_of, unsettled, lans, seen_generation, wait_ms, boot_orders, snapshots,
                       checks, queue_pairs))

BOOST_DEFINE_ENUM_CLASS(DesiredInstanceState, running, stopped, absent)

struct DesiredInstance {
  InstanceSpec spec;
  DesiredInstanceState state{DesiredInstanceState::running};
  std::string incoming_migration;  // it arrives by this migration: never start it before it is owned
};
BOOST_DESCRIBE_STRUCT(DesiredInstance, (), (spec, state, incoming_migration))

struct DesiredImage {
  std::string name;
  std::string sha256;  // its content's id
  std::string path;    // on the host: a directory with manifest.json, as images/ builds it; empty: it comes by content
  std::string manifest;                     // docs/formats/image.md; empty where there is a path
  std::string signature;                    // the cloud's, of the manifest
  std::vector<std::uint32_t> boot_order{};  // as in BootOrder, where an instance is to begin before the image is here
  std::uint64_t check{0};                   // it is to be audited, if it was not since: ImageCheck::number; 0: never
};
BOOST_DESCRIBE_STRUCT(DesiredImage, (), (name, sha256, path, manifest, signature, boot_order, check))

// Another host of the cloud, as a part of the content directory (docs/protocols/directory.md).
struct ContentSibling {
  std::string certificate_name;
  std::string key_sha256;  // of its newest certificate
  std::string ip;
  std::uint16_t port{0};        // 0: has no part in the directory
  std::uint16_t image_port{0};  // 0: gives no images
};
BOOST_DESCRIBE_STRUCT(ContentSibling, (), (certificate_name, key_sha256, ip, port, image_port))

struct ContentKey {
  std::string tenant;
  std::string secret;  // 32 bytes in hex: what digests of the tenant's content are made with in this cloud
  bool held{false};    // some host says that it holds content of the tenant
};
BOOST_DESCRIBE_STRUCT(ContentKey, (), (tenant, secret, held))

struct DesiredState {
  std::uint64_t generation{0};
  std::string cloud;
  std::string api_url;      // of this cloud, as hosts of other clouds reach it
  std::string host_record;  // of this host, as in Location::record
  std::vector<CloudCa> trusted;
  std::vector<DesiredInstance> instances;
  std::vector<Network> networks;
  std::vector<MigrationOrder> migrations;
  std::vector<DesiredImage> images;
  std::uint16_t image_port{0};  // where the cloud itself gives them, at its API's address; 0: nowhere
  std::vector<ContentSibling> siblings;
  std::vector<ContentKey> content_keys;
  std::vector<DesiredSnapshot> snapshots{};
  std::vector<LanLease> lan_leases{};
};
BOOST_DESCRIBE_STRUCT(DesiredState, (),
                      (generation, cloud, api_url, host_record, trusted, instances, networks, migrations, images,
                       image_port, siblings, content_keys, snapshots, lan_leases))

// POST /v1/join, with a join token as bearer token: the host's certificate signing request for its certificate.
struct JoinRequest {
  std::string host;  // a DNS label
  std::string csr_pem;
};
BOOST_DESCRIBE_STRUCT(JoinRequest, (), (host, csr_pem))

struct JoinAnswer {
  std::string cloud;
  std::string certificate_pem;
  std::string ca_pem;
};
BOOST_DESCRIBE_STRUCT(JoinAnswer, (), (cloud, certificate_pem, ca_pem))

}  // namespace godwit::wire
