#include "overlay/roster.h"

#include <algorithm>

namespace godwit::overlay {

void Roster::trust(const std::vector<wire::CloudCa>& authorities) {
  std::map<std::string, std::string> pems;
  std::map<std::string, crypto::Authority> next;
  for (const auto& each : authorities) {
    if (next.size() == kMostAuthorities) break;
    const auto known = pems_.find(each.cloud);
    const bool same = known != pems_.end() && known->second == each.pem;
    auto authority = same ? Result<crypto::Authority>(authorities_.at(each.cloud))
                          : crypto::Authority::from_pem(each.cloud, each.pem);
    if (authority && next.emplace(each.cloud, std::move(*authority)).second) pems.emplace(each.cloud, each.pem);
  }
  // A CA that was renewed has the same name: then its hosts show themselves anew.
  std::erase_if(hosts_, [&](const auto& known) {
    const auto before = pems_.find(known.first.first);
    const auto after = pems.find(known.first.first);
    if (after != pems.end() && before != pems_.end() && after->second == before->second) return false;
    keys_.erase(known.second.record.key);
    return true;
  });
  pems_ = std::move(pems);
  authorities_ = std::move(next);
}

void Roster::forget_expired(WallTime now) {
  std::erase_if(hosts_, [&](const auto& known) {
    if (now < known.second.record.validity.until) return false;
    keys_.erase(known.second.record.key);
    return true;
  });
}

Result<> Roster::may_follow(WallTime now, const crypto::HostRecord& record) const {
  const auto before = hosts_.find({record.cloud, record.host});
  const bool known = before != hosts_.end();
  if (known && before->second.record.key != record.key && before->second.record.validity.from > record.validity.from) {
    return fail(Errc::not_authentic, "host record of {}.{}: its key has changed since", record.host, record.cloud);
  }
  const auto owner = keys_.find(record.key);
  if (owner != keys_.end() && owner->second != Name{record.cloud, record.host} &&
      find(now, owner->second.first, owner->second.second)) {
    return fail(Errc::not_authentic, "host record of {}.{}: the key is that of {}.{}", record.host, record.cloud,
                owner->second.second, owner->second.first);
  }
  if (!known && hosts_.size() >= kMostHosts) {
    return fail(Errc::exhausted, "host record of {}.{}: {} hosts are known already", record.host, record.cloud,
                kMostHosts);
  }
  return {};
}

Result<crypto::HostRecord> Roster::admit(WallTime now, ByteView record) {
  const auto said = crypto::read_host_record(record);
  if (!said) return said;
  const Name name{said->cloud, said->host};
  const auto known = hosts_.find(name);
  if (known != hosts_.end() && known->second.bytes == as_text(record) && find(now, name.first, name.second)) {
    return known->second.record;
  }
  const auto authority = authorities_.find(said->cloud);
  if (authority == authorities_.end()) {
    return fail(Errc::not_authentic, "host record of {}.{}: nobody has introduced that cloud here", said->host,
                said->cloud);
  }
  auto opened = crypto::open_host_record(record, authority->second, now);
  if (!opened) return opened;
  if (hosts_.size() >= kMostHosts) forget_expired(now);
  const auto allowed = may_follow(now, *opened);
  if (!allowed) return pass(allowed);
  auto& place = hosts_[name];
  // The newer of two records of one key stays: the other one says nothing that it doesn't.
  if (place.record.key == opened->key && place.record.validity.until >= opened->validity.until) return opened;
  if (const auto mine = keys_.find(place.record.key); mine != keys_.end() && mine->second == name) keys_.erase(mine);
  if (const auto other = keys_.find(opened->key); other != keys_.end()) hosts_.erase(other->second);  // expired
  hosts_[name] = {*opened, std::string(as_text(record))};
  keys_[opened->key] = name;
  return opened;
}

Result<> Roster::check(WallTime now, wire::Location& location) {
  const auto bad = [&](std::string_view why) {
    return fail(Errc::not_authentic, "location at {}.{}: {}", location.host.substr(0, 64), location.cloud.substr(0, 64),
                why);
  };
  if (location.record.empty()) {
    if (location.key.empty() || authorities_.empty()) return {};
    return bad("nobody has signed its key");
  }
  const auto bytes = crypto::statement_from_text(location.record);
  if (!bytes) return pass(bytes);
  const auto host = admit(now, *bytes);
  if (!host) return pass(host);
  if (host->cloud != location.cloud || host->host != location.host) return bad("the record is of another host");
  const auto key = to_hex(host->key);
  if (!location.key.empty() && location.key != key) return bad("the record is of another key");
  location.key = key;
  return {};
}

const crypto::HostRecord* Roster::find(WallTime now, const std::string& cloud, const std::string& host) const {
  const auto found = hosts_.find({cloud, host});
  if (found == hosts_.end() || now >= found->second.record.validity.until) return nullptr;
  return &found->second.record;
}

}  // namespace godwit::overlay
