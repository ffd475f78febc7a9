// What the switches of a network's hosts saw, asked of its clouds side by side.
#include "sky/sky.h"
#include "sys/gather.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace godwit::sky {
namespace {

sys::Task<Result<wire::NetworkObservation>> ask(Result<CloudClient> client, std::string network) {
  if (!client) co_return pass(client);
  co_return co_await client->observation(network);
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
  // All at once, no more than there are accounts: one that doesn't answer costs its own time limit, and nobody else's.
  std::vector<sys::Task<Result<wire::NetworkObservation>>> asked;
  for (const auto& cloud : clouds) asked.push_back(ask(accounts_.client(cloud), out.network.id));
  auto answers = co_await sys::gather(runtime_.executor, std::move(asked));
  auto seen = answers.begin();
  for (const auto& cloud : clouds) {
    auto& answer = *seen++;
    if (!answer) {
      out.problems.push_back(answer.error().message);
      continue;
    }
    std::ranges::move(answer->problems, std::back_inserter(out.problems));
    for (auto& each : answer->hosts) {
      if (each.cloud == cloud) out.hosts.push_back(std::move(each));
    }
  }
  co_return out;
}

}  // namespace godwit::sky
