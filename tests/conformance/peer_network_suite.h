// Who may talk to whom on every sys::PeerNetwork. A harness makes networks of hosts:
//   struct Harness {
//     void run(sys::Task<void>);
//     sys::Clock& clock();
//     sys::Executor executor();
//     // The network of a host with that certificate and trust, alive as long as the harness.
//     sys::PeerNetwork& host(const HostSpec&);
//     sys::TrustedCa authority(std::string cloud, std::string trusted_as);
//     std::string address();       // where the host's listeners are
//   };
#pragma once

#include "support/event_loop.h"
#include "sys/stream.h"
#include "sys/task.h"

#include <gtest/gtest.h>

namespace godwit::testing {

struct HostSpec {
  std::string name;    // in its certificate
  std::string signer;  // the cloud whose CA signed it
  bool expired{false};
  std::vector<std::string> trusts;  // clouds
};

template <class Harness>
class PeerNetworkSuite : public ::testing::Test {
 public:
  Harness harness;

  static HostSpec in_a(std::string name = "a1.cloud-a.godwit") {
    return {name, "cloud-a", false, {"cloud-a", "cloud-b"}};
  }
  static HostSpec in_b(std::string name = "b1.cloud-b.godwit") {
    return {name, "cloud-b", false, {"cloud-a", "cloud-b"}};
  }

  // What the dialer is told when `dialer` calls a listener of `target`, under the name `expected`, and reads. When the
  // listener gave a stream out, `accepted` is true.
  struct Attempt {
    Errc code{Errc::internal};
    std::string message;
    bool accepted{false};
  };
  static sys::Task<void> attempt(Harness& world, HostSpec dialer, HostSpec target, std::string expected, Attempt& out) {
    auto listener = world.host(target).listen(world.address(), 0);
    GODWIT_CO_ASSERT_OK(listener);
    sys::Gate gate(world.executor());
    auto serve = [](sys::PeerListener& from, Attempt& seen) -> sys::Task<void> {
      auto stream = co_await from.accept();
      if (!stream) co_return;
      seen.accepted = true;
      const auto shut = co_await (*stream)->shutdown_write();
      EXPECT_TRUE(shut);
      ByteVector buffer(1);
      const auto end = co_await (*stream)->read_some(buffer);
      EXPECT_FALSE(end);
    };
    gate.spawn(serve(**listener, out));
    sys::PeerAddress address{world.address(), (*listener)->port(), expected};
    auto stream = co_await world.host(dialer).dial(address);
    Result<std::size_t> first = 0;
    if (!stream) {
      first = pass(stream);
    } else {
      ByteVector buffer(1);
      first = co_await (*stream)->read_some(buffer);
    }
    GODWIT_CO_ASSERT(!first);
    out.code = first.error().code;
    out.message = first.error().message;
    stream = fail(Errc::closed, "done");
    co_await gate.close();
  }

