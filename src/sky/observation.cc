// What the switches of a network's hosts saw, asked of its clouds one after the other.
#include "sky/sky.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace godwit::sky {
namespace {

sys::Task<Result<wire::NetworkObservation>> ask(CloudClient client, std::string network) {
  co_return co_await client.observation(network);
}

}  // namespace

sys::Task<Result<wire::NetworkObservation>> Sky::observe(std::string network) {
  wire::NetworkObservation out;
  std::set<std::string> clouds;
  for (const auto& [name, cluster] : clusters_) {
    const auto& record = cluster->record();
    if (record.network.id != network && record.network.name != network) continue;
    out.network = record.network;
    out.network.key.clear();
    for (const auto& member : record.network.members) clouds.insert(member.location.cloud);
  }
  if (out.network.id.empty()) {
    co_return fail(Errc::not_found, "network \"{}\": there is none (godwit network list shows them)",
                   network.substr(0, 64));
  }
  clouds.erase("");
  for (const auto& cloud : clouds) {
    auto client = accounts_.client(cloud);
    if (!client) {
      out.problems.push_back(client.error().message);
      continue;
    }
    auto seen = co_await ask(std::move(*client), out.network.id);
    if (!seen) {
      out.problems.push_back(seen.error().message);
      continue;
    }
    std::ranges::move(seen->problems, std::back_inserter(out.problems));
    for (auto& each : seen->hosts) {
      if (each.cloud == cloud) out.hosts.push_back(std::move(each));
    }
  }
  co_return out;
}

}  // namespace godwit::sky
