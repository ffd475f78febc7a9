// The connection to a relay, as the switch keeps it: dialled when wanted, patiently, and ended when not.
#include "overlay/relay_link.h"

#include "overlay/clear_seal.h"
#include "support/pipes.h"
#include "support/virtual_time.h"

#include <gtest/gtest.h>

namespace godwit::overlay::testing {
namespace {

using godwit::testing::pipe;
using godwit::testing::VirtualTime;

class WishfulSeal final : public Seal {
 public:
  [[nodiscard]] const crypto::PublicKey& key() const override { return inner_.key(); }
  [[nodiscard]] PeerId add(TimePoint now, const PeerSpec& spec, const sys::UdpEndpoint& at) override {
    return inner_.add(now, spec, at);
  }
  [[nodiscard]] std::optional<Profile> profile_of(const crypto::PublicKey& key) const override {
    return inner_.profile_of(key);
  }
  void remove(PeerId peer) override { inner_.remove(peer); }
  void begin(TimePoint now, PeerId peer) override { inner_.begin(now, peer); }
  void set_introduction(Introduction introduction) override { inner_.set_introduction(std::move(introduction)); }
  [[nodiscard]] Result<> set_record(TimePoint now, ByteView record) override { return inner_.set_record(now, record); }
  void set_address(TimePoint now, const sys::UdpEndpoint& address) override { inner_.set_address(now, address); }
  [[nodiscard]] std::optional<Route> seal(TimePoint now, PeerId peer, ByteSpan datagram) override {
    return inner_.seal(now, peer, datagram);
  }
  [[nodiscard]] std::size_t datagram_bytes(PeerId peer) const override { return inner_.datagram_bytes(peer); }
  [[nodiscard]] Opened on_datagram(TimePoint now, const sys::UdpEndpoint& from, ByteSpan datagram) override {
    return inner_.on_datagram(now, from, datagram);
  }
  [[nodiscard]] std::optional<PeerView> view(TimePoint now, PeerId peer) const override {
    return inner_.view(now, peer);
  }
  void on_relay_connection(TimePoint /*now*/, std::size_t /*relay*/, bool connected_) override {
    connected = connected_;
  }
  [[nodiscard]] bool wants_relay_connection(std::size_t /*relay*/) const override { return wanted; }
  void poll(TimePoint now) override { inner_.poll(now); }
  [[nodiscard]] std::optional<TimePoint> next_deadline() const override { return inner_.next_deadline(); }
  [[nodiscard]] std::vector<UnderlaySend> take_out(TimePoint now) override { return inner_.take_out(now); }

  bool wanted{false};
  bool connected{false};

 private:
  ClearSeal inner_{crypto::PublicKey{}};
};

class RelayLinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    link.start([this](const auto&, ByteSpan datagram) { received.emplace_back(as_text(datagram)); }, [] {});
  }
  void TearDown() override { time.wait(link.stop()); }
  void want(bool wanted) {
    seal.wanted = wanted;
    link.attend();
  }
  sys::Task<Result<std::unique_ptr<sys::Stream>>> dial() {
    ++dials;
    if (!reachable) co_return fail(Errc::unavailable, "dial: nobody is there");
    auto ends = pipe(time.executor(), 1);
    far = std::move(ends.second);
    co_return std::move(ends.first);
  }
  std::string read_from_link() {
    std::array<std::byte, 2> length{};
    if (!time.wait(sys::read_exactly(*far, length))) return "";
    ByteVector bytes(load_be16(length));
    if (!time.wait(sys::read_exactly(*far, bytes))) return "";
    return std::string(as_text(bytes));
  }

  VirtualTime time;
  WishfulSeal seal;
  bool reachable{true};
  unsigned dials{0};
  std::unique_ptr<sys::Stream> far;
  std::vector<std::string> received;
  RelayLink link{time.executor(), time, seal, 0, [this] { return dial(); }, Log{}};
};

TEST_F(RelayLinkTest, NobodyIsDialledWhileUdpLeadsThere) {
  time.run_for(Seconds{600});
  EXPECT_EQ(dials, 0U);
}

TEST_F(RelayLinkTest, DatagramsGoBothWaysUntilUdpIsBack) {
  want(true);
  ASSERT_TRUE(time.run_until([&] { return seal.connected; }, Seconds{1}));
  const std::string two = "onetwo";
  link.send({0, {}, as_bytes(two), {}, 3});
  EXPECT_EQ(read_from_link(), "one");
  EXPECT_EQ(read_from_link(), "two");
  ByteVector framed;
  append_be16(framed, 5);
  append(framed, as_bytes("three"));
  ASSERT_TRUE(time.wait(far->write(framed)));
  ASSERT_TRUE(time.run_until([&] { return received == std::vector<std::string>{"three"}; }, Seconds{1}));
  want(false);
  ASSERT_TRUE(time.run_until([&] { return !seal.connected; }, Seconds{1}));
  std::array<std::byte, 1> more{};
  EXPECT_FALSE(time.wait(far->read_some(more))) << "it is closed, a little later";
  EXPECT_EQ(dials, 1U);
}

TEST_F(RelayLinkTest, ARelayThatIsNotThereIsDialledEverMoreRarely) {
  reachable = false;
  want(true);
  time.run_for(Seconds{600});
  EXPECT_GE(dials, 10U);
  EXPECT_LE(dials, 20U);
  reachable = true;
  ASSERT_TRUE(time.run_until([&] { return seal.connected; }, RelayLink::kLongestPause));
}

TEST_F(RelayLinkTest, AConnectionThatFallsSilentIsDialledAnew) {
  want(true);
  ASSERT_TRUE(time.run_until([&] { return seal.connected; }, Seconds{1}));
  ASSERT_TRUE(time.run_until([&] { return dials == 2; }, RelayLink::kIdle + Seconds{5}));
}

}  // namespace
}  // namespace godwit::overlay::testing
