// Clouds whose hosts die, stand still, are cut off, come late and come back, many seeds over: in the end every host
// that lives has every piece, as the origin has it, in a bounded time.
#include "support/chain_cloud.h"

#include <cstdlib>

namespace godwit::image {
namespace {

using testing::ChainCloud;

constexpr std::uint64_t kPieces = 96;
constexpr std::uint64_t kNic = 2'500'000;  // 20 Mbit/s: 2.3 s for all of it
constexpr int kAccidents = 12;

int seeds_wanted() {
  const char* wanted = std::getenv("GODWIT_SEEDS");
  return wanted ? std::max(std::atoi(wanted) / 4, 1) : 40;
}

class Story {
 public:
  Story(std::uint64_t seed, std::size_t hosts) : cloud_(seed, kPieces, draw_sites(seed, hosts)) {
    cloud_.world.poll_only_woken();
    for (std::size_t host = 0; host < cloud_.size(); ++host) {
      const auto slower = draw(4) == 0 ? 1 + draw(8) : 1;
      cloud_.world.network().set_nic(ChainCloud::id(host), kNic / slower, kNic / slower);
    }
    for (std::size_t host = 0; host < cloud_.size(); ++host) {
      if (host == 0 || draw(5) != 0) cloud_.start(host);
    }
  }

  void accidents(int count = kAccidents) {
    for (int i = 0; i < count; ++i) {
      cloud_.world.run_for(Millis{draw(500)});
      happen();
    }
  }
  void calm_down() {
    cloud_.world.network().heal_all();
    for (std::size_t host = 0; host < cloud_.size(); ++host) {
      cloud_.start(host);
      cloud_.process(host)->thaw();
      cloud_.disk(host).full = false;
    }
  }
  // Whatever happened before: the slowest link eight times, and the longest pause of all that asks again.
  void everybody_has_it() {
    cloud_.run_until_done(Seconds{90});
    const auto& puts = cloud_.disk(cloud_.size() - 1).puts;
    EXPECT_LE(puts, kPieces) << "nothing is taken twice";
  }

 private:
  static std::vector<std::string> draw_sites(std::uint64_t seed, std::size_t hosts) {
    std::vector<std::string> sites(hosts + seed % 5, "cloud-a");
    for (std::size_t host = 1; seed % 3 == 0 && host < sites.size(); host += 2) sites[host] = "cloud-b";
    return sites;
  }
  std::uint64_t draw(std::uint64_t limit) { return cloud_.world.draw_below(limit); }
  std::size_t a_host() { return draw(cloud_.size()); }

  void happen() {
    const auto host = a_host();
    switch (draw(9)) {
      case 0:
      case 1: cloud_.crash(host); break;
      case 2:
      case 3: cloud_.start(host); break;
      case 4:
        if (auto* process = cloud_.process(host)) process->freeze();
        break;
      case 5:
        if (auto* process = cloud_.process(host)) process->thaw();
        break;
      case 6:
        if (const auto other = a_host(); other != host)
          cloud_.world.network().cut(ChainCloud::id(host), ChainCloud::id(other));
        break;
      case 7: cloud_.world.network().heal_all(); break;
      default: cloud_.assign(host); break;  // the cloud says it once more
    }
  }

  ChainCloud cloud_;
};

class ChainSimulation : public ::testing::TestWithParam<int> {};

TEST_P(ChainSimulation, EveryHostThatLivesHasAllOfItInTheEnd) {
  const auto each = static_cast<std::uint64_t>(seeds_wanted());
  const auto first = static_cast<std::uint64_t>(GetParam()) * each;
  for (auto seed = first; seed < first + each; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Story story(seed, 4);
    story.accidents();
    story.calm_down();
    story.everybody_has_it();
    if (HasFailure()) return;
  }
}

// Enough of them for pieces to go in parts.
TEST_P(ChainSimulation, SoHasEveryHostOfALongChain) {
  const auto each = static_cast<std::uint64_t>(std::max(seeds_wanted() / 40, 1));
  const auto first = static_cast<std::uint64_t>(GetParam()) * each;
  for (auto seed = first; seed < first + each; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Story story(seed, 66);
    story.accidents(5 * kAccidents);
    story.calm_down();
    story.everybody_has_it();
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ChainSimulation, ::testing::Range(0, 4));

}  // namespace
}  // namespace godwit::image
