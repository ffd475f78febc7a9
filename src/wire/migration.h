// A migration as its callers see it, and the messages between agents and clouds about one. The protocol that decides
// who owns the instance is in migrate/handover.h; docs/protocols/migration.md has the whole.
#pragma once

#include "wire/instance.h"
#include "wire/network.h"

namespace godwit::wire {

BOOST_DEFINE_ENUM_CLASS(MigrationRole, source, destination)

// In order; post_copy only where that was the last resort: it runs at the destination, and lacks pages. Both sides go
// through the same names; what each does in them is in docs/protocols/migration.md.
BOOST_DEFINE_ENUM_CLASS(MigrationPhase, ordered, connecting, preparing, disk, memory, paused, draining, prepared,
                        released, post_copy, owned, completed, aborted, in_doubt)

// The answer to "who has it": none while it is open.
BOOST_DEFINE_ENUM_CLASS(Decision, none, released, aborted)

struct MigrationOptions {
  std::uint32_t downtime_limit_ms{100};  // QEMU's own part of the pause; the hand-over comes on top
  bool auto_converge{true};
  bool post_copy{false};                // as the last resort, where the destination can
  std::uint64_t max_bytes_per_s{0};     // 0: as fast as the link
  std::uint32_t give_up_after_s{1800};  // without convergence
  std::string encoding;                 // the one way to cross the WAN; empty: the best that both hosts know
};
BOOST_DESCRIBE_STRUCT(MigrationOptions, (),
                      (downtime_limit_ms, auto_converge, post_copy, max_bytes_per_s, give_up_after_s, encoding))

struct MigrationProgress {
  std::uint64_t memory_total_bytes{0};
  std::uint64_t memory_remaining_bytes{0};
  std::uint64_t memory_sent_bytes{0};  // what QEMU has put out
  std::uint64_t disk_total_bytes{0};   // allocated in the overlay
  std::uint64_t disk_sent_bytes{0};
  std::uint64_t dirty_bytes_per_s{0};
  std::uint32_t rounds{0};
};
BOOST_DESCRIBE_STRUCT(MigrationProgress, (),
                      (memory_total_bytes, memory_remaining_bytes, memory_sent_bytes, disk_total_bytes, disk_sent_bytes,
                       dirty_bytes_per_s, rounds))

struct WanBytes {
  std::uint64_t memory{0};  // on the wire after encoding, TLS apart
  std::uint64_t disk{0};
};
BOOST_DESCRIBE_STRUCT(WanBytes, (), (memory, disk))

// What became of the bytes that QEMU put out at the source: how many of them crossed as what, and of what is new, what
// compression took off. They add up to what was put out.
struct Savings {
  std::uint64_t zero{0};     // pages of zeros, and their records
  std::uint64_t image{0};    // blocks of an image that the destination has
  std::uint64_t sibling{0};  // pages that crossed for another instance, or that a host of the destination's cloud has
  std::uint64_t earlier{0};  // pages that crossed for this instance, now or when it moved before
  std::uint64_t similar{0};  // as the difference from a page that the destination has, or from its own last version
  std::uint64_t compressed{0};  // of new pages, what compression spared the wire: at least so much
  std::uint64_t literal{0};     // of new pages, what is on the wire
  std::uint64_t other{0};       // what is no page

