// The rows of a cloud's database. Everything that the cloud knows is here; nothing is kept only in memory.
#pragma once

#include "cloud/records.h"
#include "wire/cloud_api.h"
#include "wire/snapshot.h"

namespace godwit::cloud {

// One row, named "cloud".
struct SettingsRow {
  static constexpr std::string_view kTable = "settings";
  static constexpr std::string_view kKey = "name";
  std::string name;
  wire::json::value content;
};
BOOST_DESCRIBE_STRUCT(SettingsRow, (), (name, content))

struct TenantRow {
  static constexpr std::string_view kTable = "tenants";
  static constexpr std::string_view kKey = "name";
  std::string name;
  wire::Quota quota;
  bool is_operator{false};
};
BOOST_DESCRIBE_STRUCT(TenantRow, (), (name, quota, is_operator))

struct TokenRow {
  static constexpr std::string_view kTable = "tokens";
  static constexpr std::string_view kKey = "sha256";
  std::string sha256;  // of the bearer token, which is nowhere
  std::string tenant;
  std::int64_t created_ms{0};
};
BOOST_DESCRIBE_STRUCT(TokenRow, (), (sha256, tenant, created_ms))

struct JoinTokenRow {
  static constexpr std::string_view kTable = "join_tokens";
  static constexpr std::string_view kKey = "sha256";
  std::string sha256;
  std::string host;
  std::int64_t expires_ms{0};
  std::string csr_sha256;   // of the one request that it was used for; empty while unused
  std::string certificate;  // the answer to it, for a reply that was lost
};
BOOST_DESCRIBE_STRUCT(JoinTokenRow, (), (sha256, host, expires_ms, csr_sha256, certificate))

struct HostRow {
  static constexpr std::string_view kTable = "hosts";
  static constexpr std::string_view kKey = "name";
  std::string name;
  std::string key_sha256;  // of the newest certificate
  wire::HostReport report;
  std::int64_t last_seen_ms{0};
  std::uint64_t generation{0};  // of its desired state
  std::string desired_sha256;   // of that state's content
};
BOOST_DESCRIBE_STRUCT(HostRow, (), (name, key_sha256, report, last_seen_ms, generation, desired_sha256))

// The host has a device on a real LAN for that network, which may be none yet.
struct LanPortRow {
  static constexpr std::string_view kTable = "lan_ports";
  static constexpr std::string_view kKey = "host, tenant, network";
  std::string host;
  std::string tenant;
  std::string network;  // its name
};
BOOST_DESCRIBE_STRUCT(LanPortRow, (), (host, tenant, network))

// Which host joins the network to its LAN: cloud/lan_holding.h.
struct LanHoldingRow {
  static constexpr std::string_view kTable = "lan_holdings";
  static constexpr std::string_view kKey = "network";
  std::string network;
  std::string host;  // empty: none
  std::uint64_t version{0};
  bool leased{false};
  bool accepted{false};
  std::string ip;         // of its switch, as it was last heard
  std::uint16_t port{0};  // likewise

