#include "migrate/rapport.h"

#include <algorithm>

namespace godwit::migrate {

void Crossed::add(Numbered first, content::PageId id, std::uint64_t count) {
  if (count == 0) return;
  const auto after = by_id_.lower_bound(id);
  if (after != by_id_.begin()) {
    Run& last = std::prev(after)->second;
    const bool goes_on = last.id + last.count == id && last.first.connection == first.connection &&
                         last.first.number + last.count == first.number;
    if (goes_on) {
      last.count += count;
      return;
    }
  }
  by_id_[id] = Run{first, id, count};
  by_number_[first] = id;
}

std::optional<Numbered> Crossed::of(content::PageId id) const {
  const auto after = by_id_.upper_bound(id);
  if (after == by_id_.begin()) return std::nullopt;
  const Run& run = std::prev(after)->second;
  if (id - run.id >= run.count) return std::nullopt;
  return Numbered{run.first.connection, run.first.number + (id - run.id)};
}

content::PageId Crossed::at(Numbered numbered) const {
  const auto after = by_number_.upper_bound(numbered);
  if (after == by_number_.begin()) return 0;
  const Run& run = by_id_.at(std::prev(after)->second);
  if (run.first.connection != numbered.connection) return 0;
  const auto within = numbered.number - run.first.number;
  return within < run.count ? run.id + within : 0;
}

void Crossed::forget_from(Numbered numbered) {
  auto each = by_number_.lower_bound(numbered);
  while (each != by_number_.end() && each->first.connection == numbered.connection) {
    by_id_.erase(each->second);
    each = by_number_.erase(each);
  }
  if (each == by_number_.begin()) return;
  Run& run = by_id_.at(std::prev(each)->second);
  const bool within = run.first.connection == numbered.connection && run.first.number + run.count > numbered.number;
  if (within) run.count = numbered.number - run.first.number;
}

void Crossed::forget_before(std::uint32_t connection) {
  const auto end = by_number_.lower_bound({connection, 0});
  for (auto each = by_number_.begin(); each != end; each = by_number_.erase(each)) by_id_.erase(each->second);
}

std::uint32_t Crossed::first_connection_from(content::PageId id) const {
  std::uint32_t first = 0;
  for (auto each = by_id_.begin(); each != by_id_.end() && each->first < id; ++each) {
    first = std::max(first, each->second.first.connection + 1);
  }
  return first;
}

void Rapport::forget_before(std::uint32_t my_connection, std::uint32_t their_connection) {
  mine.forget_before(my_connection);
  theirs.forget_before(their_connection);
  acknowledged.erase(acknowledged.begin(), acknowledged.lower_bound(my_connection));
}

void Rapport::forget_before(std::uint32_t connection) {
  mine.forget_before(connection);
  theirs = {};
  acknowledged.erase(acknowledged.begin(), acknowledged.lower_bound(connection));
}

void Rapport::begin_anew(RapportId with) {
  id = with;
  mine = {};
  theirs = {};
  acknowledged.clear();
}

std::shared_ptr<Rapport> Rapports::with(const std::string& tenant, const std::string& peer) {
  auto& kept = kept_[{tenant, peer}];
  kept.used = ++uses_;
  if (!kept.rapport) {
    kept.rapport = std::make_shared<Rapport>();
    kept.rapport->domain = store_.domain(tenant);
  }
  auto rapport = kept.rapport;
  if (kept_.size() > kRapports) {
    const auto oldest = std::ranges::min_element(kept_, {}, [](const auto& each) { return each.second.used; });
    kept_.erase(oldest);
  }
  return rapport;
}

}  // namespace godwit::migrate