  [[nodiscard]] constexpr std::uint64_t sum() const {
    return zero + image + sibling + earlier + similar + compressed + literal + other;
  }
  constexpr Savings& operator+=(const Savings& more) {
    zero += more.zero;
    image += more.image;
    sibling += more.sibling;
    earlier += more.earlier;
    similar += more.similar;
    compressed += more.compressed;
    literal += more.literal;
    other += more.other;
    return *this;
  }
};
BOOST_DESCRIBE_STRUCT(Savings, (), (zero, image, sibling, earlier, similar, compressed, literal, other))

struct MigrationCost {
  double total_s{0};
  double downtime_ms{
      0};  // vCPUs stood still: from the source's pause to the destination's start, by the source's clock
  WanBytes wan_bytes;
  Savings savings;
  std::uint32_t rounds{0};
  std::vector<std::string> tried;  // against slow convergence: "auto-converge", "post-copy"
};
BOOST_DESCRIBE_STRUCT(MigrationCost, (), (total_s, downtime_ms, wan_bytes, savings, rounds, tried))

struct PeerPoint {
  std::string cloud;
  std::string host;  // its name in that cloud
  std::string ip;
  std::uint16_t port{0};
  std::string certificate_name;  // "b1.cloud-b.godwit"
  SwitchPoint by_overlay{};      // its switch: the other way to the same host, and the same port
};
BOOST_DESCRIBE_STRUCT(PeerPoint, (), (cloud, host, ip, port, certificate_name, by_overlay))

// What a destination cloud signs. Binds everything that it checked at admission; redeemed once, within 120 s of its own
// clock.
struct TicketClaims {
  std::string id;  // "tkt-…"
  std::string issuer;
  std::string migration;  // "mig-…", drawn by whoever asks for the ticket
  std::string tenant;
  std::string instance;
  std::string source_cloud;
  std::string source_host_key;  // SHA-256 of the SubjectPublicKeyInfo, hex
  std::string
      spec_sha256;  // of the canonical JSON of the InstanceSpec: shape, image, machine, CPU, accelerator, addresses
  PeerPoint destination;
  std::int64_t expires_ms{0};  // Unix time, issuer's clock
};
BOOST_DESCRIBE_STRUCT(TicketClaims, (),
                      (id, issuer, migration, tenant, instance, source_cloud, source_host_key, spec_sha256, destination,
                       expires_ms))

struct TicketRequest {
  std::string migration;
  InstanceSpec spec;
  std::string source_cloud;
  std::string source_host_key;
  std::string destination_host;  // empty: the cloud's scheduler chooses
};
BOOST_DESCRIBE_STRUCT(TicketRequest, (), (migration, spec, source_cloud, source_host_key, destination_host))

struct TicketGrant {
  std::string ticket;  // opaque to all but the issuer
  PeerPoint destination;
  std::int64_t expires_ms{0};
};
BOOST_DESCRIBE_STRUCT(TicketGrant, (), (ticket, destination, expires_ms))

// POST /v1/instances/ID/migrate at the source cloud.
struct MigrateRequest {
  std::string migration;
  TicketGrant grant;
  std::string destination_cloud;
  MigrationOptions options;
};
BOOST_DESCRIBE_STRUCT(MigrateRequest, (), (migration, grant, destination_cloud, options))

// One side's view of a migration; `GET /v1/migrations/ID` and the agents' reports.
struct MigrationReport {
  std::string id;
  std::string instance;
  MigrationRole role{MigrationRole::source};
  MigrationPhase phase{MigrationPhase::ordered};
  std::string from_cloud;
  std::string from_host;
  std::string to_cloud;
  std::string to_host;
  MigrationProgress progress;
  MigrationCost cost;
  std::string error;  // why it was aborted, or is in doubt; for people
  std::int64_t started_ms{0};
};
BOOST_DESCRIBE_STRUCT(MigrationReport, (),
                      (id, instance, role, phase, from_cloud, from_host, to_cloud, to_host, progress, cost, error,
                       started_ms))

// A phase that no longer changes.
[[nodiscard]] constexpr bool is_final(MigrationPhase phase) {
  return phase == MigrationPhase::completed || phase == MigrationPhase::aborted;
}

// What a cloud wants of the source's agent.
struct MigrationOrder {
  std::string id;
  std::string instance;
  TicketGrant grant;
  MigrationOptions options;
  bool cancel{false};
  Decision decision{Decision::none};  // the cloud's own durable vote; see migrate/handover.h
  Decision fence{Decision::none};     // a person decided: `godwit instance resolve --fence`
  // What lets others believe that the destination has it: signed by the clouds that had it (crypto/location_record.h),
  // as base64url, the oldest first. The last is of this migration, and is shown with the source's vote, not before.
  std::vector<std::string> hand_offs{};
};
BOOST_DESCRIBE_STRUCT(MigrationOrder, (), (id, instance, grant, options, cancel, decision, fence, hand_offs))

// Destination agent to its cloud: POST /v1/agent/tickets/redeem.
struct RedeemRequest {
  std::string ticket;
  std::string source_cloud;     // as the source's certificate says
  std::string source_host_key;  // likewise
  InstanceSpec spec;
  std::uint64_t location_version{0};  // the source's; 0: it doesn't say
};
BOOST_DESCRIBE_STRUCT(RedeemRequest, (), (ticket, source_cloud, source_host_key, spec, location_version))

struct RedeemAnswer {
  TicketClaims claims;
  std::uint64_t location_version{0};  // that the instance gets; 0: not known to this cloud either
  std::string location_record{};      // "if it is handed off", of that version, as base64url; empty: none without one
};
BOOST_DESCRIBE_STRUCT(RedeemAnswer, (), (claims, location_version, location_record))

// POST /v1/agent/migrations/ID/release (source agent to its cloud) and POST /v1/peer/migrations/ID/resolve (destination
// agent to the source's cloud): both answer with the cloud's durable vote.
struct DecisionAnswer {
  Decision decision{Decision::none};
  std::vector<std::string> hand_offs{};  // released, to the destination: as MigrationOrder has them
};
BOOST_DESCRIBE_STRUCT(DecisionAnswer, (), (decision, hand_offs))

// Hand-offs as messages carry them: no more than travel, none too long. What they say is for who believes them.
[[nodiscard]] inline bool are_hand_offs(const std::vector<std::string>& texts) {
  if (texts.size() > kMostHandOffs) return false;
  for (const auto& each : texts) {
    if (each.empty() || each.size() > kRecordText) return false;
  }
  return true;
}

}  // namespace godwit::wire