  bool operator==(const LanHoldingRow&) const = default;
};
BOOST_DESCRIBE_STRUCT(LanHoldingRow, (), (network, host, version, leased, accepted, ip, port))

// The signed record of a host's overlay key.
struct HostRecordRow {
  static constexpr std::string_view kTable = "host_records";
  static constexpr std::string_view kKey = "host";
  std::string host;
  std::string overlay_key;   // in hex; of one host alone
  std::string authority;     // the SHA-256 of the CA's key that signed it
  std::string record;        // as base64url
  std::int64_t renew_ms{0};  // from then on another one is made
};
BOOST_DESCRIBE_STRUCT(HostRecordRow, (), (host, overlay_key, authority, record, renew_ms))

// The signed record of where an instance of this cloud is.
struct LocationRecordRow {
  static constexpr std::string_view kTable = "location_records";
  static constexpr std::string_view kKey = "instance";
  std::string instance;
  std::string host;
  std::string network;
  std::uint32_t vni{0};
  std::uint64_t epoch{0};
  std::string authority;     // the SHA-256 of the CA's key that signed it
  std::string claim;         // the record, and the hand-offs that led here: as in wire::Location
  std::int64_t until_ms{0};  // when it ends
  std::int64_t renew_ms{0};  // from then on another one is made
};
BOOST_DESCRIBE_STRUCT(LocationRecordRow, (),
                      (instance, host, network, vni, epoch, authority, claim, until_ms, renew_ms))

struct ImageRow {
  static constexpr std::string_view kTable = "images";
  static constexpr std::string_view kKey = "tenant, name";
  std::string tenant;  // empty: everybody's
  std::string name;
  std::string sha256;
  std::string path;  // on the hosts; empty: it is known by its content alone
  std::string manifest;
  std::string signature;
  std::uint64_t need_bytes{0};    // of the store; 0: its content is not there
  std::uint64_t check_number{0};  // wire::ImageCheck::number of the last one that was asked for
};
BOOST_DESCRIBE_STRUCT(ImageRow, (), (tenant, name, sha256, path, manifest, signature, need_bytes, check_number))

// A tenant brings a content that has no name of theirs yet.
struct UploadRow {
  static constexpr std::string_view kTable = "image_uploads";
  static constexpr std::string_view kKey = "tenant, image";
  std::string tenant;
  std::string image;  // the content's id
  std::uint64_t pieces{0};
  bool has_list{false};         // they have shown it
  std::uint64_t need_bytes{0};  // of the store; 0: the list is not known
  std::int64_t touched_ms{0};   // when something came last
};
BOOST_DESCRIBE_STRUCT(UploadRow, (), (tenant, image, pieces, has_list, need_bytes, touched_ms))

// Which pieces they have shown, of those from part * 4096 on.
struct UploadPartRow {
  static constexpr std::string_view kTable = "image_upload_parts";
  static constexpr std::string_view kKey = "tenant, image, part";
  std::string tenant;
  std::string image;
  std::uint64_t part{0};
  std::string bits;  // of PieceSet::bits(), in hex
};
BOOST_DESCRIBE_STRUCT(UploadPartRow, (), (tenant, image, part, bits))

struct BootOrderRow {
  static constexpr std::string_view kTable = "boot_orders";
  static constexpr std::string_view kKey = "sha256";
  std::string sha256;                 // of an image that comes by content
  std::vector<std::uint32_t> ranges;  // as in wire::BootOrder
  std::uint64_t pieces{0};            // in them
};
BOOST_DESCRIBE_STRUCT(BootOrderRow, (), (sha256, ranges, pieces))

struct InstanceRow {
  static constexpr std::string_view kTable = "instances";
  static constexpr std::string_view kKey = "id";
  std::string id;
  std::string tenant;
  std::string host;
  std::string network;
  wire::InstanceState state{wire::InstanceState::pending};
  wire::DesiredInstanceState wanted{wire::DesiredInstanceState::running};
  wire::InstanceSpec spec;
  std::uint32_t vcpus{0};  // as in the spec: what the claims view adds up
  std::uint32_t memory_mib{0};
  std::uint32_t disk_gib{0};
  std::string request_sha256;  // of the RunInstanceRequest; empty where it arrived by migration
  bool ready{false};
  std::uint64_t location_version{0};
  std::string problem;
  std::int64_t launched_ms{0};
  std::string moved_to;
  std::uint64_t gone_generation{0};  // the desired state that first said "absent"
  std::int64_t ended_ms{0};          // when it was terminated or moved
};
BOOST_DESCRIBE_STRUCT(InstanceRow, (),
                      (id, tenant, host, network, state, wanted, spec, vcpus, memory_mib, disk_gib, request_sha256,
                       ready, location_version, problem, launched_ms, moved_to, gone_generation, ended_ms))

struct NetworkRow {
  static constexpr std::string_view kTable = "networks";
  static constexpr std::string_view kKey = "id";
  std::string id;
  std::string tenant;
  std::uint32_t vni{0};
  wire::Network body;  // as sky said it last, with the newest location of each member that was heard of
};
BOOST_DESCRIBE_STRUCT(NetworkRow, (), (id, tenant, vni, body))

struct NetworkPeerRow {
  static constexpr std::string_view kTable = "network_peers";
  static constexpr std::string_view kKey = "network, cloud";
  std::string network;
  std::string cloud;
  std::string pem;
};
BOOST_DESCRIBE_STRUCT(NetworkPeerRow, (), (network, cloud, pem))

// A member that is a WireGuard peer, and that this cloud serves.
struct LeafRow {
  static constexpr std::string_view kTable = "leaves";
  static constexpr std::string_view kKey = "instance";
  std::string instance;  // its id among the members
  std::string network;
  std::string wireguard_key;
  std::string host;          // that serves it; empty: none yet
  std::uint64_t version{0};  // of its location: one more with each host
};
BOOST_DESCRIBE_STRUCT(LeafRow, (), (instance, network, wireguard_key, host, version))

struct TicketRow {
  static constexpr std::string_view kTable = "tickets";
  static constexpr std::string_view kKey = "id";
  std::string id;
  std::string migration;
  std::string tenant;
  std::string instance;
  std::string host;
  std::string network;
  wire::InstanceSpec spec;
  std::uint32_t vcpus{0};
  std::uint32_t memory_mib{0};
  std::uint32_t disk_gib{0};
  std::string request_sha256;  // of the TicketRequest
  wire::TicketClaims claims;
  wire::TicketGrant granted;
  std::int64_t expires_ms{0};
  std::int64_t used_ms{0};  // when it was redeemed; 0 while it was not
  bool withdrawn{false};    // a newer ticket for the same instance took its place
};
BOOST_DESCRIBE_STRUCT(TicketRow, (),
                      (id, migration, tenant, instance, host, network, spec, vcpus, memory_mib, disk_gib,
                       request_sha256, claims, granted, expires_ms, used_ms, withdrawn))

// One side of a migration. A migration inside one cloud has both rows.
struct MigrationRow {
  static constexpr std::string_view kTable = "migrations";
  static constexpr std::string_view kKey = "id, role";
  std::string id;
  wire::MigrationRole role{wire::MigrationRole::source};
  std::string instance;
  std::string tenant;
  std::string host;        // of this side
  std::string network;     // of the instance
  std::string peer_cloud;  // the other side
  std::string peer_host;
  std::string peer_key;     // destination's row: of the source host, as the ticket says
  wire::InstanceSpec spec;  // destination's row: what arrives
  std::uint32_t vcpus{0};
  std::uint32_t memory_mib{0};
  std::uint32_t disk_gib{0};
  wire::TicketGrant granted;  // source's row
  wire::MigrationOptions options;
  bool cancel{false};
  wire::Decision vote{wire::Decision::none};   // source's row: this cloud's, cast once (docs/protocols/migration.md)
  wire::Decision fence{wire::Decision::none};  // a person's, given once
  bool owned{false};                           // destination's row: the instance has become ours
  wire::MigrationReport report;
  std::uint64_t location_version{0};
  std::uint64_t generation{0};  // destination's row: the desired state that first had it
  std::int64_t opened_ms{0};
  std::int64_t closed_ms{0};           // 0 while its agent has not reported the end
  std::vector<std::string> hand_offs;  // source's row: signed with the order, shown with the vote
};
BOOST_DESCRIBE_STRUCT(MigrationRow, (),
                      (id, role, instance, tenant, host, network, peer_cloud, peer_host, peer_key, spec, vcpus,
                       memory_mib, disk_gib, granted, options, cancel, vote, fence, owned, report, location_version,
                       generation, opened_ms, closed_ms, hand_offs))

// Where a host's agent listens for the others of this cloud: the content directory, and images. Port 0: nowhere.
struct ContentHostRow {
  static constexpr std::string_view kTable = "content_hosts";
  static constexpr std::string_view kKey = "host";
  std::string host;
  std::string ip;
  std::uint16_t port{0};
  std::uint16_t image_port{0};

