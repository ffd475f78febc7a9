// The hosts that this switch knows, each by the record that its cloud has signed (docs/formats/host-record.md): with
// which key it speaks, and how. Pure.
#pragma once

#include "crypto/host_record.h"
#include "wire/network.h"

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace godwit::overlay {

// One strand. A record's signature is checked once, its time at every use.
class Roster {
 public:
  static constexpr std::size_t kMostAuthorities = 256;
  static constexpr std::size_t kMostHosts = 8192;

  // Whose records are believed from now on, each of its own cloud's hosts. What others have signed is forgotten. After
  // an error nothing has changed. Errors: invalid_argument.
  [[nodiscard]] Result<> trust(const std::vector<wire::CloudCa>& authorities);

  [[nodiscard]] const std::map<std::string, crypto::Authority>& authorities() const { return authorities_; }

  // The host that `record` is of, from now on known by it: what a peer shows of itself. An older record of a host
  // whose key has changed since, and another host's key, are refused. 70 us the first time.
  // Errors: invalid_argument, not_authentic, timed_out, exhausted.
  [[nodiscard]] Result<crypto::HostRecord> admit(WallTime now, ByteView record);

  // `location` is of the host that its record says. One without a record passes: no session comes of it.
  // Errors: those of admit(); not_authentic (the record is of another host).
  [[nodiscard]] Result<> check(WallTime now, const wire::Location& location);

  // As it is known now; nothing when it isn't, or its record has expired.
  [[nodiscard]] const crypto::HostRecord* find(WallTime now, const std::string& cloud, const std::string& host) const;

  // Whose key it is: cloud and host; nothing when no record says so.
  [[nodiscard]] const std::pair<std::string, std::string>* find(const crypto::HostKey& key) const {
    const auto found = keys_.find(key);
    return found == keys_.end() ? nullptr : &found->second;
  }

 private:
  struct Known {
    crypto::HostRecord record;
    std::string bytes;
  };
  using Name = std::pair<std::string, std::string>;  // cloud, host

  [[nodiscard]] Result<> may_follow(WallTime now, const crypto::HostRecord& record) const;
  void forget_expired(WallTime now);

  std::vector<wire::CloudCa> pems_;
  std::map<std::string, crypto::Authority> authorities_;  // by cloud
  std::map<Name, Known> hosts_;
  std::map<crypto::HostKey, Name> keys_;
};

}  // namespace godwit::overlay
