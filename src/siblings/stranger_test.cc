// Those at the other end who do not play by the rules.
#include "siblings/messages.h"
#include "support/content_cloud.h"

namespace godwit::siblings {
namespace {

using testing::Cloud;
using testing::digest_of;

const std::string kAlice = "alice";

// Says that it holds everything, and gives pages of zeros for it; or what else it is told to.
class Liar final : public sim::Program {
 public:
  Liar(sim::Process& process, bool answers_pages) : runtime_(process.runtime()), answers_pages_(answers_pages) {
    runtime_.peers.trust({sim::authority(testing::kCloud, testing::kCloud)});
    listener_ = runtime_.peers.listen(process.host().ip(), testing::kPort).value();
    process.spawn(serve_all(*this));
  }
  int lookups{0};
  int fetches{0};

 private:
  static sys::Task<void> serve_all(Liar& liar) {
    for (;;) {
      auto stream = co_await liar.listener_->accept();
      if (!stream) co_return;
      co_await serve(liar, std::move(*stream));
    }
  }
  static sys::Task<void> serve(Liar& liar, std::unique_ptr<sys::PeerStream> stream) {
    for (;;) {
      const auto frame = co_await read_frame(*stream, kAskingLimit_bytes);
      if (!frame) co_return;
      const auto answer = liar.answer(*frame, stream->peer().name);
      if (!answer.empty()) (void)co_await stream->write(answer);
    }
  }
  ByteVector answer(ByteView frame, const std::string& name) {
    if (type_of(frame) == Type::hello) return pack(Welcome{7, Nonce{}});
    if (type_of(frame) == Type::lookup) {
      ++lookups;
      const auto asked = parse_lookup(frame).value();
      const auto self = name == Cloud::name(0) ? Cloud::name(1) : Cloud::name(0);
      return pack(Found{asked.request, {self}, std::vector<std::uint8_t>(asked.digests.size(), 1)});
    }
    if (type_of(frame) == Type::fetch) {
      ++fetches;
      const auto asked = parse_fetch(frame).value();
      if (!answers_pages_) return pack(Found{asked.request, {}, {}});
      const auto count = asked.digests.size();
      return pack(
          Pages{asked.request, Outcome::served, std::vector<bool>(count, true), ByteVector(count * kPage_bytes)});
    }
    return {};
  }

