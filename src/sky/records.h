// What sky must not forget, one JSON file each in its state directory, replaced atomically. Readable by its owner only:
// they hold tokens and keys. docs/formats/sky-state.md has the layout.
#pragma once

#include "sky/ssh_key.h"
#include "sys/files.h"
#include "wire/cluster.h"
#include "wire/network.h"

#include <string>
#include <vector>

namespace godwit::sky {

BOOST_DESCRIBE_STRUCT(SshKey, (), (private_key, public_key))

struct MemberRecord {
  std::string name;
  std::string instance;
  std::string cloud;   // where it is, or shall be launched
  bool pinned{false};  // the user named the cloud
  std::string type;
  std::vector<std::string> roles;
  bool launched{false};     // its cloud has had it: never launched again
  bool ready{false};        // it phoned home; stays while it runs, wherever that is
  bool terminating{false};  // its user wants it gone

  bool operator==(const MemberRecord&) const = default;
};
BOOST_DESCRIBE_STRUCT(MemberRecord, (), (name, instance, cloud, pinned, type, roles, launched, ready, terminating))

struct ClusterRecord {
  wire::ClusterSpec spec;  // as it was asked for: asking again with the same is no new cluster
  bool deleting{false};
  wire::Network network;            // its members' locations are the newest that any cloud has said
  std::vector<std::string> clouds;  // that were told of the network, and must be told when it goes
  std::vector<MemberRecord> members;
  SshKey login;
  SshKey host;
  std::int64_t created_ms{0};
  std::int64_t ready_ms{0};  // when all members were ready for the first time; 0 before
};
BOOST_DESCRIBE_STRUCT(ClusterRecord, (), (spec, deleting, network, clouds, members, login, host, created_ms, ready_ms))

// An image that was taken in whole, under this name.
struct ImageRecord {
  std::string name;
  std::string id;                   // of its content: in images/ beside the records
  std::vector<std::string> clouds;  // that it was brought to, or shall be
  std::uint64_t check{0};           // of its content here, that was asked for last: when, in ms since 1970; 0: none
};
BOOST_DESCRIBE_STRUCT(ImageRecord, (), (name, id, clouds, check))

BOOST_DEFINE_ENUM_CLASS(MoveStep, queued, granted, ordered, ended)

// One migration, from being asked for to its end.
struct MigrationRecord {
  std::string id;
  std::string cluster;
  std::string member;
  std::string instance;
  std::string from;
  std::string to;
  wire::MigrationOptions options;
  MoveStep step{MoveStep::queued};
  std::uint32_t place{0};                    // among those that were asked for together
  std::uint64_t known_dirty_bytes_per_s{0};  // when the instance last moved
  bool cancel{false};
  wire::TicketGrant grant;  // from step granted on
  wire::MigrationReport report;
  std::int64_t created_ms{0};
};
BOOST_DESCRIBE_STRUCT(MigrationRecord, (),
                      (id, cluster, member, instance, from, to, options, step, place, known_dirty_bytes_per_s, cancel,
                       grant, report, created_ms))

// The directories accounts/, clusters/, image-names/, migrations/ and security-groups/ under `directory`. Does I/O;
// blocks.
class Store {
 public:
  // `files` outlives the store. Creates what is missing, mode 0700.
  [[nodiscard]] static Result<Store> open(sys::Files& files, std::string directory);

  [[nodiscard]] Result<std::vector<wire::Account>> accounts() const;
  [[nodiscard]] Result<std::vector<ClusterRecord>> clusters() const;
  [[nodiscard]] Result<std::vector<MigrationRecord>> migrations() const;
  [[nodiscard]] Result<std::vector<wire::SecurityGroup>> security_groups() const;

  [[nodiscard]] Result<std::vector<ImageRecord>> images() const;

  // On disk when they return.
  [[nodiscard]] Result<> save(const wire::Account& account);
  [[nodiscard]] Result<> save(const ClusterRecord& cluster);
  [[nodiscard]] Result<> save(const MigrationRecord& migration);
  [[nodiscard]] Result<> save(const wire::SecurityGroup& group);
  [[nodiscard]] Result<> save(const ImageRecord& image);
  [[nodiscard]] Result<> remove_account(const std::string& cloud);
  [[nodiscard]] Result<> remove_cluster(const std::string& name);
  [[nodiscard]] Result<> remove_migration(const std::string& id);
  [[nodiscard]] Result<> remove_security_group(const std::string& name);
  [[nodiscard]] Result<> remove_image(const std::string& name);

 private:
  Store(sys::Files& files, std::string directory) : files_(&files), directory_(std::move(directory)) {}

  sys::Files* files_;
  std::string directory_;
};

}  // namespace godwit::sky
