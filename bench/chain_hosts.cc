// How long an image takes to very many hosts: the agents' own state machines in simulated time, every link limited.
// bench_image_hosts runs it.
//   chain_hosts SITES HOSTS_A_SITE PIECES MBIT WAN_MS LATE_MS     says seconds and the limit, as JSON
#include "support/chain_cloud.h"
#include "wire/json.h"

#include <malloc.h>
#include <sys/epoll.h>

#include <iostream>

// In simulated time no descriptor is ever ready; Asio asks after each handler, which would be a third of the run.
extern "C" int epoll_wait(int, epoll_event*, int, int) { return 0; }

namespace godwit::image {
namespace {

using testing::ChainCloud;

struct Told {
  std::uint64_t hosts{0};
  double seconds{0};     // until the last one has all of it
  double limit_s{0};     // its payload over one link
  double first_s{0};     // until the last one has its first piece: the chain's fill
  double wan_copies{0};  // of the payload, with heads, over the WAN of a site that carried most, in
};
BOOST_DESCRIBE_STRUCT(Told, (), (hosts, seconds, limit_s, first_s, wan_copies))

// What Linux gives a TCP connection where tcp_rmem and tcp_wmem allow it 16 MiB. With less than 5 MiB the window, and
// not the chain, would be the limit of 1 Gbit/s over 40 ms.
constexpr std::uint64_t kWindow_bytes = 8UL << 20U;

std::string site_name(std::size_t site) { return fmt::format("site-{:02}", site); }

double wan_copies(ChainCloud& cloud, std::size_t sites) {
  std::uint64_t most = 0;
  for (std::size_t to = 0; to < sites; ++to) {
    std::uint64_t in = 0;
    for (std::size_t from = 0; from < sites; ++from) {
      if (from != to) in += cloud.world.network().carried(site_name(from), site_name(to));
    }
    most = std::max(most, in);
  }
  return static_cast<double>(most) / static_cast<double>(cloud.payload());
}

// All are told of the image at one moment, or the origin so much after the others.
Told run(std::size_t sites, std::size_t hosts, std::uint64_t pieces, std::uint64_t mbit, int wan_ms, int late_ms) {
  std::vector<std::string> names;
  for (std::size_t host = 0; host <= sites * hosts; ++host) {
    names.push_back(site_name(host == 0 ? 0 : (host - 1) / hosts));  // the origin is at the first
  }
  ChainCloud cloud(1, pieces, names);
  cloud.world.poll_only_woken();
  const auto rate = mbit * 125'000;
  for (std::size_t host = 0; host < cloud.size(); ++host)
    cloud.world.network().set_nic(ChainCloud::id(host), rate, rate);
  for (std::size_t a = 0; a < sites; ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      cloud.world.network().set_link(site_name(a), site_name(b), {Millis{wan_ms} / 2, 0, kWindow_bytes});
    }
  }
  for (auto host = cloud.size() - 1; host > 0; --host) cloud.start(host);
  if (late_ms > 0) cloud.world.run_for(Millis{late_ms});
  cloud.start(0);
  const auto begun = cloud.world.now();
  const auto last = cloud.size() - 1;
  const auto zeros = cloud.disk(last).here();
  Told told;
  told.hosts = sites * hosts;
  told.limit_s = static_cast<double>(cloud.payload()) / static_cast<double>(rate);
  cloud.world.run_until([&] { return cloud.disk(last).here() > zeros; }, Seconds{600});
  told.first_s = to_s(cloud.world.now() - begun);
  cloud.world.run_until([&] { return cloud.done(); }, Seconds{3600});
  told.seconds = to_s(cloud.world.now() - begun);
  told.wan_copies = wan_copies(cloud, sites);
  return told;
}

}  // namespace
}  // namespace godwit::image

int main(int count, char** words) {
  if (count != 7) {
    std::cerr << "usage: chain_hosts SITES HOSTS_A_SITE PIECES MBIT WAN_MS LATE_MS\n";
    return 2;
  }
  mallopt(M_TRIM_THRESHOLD, 1 << 30);  // frames come and go
  const auto number = [&](int at) { return std::stoull(words[at]); };
  const auto told = godwit::image::run(number(1), number(2), number(3), number(4), static_cast<int>(number(5)),
                                       static_cast<int>(number(6)));
  std::cout << godwit::wire::encode(told) << "\n";
  return told.seconds > 0 ? 0 : 1;
}
