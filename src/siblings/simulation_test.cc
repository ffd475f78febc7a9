// Clouds whose hosts crash, come, go, and lose each other, many seeds over: what is brought is always what was asked
// for and always in time; and when it is quiet again, everything that somebody holds is found from everywhere.
#include "siblings/bringing.h"
#include "siblings/publisher.h"
#include "support/content_cloud.h"

namespace godwit::siblings {
namespace {

using godwit::testing::changed;
using testing::Cloud;
using testing::digest_of;
using testing::Node;

const std::string kAlice = "alice";
const std::string kBob = "bob";
constexpr std::uint64_t kPages = 200;  // a tenant may have
constexpr int kMostHosts = 6;
constexpr int kAccidents = 120;

class Story {
 public:
  explicit Story(std::uint64_t seed) : cloud_(seed, 3) {
    for (int host = 0; host < kMostHosts; ++host) {
      cloud_.tenants[host] = {kAlice};
      if (host % 2 == 0) cloud_.tenants[host].push_back(kBob);
    }
    cloud_.tell_all();
  }

  void accidents() {
    for (int i = 0; i < kAccidents; ++i) {
      happen();
      cloud_.world.run_for(Millis{draw(500)});
      check(false);
    }
  }
  void calm_down() {
    cloud_.world.network().heal_all();
    for (const int host : cloud_.members()) cloud_.start(host);
    cloud_.tell_all();
    cloud_.world.run_for(Seconds{1});
    check(true);
    cloud_.world.run_for(2 * kRefreshEvery);
  }
  void everything_is_found() {
    for (const int host : cloud_.members()) {
      for (const auto& tenant : cloud_.tenants[host]) {
        const auto held = all_held(tenant);
        const auto brought = cloud_.bring(host, tenant, held);
        EXPECT_EQ(std::count(brought->ids.begin(), brought->ids.end(), 0U), 0)
            << "of " << held.size() << " pages of " << tenant << ", from host " << host;
        check_one(host, *brought);
      }
    }
  }
  void everything_is_found_as_alike() {
    for (const int host : cloud_.members()) {
      for (const auto& tenant : cloud_.tenants[host]) {
        const auto sketches = all_sketches(tenant);
        const auto brought = cloud_.bring_alike(host, tenant, sketches);
        EXPECT_EQ(std::count(brought->ids.begin(), brought->ids.end(), 0U), 0)
            << "of " << sketches.size() << " pages of " << tenant << ", from host " << host;
        check_one(host, *brought);
      }
    }
  }
  [[nodiscard]] int found() const { return found_; }

 private:
  struct Running {
    int host;
    std::weak_ptr<Node::Brought> brought;
    TimePoint begun;
  };

  std::uint64_t draw(std::uint64_t limit) { return cloud_.world.draw_below(limit); }
  int a_host() {
    auto at = cloud_.members().begin();
    std::advance(at, static_cast<long>(draw(cloud_.members().size())));
    return *at;
  }
  std::string a_name() { return "a" + std::to_string(a_host()); }
  const std::string& a_tenant(int host) {
    const auto& all = cloud_.tenants[host];
    return all[draw(all.size())];
  }

  void happen() {
    const auto what = draw(16);
    if (what < 5) {
      keep_some();
    } else if (what < 8) {
      bring_some();
    } else if (what < 10) {
      bring_some_alike();
    } else if (what == 10) {
      cloud_.crash(a_host());
    } else if (what <= 12) {
      cloud_.start(a_host());
      tell_late();
    } else if (what == 13) {
      const auto [one, other] = std::pair(a_name(), a_name());
      if (one != other) cloud_.world.network().cut(one, other);
    } else if (what == 14) {
      cloud_.world.network().heal_all();
    } else {
      come_or_go();
    }
  }
  void keep_some() {
    const int host = a_host();
    auto* node = cloud_.node(host);
    if (!node) return;
    const auto& tenant = a_tenant(host);
    for (auto count = draw(60); count > 0; --count) node->keep(tenant, draw(kPages));
  }
  void bring_some() {
    const int host = a_host();
    auto* node = cloud_.node(host);
    if (!node) return;
    const auto& tenant = a_tenant(host);
    std::vector<PageDigest> digests;
    for (auto count = draw(100); count > 0; --count) digests.push_back(digest_of(tenant, draw(2 * kPages)));
    brought_.push_back(node->bring(tenant, std::move(digests)));
    running_.push_back({host, brought_.back(), cloud_.world.now()});
  }
  void bring_some_alike() {
    const int host = a_host();
    auto* node = cloud_.node(host);
    if (!node) return;
    const auto& tenant = a_tenant(host);
    std::vector<content::Sketch> sketches;
    for (auto count = 1 + draw(100); count > 0; --count) {
      sketches.push_back(content::sketch_of(changed(testing::page_of(draw(2 * kPages)), 4, draw(100))));
    }
    brought_.push_back(node->bring_alike(tenant, std::move(sketches)));
    running_.push_back({host, brought_.back(), cloud_.world.now()});
  }
  void come_or_go() {
    const int host = static_cast<int>(draw(kMostHosts));
    if (!cloud_.members().contains(host)) {
      cloud_.join(host);
    } else if (cloud_.members().size() > 2) {
      cloud_.leave(host);
    }
    tell_late();
  }
  // Each host hears of it in its own time.
  void tell_late() {
    for (int host = 0; host < kMostHosts; ++host) {
      cloud_.world.at(cloud_.world.now() + Millis{draw(3000)}, [this, host] {
        if (cloud_.members().contains(host)) cloud_.tell(host);
      });
    }
  }

