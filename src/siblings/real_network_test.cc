// Three hosts on real TLS, real files and the real clock.
#include "os/system.h"
#include "siblings/directory.h"
#include "support/pages.h"
#include "support/temp_directory.h"
#include "support/test_authority.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace godwit::siblings {
namespace {

constexpr std::uint64_t kPages = content::kLookupLimit;
const std::string kCloud = "cloud-a";

TenantKey alice() {
  TenantKey key;
  key.tenant = "alice";
  key.key.fill(std::byte{7});
  return key;
}

// One host: an identity of its own, the rest of the machine shared.
struct Host {
  Host(os::System& system, testing::TestAuthority& authority, const std::string& directory_path, int number)
      : name("a" + std::to_string(number) + "." + kCloud + ".godwit"),
        on(system.runtime()),
        network(on.executor, on.clock, on.log),
        runtime{on.executor, on.clock, on.random, on.files, on.page_files, on.processes,
                on.local,    network,  on.http,   on.taps,  on.log},
        store(on.page_files, directory_path + "/" + name, {}),
        directory(runtime, store, {kCloud, name}, [] {}) {
    const auto identity = authority.issue(name);
    EXPECT_TRUE(network.use_identity({identity.certificate_pem, identity.key_pem}));
    key_sha256 = crypto::inspect_certificate(identity.certificate_pem).value().key_sha256;
    network.trust({authority.trusted()});
    auto listener = network.listen("127.0.0.1", 0).value();
    port = listener->port();
    directory.start(std::move(listener));
  }
  std::string name;
  sys::Runtime on;
  os::TcpPeerNetwork network;
  sys::Runtime runtime;
  content::Store store;
  Directory directory;
  std::string key_sha256;
  std::uint16_t port{0};
};

struct Cloud {
  explicit Cloud(os::System& system) {
    for (int i = 0; i < 3; ++i) hosts.push_back(std::make_unique<Host>(system, authority, directory.path(), i));
    Surroundings all;
    for (const auto& each : hosts) all.siblings.push_back({each->name, "127.0.0.1", each->port, each->key_sha256});
    all.tenants = {alice()};
    for (const auto& each : hosts) each->directory.set(all);
  }
  testing::TempDirectory directory;
  testing::TestAuthority authority{kCloud};
  std::vector<std::unique_ptr<Host>> hosts;
};

std::vector<PageDigest> keep_pages(content::Store& store) {
  const content::PageKey key(alice().key);
  std::vector<PageDigest> digests;
  for (std::uint64_t i = 0; i < kPages; ++i) {
    const auto page = testing::page_of(i);
    EXPECT_TRUE(store.append(store.domain("alice"), page, content::fingerprint_of(page)));
    digests.push_back(key.digest(page));
  }
  return digests;
}

// A machine that does other things too may take more than one bringing for all of them.
sys::Task<int> bring_all(os::System& system) {
  Cloud cloud(system);
  auto& clock = cloud.hosts[0]->on.clock;
  const auto digests = keep_pages(cloud.hosts[0]->store);
  while (!cloud.hosts[0]->directory.use().idle) co_await clock.sleep_for(Millis{50});
  auto& asking = cloud.hosts[2]->directory;
  std::vector<content::PageId> ids;
  int bringings = 0;
  do {
    const auto begun = clock.now();
    ids = co_await asking.bring("alice", digests);
    const auto found = kPages - static_cast<std::uint64_t>(std::count(ids.begin(), ids.end(), 0U));
    ::testing::Test::RecordProperty("bringing_" + std::to_string(bringings),
                                    fmt::format("{} pages, {:.0f} ms", found, to_ms(clock.now() - begun)));
  } while (std::find(ids.begin(), ids.end(), 0U) != ids.end() && ++bringings < 50);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 0U), 0);
  ByteVector page(kPage_bytes);
  auto& store = cloud.hosts[2]->store;
  for (std::uint64_t i = 0; i < kPages; i += 100) {
    EXPECT_TRUE(store.read(store.domain("alice"), ids[i], page));
    EXPECT_EQ(page, testing::page_of(i));
  }
  for (const auto& each : cloud.hosts) co_await each->directory.stop();
  co_return 0;
}

TEST(RealDirectory, BringsPagesOverTls) {
  os::System system({.log_level = LogLevel::warn, .component = "test"});
  EXPECT_EQ(system.run([](os::System& on) { return bring_all(on); }), 0);
}

}  // namespace
}  // namespace godwit::siblings
