// How long an image takes to very many hosts: the agents' own state machines in simulated time, every link limited.
// bench_image_hosts runs it.
//   chain_hosts SITES HOSTS_A_SITE PIECES MBIT WAN_MS     says seconds and the limit, as JSON
#include "support/chain_cloud.h"
#include "wire/json.h"

#include <iostream>

namespace godwit::image {
namespace {

using testing::ChainCloud;

struct Told {
  std::uint64_t hosts{0};
  double seconds{0};  // until the last one has all of it
  double limit_s{0};  // its payload over one link
  double first_s{0};  // until the last one has its first piece: the chain's fill
};
BOOST_DESCRIBE_STRUCT(Told, (), (hosts, seconds, limit_s, first_s))

Told run(std::size_t sites, std::size_t hosts, std::uint64_t pieces, std::uint64_t mbit, int wan_ms) {
  std::vector<std::string> names;
  for (std::size_t host = 0; host <= sites * hosts; ++host) {
    names.push_back(fmt::format("site-{:02}", host == 0 ? 0 : (host - 1) / hosts));  // the origin is at the first
  }
  ChainCloud cloud(1, pieces, names);
  const auto rate = mbit * 125'000;
  for (std::size_t host = 0; host < cloud.size(); ++host)
    cloud.world.network().set_nic(ChainCloud::id(host), rate, rate);
  for (std::size_t a = 0; a < sites; ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      cloud.world.network().set_link(fmt::format("site-{:02}", a), fmt::format("site-{:02}", b),
                                     {Millis{wan_ms} / 2, 0});
    }
  }
  for (auto host = cloud.size() - 1; host > 0; --host) cloud.start(host);
  cloud.world.run_for(Seconds{2});  // agents run all the time; what comes is the image
  cloud.start(0);
  const auto begun = cloud.world.now();
  const auto last = cloud.size() - 1;
  const auto zeros = cloud.disk(last).here();
  Told told;
  told.hosts = sites * hosts;
  told.limit_s = static_cast<double>(cloud.payload()) / static_cast<double>(rate);
  cloud.world.run_until([&] { return cloud.disk(last).here() > zeros; }, Seconds{600});
  told.first_s = to_s(cloud.world.now() - begun);
  cloud.world.run_until([&] { return cloud.disk(last).whole(); }, Seconds{3600});
  cloud.world.run_until([&] { return cloud.done(); }, Seconds{3600});
  told.seconds = to_s(cloud.world.now() - begun);
  return told;
}

}  // namespace
}  // namespace godwit::image

int main(int count, char** words) {
  if (count != 6) {
    std::cerr << "usage: chain_hosts SITES HOSTS_A_SITE PIECES MBIT WAN_MS\n";
    return 2;
  }
  const auto number = [&](int at) { return std::stoull(words[at]); };
  const auto told = godwit::image::run(number(1), number(2), number(3), number(4), static_cast<int>(number(5)));
  std::cout << godwit::wire::encode(told) << "\n";
  return told.seconds > 0 ? 0 : 1;
}
