#include "overlay/roster.h"

#include <algorithm>

namespace godwit::overlay {

Result<> Roster::trust(const std::vector<wire::CloudCa>& authorities) {
  const auto same = [](const wire::CloudCa& a, const wire::CloudCa& b) { return a.cloud == b.cloud && a.pem == b.pem; };
  if (std::ranges::equal(authorities, pems_, same)) return {};
  if (authorities.size() > kMostAuthorities) {
    return fail(Errc::invalid_argument, "authorities: at most {}", kMostAuthorities);
  }
  std::map<std::string, crypto::Authority> next;
  for (const auto& each : authorities) {
    auto authority = crypto::Authority::from_pem(each.cloud, each.pem);
    if (!authority) return fail(authority, "authorities");
    if (!next.emplace(each.cloud, std::move(*authority)).second) {
      return fail(Errc::invalid_argument, "authorities: {} is there twice", each.cloud);
    }
  }
  // A CA that was renewed has the same name: then its hosts show themselves anew.
  std::erase_if(hosts_, [&](const auto& known) {
    const auto pem_of = [&](const std::vector<wire::CloudCa>& all) -> const std::string* {
      const auto found = std::ranges::find(all, known.first.first, &wire::CloudCa::cloud);
      return found == all.end() ? nullptr : &found->pem;
    };
    const auto* before = pem_of(pems_);
    const auto* after = pem_of(authorities);
    if (before && after && *before == *after) return false;
    keys_.erase(known.second.record.key);
    return true;
  });
  pems_ = authorities;
  authorities_ = std::move(next);
  return {};
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

Result<> Roster::check(WallTime now, const wire::Location& location) {
  if (location.record.empty()) return {};
  const auto bytes = crypto::statement_from_text(location.record);
  if (!bytes) return pass(bytes);
  const auto host = admit(now, *bytes);
  if (!host) return pass(host);
  if (host->cloud != location.cloud || host->host != location.host) {
    return fail(Errc::not_authentic, "location: it is at {}.{}, the record of {}.{}", location.host.substr(0, 64),
                location.cloud.substr(0, 64), host->host, host->cloud);
  }
  return {};
}

const crypto::HostRecord* Roster::find(WallTime now, const std::string& cloud, const std::string& host) const {
  const auto found = hosts_.find({cloud, host});
  if (found == hosts_.end() || now >= found->second.record.validity.until) return nullptr;
  return &found->second.record;
}

}  // namespace godwit::overlay