  // Of bringings that are over; one whose host has crashed never is. `all`: no other is left.
  void check(bool all) {
    std::erase_if(running_, [&](const Running& each) {
      const auto brought = each.brought.lock();
      if (brought->over) check_one(each.host, *brought);
      const bool in_time = brought->over || !alive_since(each) || cloud_.world.now() - each.begun <= kBringLimit;
      EXPECT_TRUE(in_time) << "a bringing does not end";
      return brought->over || !alive_since(each) || all;
    });
  }
  bool alive_since(const Running& each) {
    auto* node = cloud_.node(each.host);
    return node && node->born <= each.begun;
  }
  void check_one(int host, const Node::Brought& brought) {
    EXPECT_LE(brought.took, kBringLimit);
    auto* node = cloud_.node(host);
    if (!node) return;
    const bool alike = !brought.sketches.empty();
    ASSERT_EQ(brought.ids.size(), alike ? brought.sketches.size() : brought.digests.size());
    const content::PageKey key(testing::key_of(brought.tenant).key);
    ByteVector page(kPage_bytes);
    for (std::size_t i = 0; i < brought.ids.size(); ++i) {
      if (brought.ids[i] == 0) continue;
      // A restarted host's store is another one.
      const auto read = node->store.read(node->store.domain(brought.tenant), brought.ids[i], page);
      if (!read) continue;
      if (node->born > brought.begun) continue;
      if (alike) {
        EXPECT_TRUE(content::are_alike(content::sketch_of(page), brought.sketches[i]));
      } else {
        EXPECT_EQ(key.digest(page), brought.digests[i]);
      }
      ++found_;
    }
  }
  std::vector<PageDigest> all_held(const std::string& tenant) {
    std::set<PageDigest> held;
    const content::PageKey key(testing::key_of(tenant).key);
    ByteVector page(kPage_bytes);
    for (const int host : cloud_.members()) {
      auto& store = cloud_.node(host)->store;
      const auto domain = store.domain(tenant);
      for (auto id = store.first(); id < store.next(); ++id) {
        if (store.read(domain, id, page)) held.insert(key.digest(page));
      }
    }
    return {held.begin(), held.end()};
  }

  std::vector<content::Sketch> all_sketches(const std::string& tenant) {
    std::set<content::Sketch> held;
    ByteVector page(kPage_bytes);
    for (const int host : cloud_.members()) {
      auto& store = cloud_.node(host)->store;
      const auto domain = store.domain(tenant);
      for (auto id = store.first(); id < store.next(); ++id) {
        if (store.read(domain, id, page)) held.insert(content::sketch_of(page));
      }
    }
    return {held.begin(), held.end()};
  }

  Cloud cloud_;
  std::vector<Running> running_;
  std::vector<std::shared_ptr<Node::Brought>> brought_;
  int found_{0};
};

class DirectorySimulation : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(DirectorySimulation, LosesOnlyRatioAndFindsAllWhenItIsQuiet) {
  int found = 0;
  for (std::uint64_t seed = GetParam() * 25; seed < (GetParam() + 1) * 25; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Story story(seed);
    story.accidents();
    story.calm_down();
    story.everything_is_found();
    story.everything_is_found_as_alike();
    found += story.found();
    if (HasFailure()) return;
  }
  EXPECT_GT(found, 1000);
}

INSTANTIATE_TEST_SUITE_P(Seeds, DirectorySimulation, ::testing::Range<std::uint64_t>(0, 4));

}  // namespace
}  // namespace godwit::siblings
