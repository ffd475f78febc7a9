// The file that one side keeps of one migration: `DIRECTORY/ID.json`. Format: docs/protocols/migration.md.
#pragma once

#include "migrate/handover.h"
#include "sys/files.h"
#include "wire/migration.h"

#include <string>
#include <vector>

namespace godwit::migrate {

inline constexpr std::uint32_t kRecordVersion = 1;

struct Record {
  std::uint32_t version{kRecordVersion};
  std::string id;
  wire::MigrationRole role{wire::MigrationRole::source};
  Ballot ballot;
  wire::InstanceSpec spec;
  std::uint64_t location_version{0};  // the destination's claim
  wire::PeerPoint source;             // for reports; the destination takes cloud and key from the certificate
  wire::PeerPoint destination;
  std::string peer_key;    // destination: SHA-256 of the source host's public key; nobody else may resume
  std::string source_api;  // destination: where the source's cloud answers
  std::string ticket;      // source
  wire::MigrationOptions options;
  wire::MigrationCost cost;
  std::string error;
  std::int64_t started_ms{0};  // Unix time
  std::int64_t ended_ms{0};
  bool promised{false};   // destination: has been prepared; until the source knows the end, it may ask
  bool forgotten{false};  // the cloud knows the end
  // destination: its cloud's word on where the instance is, for those to whom the hand-offs are shown too
  std::string location_record;
  // source: from its cloud, with the order; destination: from whoever released it. See wire::MigrationOrder.
  std::vector<std::string> hand_offs;
};
BOOST_DESCRIBE_STRUCT(Record, (),
                      (version, id, role, ballot, spec, location_version, source, destination, peer_key, source_api,
                       ticket, options, cost, error, started_ms, ended_ms, promised, forgotten, location_record,
                       hand_offs))

class Records final {
 public:
  Records(sys::Files& files, std::string directory) : files_(files), directory_(std::move(directory)) {}

  // All of them. Errors: io; protocol where one is not readable, for what it says about an instance is then unknown.
  [[nodiscard]] Result<std::vector<Record>> load();
  [[nodiscard]] Result<> save(const Record& record);
  [[nodiscard]] Result<> remove(const std::string& id);

 private:
  [[nodiscard]] std::string path_of(const std::string& id) const { return directory_ + "/" + id + ".json"; }
  sys::Files& files_;
  std::string directory_;
};

}  // namespace godwit::migrate
