// Tickets: this cloud's signed, single-use permissions for an instance to come here, and what holds the room for it.
// docs/protocols/migration.md, "Before: ticket and admission".
#pragma once

#include "cloud/instances.h"

namespace godwit::cloud {

class Tickets {
 public:
  Tickets(Core& core, const Hosts& hosts) : core_(core), hosts_(hosts) {}

  // Checks that the instance may come, picks a host, holds room and quota for kTicketLife, and signs. Asked twice with
  // one migration and one content (the answer was lost) it gives the same ticket while that is good; a new migration of
  // the same instance takes the place of an older one whose ticket was not used.
  // Errors: invalid_argument, denied (another tenant's spec), not_found (network), conflict (it is here, arrives, or
  // the clouds were not introduced), exhausted, unavailable, unsupported.
  [[nodiscard]] Result<wire::TicketGrant> issue(const User& user, const wire::TicketRequest& request);

  // The destination's agent shows what the source has shown to it. Recorded before the answer: good once, and again
  // only for the same host and migration while that is open (the answer was lost).
  // Errors: not_authentic (altered, foreign), denied (host, key, cloud or instance is not the ticket's), conflict
  // (used, replaced), timed_out (expired).
  [[nodiscard]] Result<wire::RedeemAnswer> redeem(const HostIdentity& caller, const wire::RedeemRequest& request);

 private:
  [[nodiscard]] Result<> admissible(Sql& sql, const User& user, const wire::TicketRequest& request) const;
  [[nodiscard]] Result<std::string> place(Sql& sql, const User& user, const wire::TicketRequest& request) const;
  [[nodiscard]] Result<TicketRow> make(Sql& sql, const User& user, const wire::TicketRequest& request,
                                       const std::string& host);
  [[nodiscard]] Result<wire::TicketClaims> open(const std::string& ticket) const;
  [[nodiscard]] Result<> matches(const TicketRow& row, const HostIdentity& caller,
                                 const wire::RedeemRequest& request) const;

  Core& core_;
  const Hosts& hosts_;
};

// SHA-256 of the canonical JSON: what a ticket binds of an instance.
[[nodiscard]] std::string spec_digest(const wire::InstanceSpec& spec);

}  // namespace godwit::cloud