  Attempt outcome_of(HostSpec dialer, HostSpec target, std::string expected) {
    Attempt out;
    harness.run(attempt(harness, std::move(dialer), std::move(target), std::move(expected), out));
    return out;
  }
};

TYPED_TEST_SUITE_P(PeerNetworkSuite);

TYPED_TEST_P(PeerNetworkSuite, PeersOfTwoCloudsKnowEachOther) {
  using Suite = PeerNetworkSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    auto listener = world.host(Suite::in_b()).listen(world.address(), 0);
    GODWIT_CO_ASSERT_OK(listener);
    EXPECT_NE((*listener)->port(), 0);
    sys::PeerAddress address{world.address(), (*listener)->port(), "b1.cloud-b.godwit"};
    auto near = co_await world.host(Suite::in_a()).dial(address);
    GODWIT_CO_ASSERT_OK(near);
    auto far = co_await (*listener)->accept();
    GODWIT_CO_ASSERT_OK(far);
    EXPECT_EQ((*near)->peer().name, "b1.cloud-b.godwit");
    EXPECT_EQ((*near)->peer().cloud, "cloud-b");
    EXPECT_EQ((*near)->peer().key_sha256.size(), 64U);
    EXPECT_EQ((*far)->peer().name, "a1.cloud-a.godwit");
    EXPECT_EQ((*far)->peer().cloud, "cloud-a");
    EXPECT_NE((*far)->peer().key_sha256, (*near)->peer().key_sha256);
    const auto written = co_await (*near)->write(as_bytes("page"));
    GODWIT_CO_ASSERT_OK(written);
    ByteVector buffer(4);
    const auto read = co_await sys::read_exactly(**far, buffer);
    GODWIT_CO_ASSERT_OK(read);
    EXPECT_EQ(as_text(buffer), "page");
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(PeerNetworkSuite, AnotherNameThanTheDialledOneIsRefused) {
  const auto seen = this->outcome_of(this->in_a(), this->in_b(), "b2.cloud-b.godwit");
  EXPECT_EQ(seen.code, Errc::not_authentic) << seen.message;
  EXPECT_FALSE(seen.accepted);
}

TYPED_TEST_P(PeerNetworkSuite, AListenerOfAForeignCloudIsRefused) {
  auto dialer = this->in_a();
  dialer.trusts = {"cloud-a"};
  const auto seen = this->outcome_of(dialer, this->in_b(), "b1.cloud-b.godwit");
  EXPECT_EQ(seen.code, Errc::not_authentic) << seen.message;
  EXPECT_FALSE(seen.accepted);
}

TYPED_TEST_P(PeerNetworkSuite, ADialerOfAForeignCloudIsRefusedAndNeverAccepted) {
  auto target = this->in_b();
  target.trusts = {"cloud-b"};
  const auto seen = this->outcome_of(this->in_a(), target, "b1.cloud-b.godwit");
  EXPECT_EQ(seen.code, Errc::not_authentic) << seen.message;
  EXPECT_FALSE(seen.accepted);
}

TYPED_TEST_P(PeerNetworkSuite, AnExpiredCertificateIsRefusedOnEitherSide) {
  auto old_target = this->in_b("old.cloud-b.godwit");
  old_target.expired = true;
  const auto listener = this->outcome_of(this->in_a(), old_target, "old.cloud-b.godwit");
  EXPECT_EQ(listener.code, Errc::not_authentic) << listener.message;
  EXPECT_FALSE(listener.accepted);
  auto old_dialer = this->in_a("old.cloud-a.godwit");
  old_dialer.expired = true;
  const auto dialer = this->outcome_of(old_dialer, this->in_b(), "b1.cloud-b.godwit");
  EXPECT_EQ(dialer.code, Errc::not_authentic) << dialer.message;
  EXPECT_FALSE(dialer.accepted);
}

TYPED_TEST_P(PeerNetworkSuite, ACloudCannotNameHostsOfAnother) {
  const HostSpec liar{"b1.cloud-b.godwit", "cloud-a", false, {"cloud-a", "cloud-b"}};
  const auto listener = this->outcome_of(this->in_a(), liar, "b1.cloud-b.godwit");
  EXPECT_EQ(listener.code, Errc::not_authentic) << listener.message;
  const auto dialer = this->outcome_of(liar, this->in_a(), "a1.cloud-a.godwit");
  EXPECT_EQ(dialer.code, Errc::not_authentic) << dialer.message;
  EXPECT_FALSE(dialer.accepted);
}

TYPED_TEST_P(PeerNetworkSuite, TrustCountsFromTheNextHandshakeOn) {
  using Suite = PeerNetworkSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    auto& a = world.host(Suite::in_a());
    auto listener = world.host(Suite::in_b()).listen(world.address(), 0);
    GODWIT_CO_ASSERT_OK(listener);
    sys::PeerAddress address{world.address(), (*listener)->port(), "b1.cloud-b.godwit"};
    auto before = co_await a.dial(address);
    GODWIT_CO_ASSERT_OK(before);
    std::vector<sys::TrustedCa> own;
    own.push_back(world.authority("cloud-a", "cloud-a"));
    a.trust(std::move(own));
    const auto refused = co_await a.dial(address);
    GODWIT_CO_ASSERT(!refused);
    EXPECT_EQ(refused.error().code, Errc::not_authentic);
    auto far = co_await (*listener)->accept();
    GODWIT_CO_ASSERT_OK(far);
    const auto written = co_await (*far)->write(as_bytes("still here"));
    GODWIT_CO_ASSERT_OK(written);
    ByteVector buffer(10);
    const auto read = co_await sys::read_exactly(**before, buffer);
    GODWIT_CO_ASSERT_OK(read);
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(PeerNetworkSuite, NobodyListeningIsUnavailable) {
  using Suite = PeerNetworkSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    auto listener = world.host(Suite::in_b()).listen(world.address(), 0);
    GODWIT_CO_ASSERT_OK(listener);
    sys::PeerAddress address{world.address(), (*listener)->port(), "b1.cloud-b.godwit"};
    listener->reset();
    const auto stream = co_await world.host(Suite::in_a()).dial(address);
    GODWIT_CO_ASSERT(!stream);
    EXPECT_EQ(stream.error().code, Errc::unavailable) << stream.error().message;
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(PeerNetworkSuite, ClosingTheListenerEndsAccept) {
  using Suite = PeerNetworkSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    auto listener = world.host(Suite::in_b()).listen(world.address(), 0);
    GODWIT_CO_ASSERT_OK(listener);
    sys::Gate gate(world.executor());
    auto accept = [](sys::PeerListener& from) -> sys::Task<void> {
      const auto stream = co_await from.accept();
      EXPECT_FALSE(stream);
    };
    gate.spawn(accept(**listener));
    co_await world.clock().sleep_for(Millis(1));
    (*listener)->close();
    while (gate.running() > 0) co_await world.clock().sleep_for(Millis(1));
  };
  this->harness.run(story(this->harness));
}

REGISTER_TYPED_TEST_SUITE_P(PeerNetworkSuite, PeersOfTwoCloudsKnowEachOther, AnotherNameThanTheDialledOneIsRefused,
                            AListenerOfAForeignCloudIsRefused, ADialerOfAForeignCloudIsRefusedAndNeverAccepted,
                            AnExpiredCertificateIsRefusedOnEitherSide, ACloudCannotNameHostsOfAnother,
                            TrustCountsFromTheNextHandshakeOn, NobodyListeningIsUnavailable,
                            ClosingTheListenerEndsAccept);

}  // namespace godwit::testing
