// The hosts of a cloud: their reports, which of them are alive, and what they have room for.
#pragma once

#include "cloud/core.h"
#include "cloud/lans.h"
#include "placement/scheduler.h"

namespace godwit::cloud {

// As a host's certificate says it.
struct HostIdentity {
  std::string name;
  std::string key_sha256;
};

class Hosts {
 public:
  explicit Hosts(Core& core) : core_(core), lans_(core) {}

  // Takes over what the database says of when each was heard last.
  [[nodiscard]] Result<> start();

  // Records the report, then gives the desired state of the host: at once when its generation is not
  // report.seen_generation, else when it has become another, or after report.wait_ms (kLongestPoll at most).
  // Errors: invalid_argument, denied (a report for another host), not_authentic (a certificate that a newer one
  // replaced).
  [[nodiscard]] sys::Task<Result<wire::DesiredState>> sync(HostIdentity host, wire::HostReport report);

  [[nodiscard]] bool alive(const std::string& host) const { return silence(host) < kHostSilence; }
  // How long ago it was heard.
  [[nodiscard]] Nanos silence(const std::string& host) const;

  // For the scheduler. Claims of `except_instance` are left out of the hosts' room.
  [[nodiscard]] std::vector<placement::HostOffer> offers(Sql& sql) const;
  [[nodiscard]] Result<wire::HostList> list() const;

 private:
  [[nodiscard]] Result<> record(const HostIdentity& host, const wire::HostReport& report);

  Core& core_;
  Lans lans_;
  std::map<std::string, TimePoint> heard_;          // when its last report came
  std::map<std::string, std::string> last_report_;  // as text: an equal one changes nothing but the time
};

}  // namespace godwit::cloud
