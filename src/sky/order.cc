#include "sky/order.h"

#include <algorithm>
#include <set>

namespace godwit::sky {

std::vector<std::string> who_sets_out(const std::vector<Traveller>& cluster, std::size_t at_once) {
  using Way = std::pair<std::string, std::string>;
  std::set<Way> sown;    // content of the image's guests is at both ends
  std::set<Way> sowing;  // a seed is on its way
  std::size_t under_way = 0;
  std::vector<const Traveller*> waiting;
  for (const auto& each : cluster) {
    if (each.course == Course::first_round || each.course == Course::crossed) ++under_way;
    if (each.course == Course::waiting) waiting.push_back(&each);
    if (!each.shares) continue;
    if (each.course == Course::first_round) sowing.insert({each.from, each.to});
    if (each.course == Course::crossed || each.course == Course::arrived) {
      sown.insert({each.from, each.to});
      sown.insert({each.to, each.from});
    }
  }
  std::ranges::stable_sort(waiting, {}, &Traveller::dirty_bytes_per_s);
  std::vector<std::string> out;
  for (const auto* each : waiting) {
    if (under_way >= at_once) break;
    const Way way{each->from, each->to};
    if (each->shares && !sown.contains(way)) {
      if (sowing.contains(way)) continue;
      sowing.insert(way);
    }
    out.push_back(each->id);
    ++under_way;
  }
  return out;
}

std::string host_of_companions(const std::vector<Traveller>& cluster, const std::string& from,
                               const std::string& from_host, const std::string& to) {
  std::string found;
  for (const auto& each : cluster) {
    const bool together = each.shares && each.from == from && each.from_host == from_host && each.to == to;
    const bool goes = each.course != Course::waiting && each.course != Course::failed;
    if (together && goes && !each.to_host.empty()) found = each.to_host;
  }
  return found;
}

}  // namespace godwit::sky
