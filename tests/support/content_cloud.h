// A simulated cloud for tests: hosts whose agents are nothing but a content store and its directory, and what their
// cloud tells them.
#pragma once

#include "base/page.h"
#include "content/store.h"
#include "siblings/directory.h"
#include "sim/host.h"
#include "sim/network.h"
#include "support/pages.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace godwit::siblings::testing {

inline const std::string kCloud = "cloud-a";
inline constexpr std::uint16_t kPort = 7403;

inline TenantKey key_of(const std::string& tenant, std::uint8_t version = 1) {
  TenantKey key;
  key.tenant = tenant;
  key.key.fill(std::byte{version});
  std::memcpy(key.key.data(), tenant.data(), std::min<std::size_t>(tenant.size(), 31));
  key.held = true;
  return key;
}

using godwit::testing::page_of;

inline PageDigest digest_of(const std::string& tenant, std::uint64_t number) {
  return content::PageKey(key_of(tenant).key).digest(page_of(number));
}

// An agent, as far as content goes.
class Node final : public sim::Program {
 public:
  explicit Node(sim::Process& process, content::StoreLimits limits = {})
      : born(process.world().now()),
        process_(process),
        store(process.runtime().page_files, "/content", limits),
        directory(process.runtime(), store, {kCloud, process.identity().name}, [] {}) {
    auto& runtime = process.runtime();
    runtime.peers.trust({sim::authority(kCloud, kCloud), sim::authority("cloud-b", "cloud-b")});
    auto listener = runtime.peers.listen(process.host().ip(), kPort);
    EXPECT_TRUE(listener.has_value());
    directory.start(std::move(*listener));
  }

  void keep(const std::string& tenant, std::uint64_t number) { keep(tenant, page_of(number)); }
  void keep(const std::string& tenant, ByteView page) {
    const auto kept = store.append(store.domain(tenant), page, content::fingerprint_of(page));
    EXPECT_TRUE(kept.has_value()) << kept.error().message;
  }

  const TimePoint born;

  struct Brought {
    std::vector<content::PageId> ids;
    std::vector<PageDigest> digests;
    std::vector<content::Sketch> sketches{};  // or these
    std::string tenant;
    TimePoint begun{};
    Nanos took{0};
    bool over{false};
  };
  std::shared_ptr<Brought> bring(const std::string& tenant, std::vector<PageDigest> digests) {
    auto outcome = std::make_shared<Brought>();
    outcome->digests = std::move(digests);
    outcome->tenant = tenant;
    process_.spawn(run(*this, outcome));
    return outcome;
  }
  std::shared_ptr<Brought> bring_alike(const std::string& tenant, std::vector<content::Sketch> sketches) {
    auto outcome = std::make_shared<Brought>();
    outcome->sketches = std::move(sketches);
    outcome->tenant = tenant;
    process_.spawn(run(*this, outcome));
    return outcome;
  }

 private:
  static sys::Task<void> run(Node& node, std::shared_ptr<Brought> outcome) {
    auto& clock = node.process_.runtime().clock;
    outcome->begun = clock.now();
    auto bringing = outcome->sketches.empty() ? node.directory.bring(outcome->tenant, outcome->digests)
                                              : node.directory.bring_alike(outcome->tenant, outcome->sketches);
    outcome->ids = co_await std::move(bringing);
    outcome->took = clock.now() - outcome->begun;
    outcome->over = true;
  }

  sim::Process& process_;

 public:
  content::Store store;
  Directory directory;
};

class Cloud final {
 public:
  explicit Cloud(std::uint64_t seed, int hosts, content::StoreLimits limits = {}) : world(seed), limits_(limits) {
    for (int i = 0; i < hosts; ++i) join(i);
  }

  static std::string name(int host) { return "a" + std::to_string(host) + "." + kCloud + ".godwit"; }
  static std::string ip(int host) { return "10.1.0." + std::to_string(host + 1); }

  void join(int host) {
    const auto id = "a" + std::to_string(host);
    if (known_.insert(host).second) world.add_host(id, kCloud, ip(host));
    members_.insert(host);
    start(host);
  }
  void leave(int host) {
    crash(host);
    members_.erase(host);
  }
  void start(int host) {
    if (process(host)) return;
    world.host("a" + std::to_string(host)).start("agent", {name(host), kCloud}, [this](sim::Process& process) {
      return std::make_unique<Node>(process, limits_);
    });
  }
  void crash(int host) {
    if (auto* running = process(host)) running->kill();
  }
  sim::Process* process(int host) { return world.host("a" + std::to_string(host)).find("agent"); }
  Node* node(int host) {
    auto* running = process(host);
    return running ? &dynamic_cast<Node&>(running->program()) : nullptr;
  }
  [[nodiscard]] const std::set<int>& members() const { return members_; }

  // What the cloud tells its hosts now; `tenants` may differ from host to host.
  std::map<int, std::vector<std::string>> tenants;
  void tell(int host) {
    auto* at = node(host);
    if (!at) return;
    Surroundings now;
    for (const int each : members_) {
      now.siblings.push_back({name(each), ip(each), kPort, sim::Identity{name(each), kCloud}.key_sha256()});
    }
    for (const auto& each : tenants[host]) now.tenants.push_back(key_of(each));
    at->directory.set(std::move(now));
  }
  void tell_all() {
    for (const int host : members_) tell(host);
  }
  bool idle() {
    for (const int host : members_) {
      auto* at = node(host);
      if (at && !at->directory.use().idle) return false;
    }
    return true;
  }
  void settle() {
    EXPECT_TRUE(world.run_until([this] { return idle(); }, Seconds{600}));
    world.run_for(Seconds{1});  // what was said last arrives
  }
  // To its end.
  std::shared_ptr<Node::Brought> bring(int host, const std::string& tenant, std::vector<PageDigest> digests) {
    auto brought = node(host)->bring(tenant, std::move(digests));
    EXPECT_TRUE(world.run_until([&] { return brought->over; }, Seconds{2}));
    return brought;
  }
  std::shared_ptr<Node::Brought> bring_alike(int host, const std::string& tenant,
                                             std::vector<content::Sketch> sketches) {
    auto brought = node(host)->bring_alike(tenant, std::move(sketches));
    EXPECT_TRUE(world.run_until([&] { return brought->over; }, Seconds{2}));
    return brought;
  }

  sim::World world;

 private:
  content::StoreLimits limits_;
  std::set<int> known_;
  std::set<int> members_;
};

}  // namespace godwit::siblings::testing