  bool operator==(const ContentHostRow&) const = default;
};
BOOST_DESCRIBE_STRUCT(ContentHostRow, (), (host, ip, port, image_port))

struct ContentKeyRow {
  static constexpr std::string_view kTable = "content_keys";
  static constexpr std::string_view kKey = "tenant";
  std::string tenant;
  std::string secret;  // 32 bytes in hex
};
BOOST_DESCRIBE_STRUCT(ContentKeyRow, (), (tenant, secret))

// This host has the tenant's key.
struct ContentGrantRow {
  static constexpr std::string_view kTable = "content_grants";
  static constexpr std::string_view kKey = "tenant, host";
  std::string tenant;
  std::string host;
  bool held{false};  // and said last that it holds content of the tenant
};
BOOST_DESCRIBE_STRUCT(ContentGrantRow, (), (tenant, host, held))

// An image that a host makes of an instance's disk.
struct SnapshotRow {
  static constexpr std::string_view kTable = "snapshots";
  static constexpr std::string_view kKey = "id";
  std::string id;
  std::string tenant;
  std::string instance;
  std::string host;  // where the instance was when it was asked for
  std::string name;  // that the image gets
  wire::SnapshotPhase phase{wire::SnapshotPhase::asked};
  std::string sha256;  // the image's id, from phase stored on
  std::string problem;
  std::int64_t asked_ms{0};
  std::int64_t ended_ms{0};  // 0: it is under way
};
BOOST_DESCRIBE_STRUCT(SnapshotRow, (), (id, tenant, instance, host, name, phase, sha256, problem, asked_ms, ended_ms))

// What takes room on a host and of a quota: instances, reservations of tickets, arriving instances.
struct Claim {
  static constexpr std::string_view kTable = "claims";
  std::string instance;
  std::string tenant;
  std::string host;
  std::uint32_t vcpus{0};
  std::uint32_t memory_mib{0};
  std::uint32_t disk_gib{0};
  std::int64_t expires_ms{0};
};
BOOST_DESCRIBE_STRUCT(Claim, (), (instance, tenant, host, vcpus, memory_mib, disk_gib, expires_ms))

}  // namespace godwit::cloud
