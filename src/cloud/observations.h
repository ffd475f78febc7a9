// What the switches of this cloud's hosts saw last, for the owners of the networks. In memory: a few seconds later it
// is out of date.
#pragma once

#include "cloud/hosts.h"
#include "wire/observation.h"

namespace godwit::cloud {

class Networks;

// An observation that is older is shown to nobody.
constexpr Seconds kObservationLife{30};

class Observations {
 public:
  Observations(Core& core, Networks& networks) : core_(core), networks_(networks) {}

  // A host's; more than the limits of wire/observation.h is left out.
  [[nodiscard]] Result<> take(const HostIdentity& host, wire::Observation observation);
  // Of the hosts here that have a member of the network: what is of it, and of their peers those that have one too; as
  // problems, members that announce themselves at another host than their newest record says.
  // Errors: those of Networks::get().
  [[nodiscard]] Result<wire::NetworkObservation> get(const User& user, const std::string& network);
  // For the operator: adds such members of any network to the problems of the hosts where they do.
  void add_hints(wire::HostList& hosts);

 private:
  struct Last {
    TimePoint heard;
    wire::Observation observation;
  };

  void forget_old();
  [[nodiscard]] std::vector<std::string> hints(const wire::Network& network, const std::string& host,
                                               const wire::Observation& seen);

  Core& core_;
  Networks& networks_;
  std::map<std::string, Last> last_;  // by host
};

}  // namespace godwit::cloud