  sys::Runtime& runtime_;
  bool answers_pages_;
  std::unique_ptr<sys::PeerListener> listener_;
};

// Host 1 of the cloud is a liar.
struct WithLiar {
  explicit WithLiar(bool answers_pages) {
    cloud.crash(1);
    cloud.world.run_for(Millis{1});
    auto& process = cloud.world.host("a1").start("liar", {Cloud::name(1), testing::kCloud}, [&](sim::Process& at) {
      return std::make_unique<Liar>(at, answers_pages);
    });
    liar = &dynamic_cast<Liar&>(process.program());
    cloud.tenants[0] = {kAlice};
    cloud.tell(0);
    for (std::uint64_t i = 0; i < 100; ++i) digests.push_back(digest_of(kAlice, i));
  }
  Cloud cloud{1, 2};
  Liar* liar{nullptr};
  std::vector<PageDigest> digests;
};

TEST(DirectoryStranger, APageThatIsNotWhatWasAskedForIsNotKeptAndItsSenderAskedNoMore) {
  WithLiar with(true);
  const auto brought = with.cloud.bring(0, kAlice, with.digests);
  EXPECT_EQ(std::count(brought->ids.begin(), brought->ids.end(), 0U), 100);
  EXPECT_EQ(with.cloud.node(0)->store.next(), 1U) << "nothing of it is kept";
  EXPECT_EQ(with.liar->fetches, 1);
  const auto lookups = with.liar->lookups;
  (void)with.cloud.bring(0, kAlice, with.digests);
  with.cloud.world.run_for(Seconds{300});
  (void)with.cloud.bring(0, kAlice, with.digests);
  EXPECT_EQ(with.liar->lookups, lookups);
  EXPECT_EQ(with.liar->fetches, 1);
}

TEST(DirectoryStranger, AnAnswerToAnotherQuestionIsNone) {
  WithLiar with(false);
  const auto brought = with.cloud.bring(0, kAlice, with.digests);
  EXPECT_EQ(std::count(brought->ids.begin(), brought->ids.end(), 0U), 100);
  (void)with.cloud.bring(0, kAlice, with.digests);
  EXPECT_EQ(with.liar->fetches, 1);
}

// What a dialler hears until the connection ends: nothing but answers to what it has sent.
struct Dialler final : public sim::Program {
  Dialler(sim::Process& process, std::vector<ByteVector> frames) : runtime(process.runtime()) {
    runtime.peers.trust({sim::authority(testing::kCloud, testing::kCloud)});
    process.spawn(run(*this, std::move(frames)));
  }
  static sys::Task<void> run(Dialler& at, std::vector<ByteVector> frames) {
    sys::PeerAddress address{Cloud::ip(0), testing::kPort, Cloud::name(0)};
    auto stream = co_await at.runtime.peers.dial(std::move(address));
    if (stream) {
      for (const auto& each : frames) (void)co_await (*stream)->write(each);
      for (;;) {
        const auto frame = co_await read_frame(**stream, kAnswerLimit_bytes);
        if (!frame) break;
        at.answers.push_back(*frame);
      }
    }
    at.ended = true;
  }
  sys::Runtime& runtime;
  std::vector<ByteVector> answers;
  bool ended{false};
};

class DirectoryDialler : public ::testing::Test {
 protected:
  DirectoryDialler() {
    cloud.tenants[0] = {kAlice};
    cloud.tell(0);
    cloud.node(0)->keep(kAlice, 1);
    cloud.settle();
    cloud.crash(1);
    cloud.world.run_for(Millis{1});
  }
  Dialler& dial(const sim::Identity& identity, std::vector<ByteVector> frames) {
    auto& process = cloud.world.host("a1").start(
        "dialler", identity, [&](sim::Process& at) { return std::make_unique<Dialler>(at, std::move(frames)); });
    auto& dialler = dynamic_cast<Dialler&>(process.program());
    cloud.world.run_for(Seconds{10});
    return dialler;
  }
  static Fetch fetch() { return {1, kAlice, Proof{}, {digest_of(kAlice, 1)}}; }

  Cloud cloud{1, 2};
  const sim::Identity sibling{Cloud::name(1), testing::kCloud};
};

TEST_F(DirectoryDialler, WithoutTheKeyGetsNoPage) {
  const auto& dialler = dial(sibling, {pack(Hello{5}), pack(fetch())});
  ASSERT_EQ(dialler.answers.size(), 2U);
  const auto pages = parse_pages(dialler.answers[1]);
  ASSERT_TRUE(pages.has_value());
  EXPECT_EQ(pages->outcome, Outcome::denied);
  EXPECT_TRUE(pages->content.empty());
}

TEST_F(DirectoryDialler, OfAnotherCloudOrUnlistedIsNotServed) {
  const std::vector<ByteVector> frames{pack(Hello{5}), pack(Lookup{1, {digest_of(kAlice, 1)}})};
  for (const auto& identity :
       {sim::Identity{"a1.cloud-b.godwit", "cloud-b"}, sim::Identity{"api.cloud-a.godwit", testing::kCloud},
        sim::Identity{"a9.cloud-a.godwit", testing::kCloud}}) {
    const auto& dialler = dial(identity, frames);
    EXPECT_TRUE(dialler.ended) << identity.name;
    EXPECT_TRUE(dialler.answers.empty()) << identity.name;
    cloud.world.host("a1").find("dialler")->kill();
    cloud.world.run_for(Millis{1});
  }
}

TEST_F(DirectoryDialler, ThatSpeaksNonsenseIsCutOff) {
  EXPECT_TRUE(dial(sibling, {pack(Hello{5}), pack(Found{})}).ended) << "an answer that nobody asked for";
}

TEST_F(DirectoryDialler, ThatSaysNothingIsCutOff) { EXPECT_TRUE(dial(sibling, {}).ended); }

TEST_F(DirectoryDialler, WhoTellsLiesCostsNothingButTime) {
  const auto digest = digest_of(kAlice, 99);
  auto& dialler = dial(sibling, {pack(Hello{5}), pack(Tell{{digest}})});
  EXPECT_FALSE(dialler.ended);
  const auto brought = cloud.bring(0, kAlice, {digest});
  EXPECT_EQ(brought->ids[0], 0U);
}

}  // namespace
}  // namespace godwit::siblings
