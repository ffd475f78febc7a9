#include "siblings/owner.h"

namespace godwit::siblings {

void Owner::meet(const std::string& holder, Incarnation incarnation) {
  const auto known = hosts_.find(holder);
  if (known != hosts_.end() && known->second.incarnation == incarnation) return;
  if (known != hosts_.end()) depart(holder);
  const auto number = free_number();
  if (number == 0) return;
  hosts_[holder] = {number, incarnation};
  names_[number] = holder;
}

void Owner::depart(const std::string& holder) {
  const auto known = hosts_.find(holder);
  if (known == hosts_.end()) return;
  table_.drop(known->second.number);
  likenesses_.drop(known->second.number);
  names_.erase(known->second.number);
  hosts_.erase(known);
}

// The least that is free; 0 where there is none.
content::HostNumber Owner::free_number() const {
  content::HostNumber number = 1;
  for (const auto& [taken, name] : names_) {
    if (taken != number) break;
    if (number == content::OwnerTable::kMostHosts) return 0;
    ++number;
  }
  return number;
}

void Owner::tell(const std::string& holder, const std::vector<PageDigest>& digests) {
  const auto host = hosts_.find(holder);
  if (host == hosts_.end()) return;
  for (const auto& each : digests) table_.add(content::hint_of(each), host->second.number);
}

void Owner::withdraw(const std::string& holder, const std::vector<PageDigest>& digests) {
  const auto host = hosts_.find(holder);
  if (host == hosts_.end()) return;
  for (const auto& each : digests) table_.forget(content::hint_of(each), host->second.number);
}

void Owner::tell_alike(const std::string& holder, const std::vector<SketchTag>& tags) {
  const auto host = hosts_.find(holder);
  if (host == hosts_.end()) return;
  for (const auto each : tags) likenesses_.add(content::hint_of(each), host->second.number);
}

const std::string& Owner::holder_of(const PageDigest& digest) const {
  return name_of(table_.find(content::hint_of(digest)));
}
const std::string& Owner::holder_of(SketchTag tag) const { return name_of(likenesses_.find(content::hint_of(tag))); }

const std::string& Owner::name_of(content::HostNumber number) const {
  static const std::string nobody;
  const auto name = number == 0 ? names_.end() : names_.find(number);
  return name == names_.end() ? nobody : name->second;
}

}  // namespace godwit::siblings
