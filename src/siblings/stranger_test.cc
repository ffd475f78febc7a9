// Those at the other end who do not play by the rules.
#include "siblings/link.h"
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
    if (type_of(frame) == Type::seek) {
      ++lookups;
      const auto asked = parse_seek(frame).value();
      return pack(Found{asked.request, {Cloud::name(1)}, std::vector<std::uint8_t>(asked.tags.size(), 1)});
    }
    if (type_of(frame) == Type::fetch_alike) {
      ++fetches;
      const auto asked = parse_fetch_alike(frame).value();
      const auto count = asked.sketches.size();
      return pack(
          Pages{asked.request, Outcome::served, std::vector<bool>(count, true), ByteVector(count * kPage_bytes)});
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

// An agent from before there were likenesses: it hangs up on any other version, and on what it does not know.
class OldAgent final : public sim::Program {
 public:
  explicit OldAgent(sim::Process& process) : runtime_(process.runtime()) {
    runtime_.peers.trust({sim::authority(testing::kCloud, testing::kCloud)});
    listener_ = runtime_.peers.listen(process.host().ip(), testing::kPort).value();
    process.spawn(serve_all(*this));
  }
  int told{0};
  int newer_words{0};
  std::uint64_t first_page{0};  // of those that it gives

 private:
  static sys::Task<void> serve_all(OldAgent& agent) {
    for (;;) {
      auto stream = co_await agent.listener_->accept();
      if (!stream) co_return;
      co_await serve(agent, std::move(*stream));
    }
  }
  static sys::Task<void> serve(OldAgent& agent, std::unique_ptr<sys::PeerStream> stream) {
    for (;;) {
      const auto frame = co_await read_frame(*stream, kAskingLimit_bytes);
      if (!frame) co_return;
      const auto answer = agent.answer(*frame);
      if (!answer) co_return;
      if (!answer->empty()) (void)co_await stream->write(*answer);
    }
  }
  std::optional<ByteVector> answer(ByteView frame) {
    const auto type = type_of(frame);
    if (type == Type::hello && parse_hello(frame).value().version == 1) return pack(Welcome{7, Nonce{}, 1});
    if (type == Type::tell) told += static_cast<int>(parse_tell(frame).value().digests.size());
    if (type == Type::tell || type == Type::withdraw) return ByteVector{};
    if (type == Type::lookup) {
      const auto asked = parse_lookup(frame).value();
      return pack(Found{asked.request, {Cloud::name(1)}, std::vector<std::uint8_t>(asked.digests.size(), 1)});
    }
    if (type == Type::fetch) {
      const auto asked = parse_fetch(frame).value();
      Pages pages{asked.request, Outcome::served, std::vector<bool>(asked.digests.size(), true), {}};
      for (std::uint64_t i = 0; i < asked.digests.size(); ++i) append(pages.content, testing::page_of(first_page + i));
      return pack(pages);
    }
    newer_words += type == Type::hello ? 0 : 1;
    return std::nullopt;
  }

  sys::Runtime& runtime_;
  std::unique_ptr<sys::PeerListener> listener_;
};

TEST(DirectoryVersions, AnOlderAgentGoesOnToGiveAndToBeTold) {
  Cloud cloud{1, 2};
  cloud.crash(1);
  cloud.world.run_for(Millis{1});
  auto& process = cloud.world.host("a1").start("old", {Cloud::name(1), testing::kCloud},
                                               [](sim::Process& at) { return std::make_unique<OldAgent>(at); });
  auto& old = dynamic_cast<OldAgent&>(process.program());
  cloud.tenants[0] = {kAlice};
  cloud.tell(0);
  // It is the owner of some of them.
  for (std::uint64_t i = 100; i < 300; ++i) cloud.node(0)->keep(kAlice, i);
  cloud.world.run_for(Seconds{5});
  EXPECT_GT(old.told, 50);
  // A page that it owns, and says that it holds.
  const content::Ring ring({Cloud::name(0), Cloud::name(1)});
  std::uint64_t number = 0;
  while (ring.owner_of(digest_of(kAlice, number)) != Cloud::name(1)) ++number;
  old.first_page = number;
  EXPECT_NE(cloud.bring(0, kAlice, {digest_of(kAlice, number)})->ids[0], 0U);
  const auto alike = cloud.bring_alike(0, kAlice, {content::sketch_of(testing::page_of(700))});
  EXPECT_EQ(alike->ids[0], 0U);
  EXPECT_EQ(old.newer_words, 0) << "it would have hung up";
}

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

TEST(DirectoryStranger, APageThatIsNotLikeWhatWasAskedForIsNotKeptAndItsSenderAskedNoMore) {
  WithLiar with(true);
  std::vector<content::Sketch> sketches;
  for (std::uint64_t i = 0; i < 100; ++i) sketches.push_back(content::sketch_of(testing::page_of(i)));
  const auto brought = with.cloud.bring_alike(0, kAlice, sketches);
  EXPECT_EQ(std::count(brought->ids.begin(), brought->ids.end(), 0U), 100);
  EXPECT_EQ(with.cloud.node(0)->store.next(), 1U) << "nothing of it is kept";
  EXPECT_EQ(with.liar->fetches, 1);
  (void)with.cloud.bring_alike(0, kAlice, sketches);
  EXPECT_EQ(with.liar->fetches, 1);
}

TEST(DirectoryStranger, AnAnswerToAnotherQuestionIsNone) {
  WithLiar with(false);
  const auto brought = with.cloud.bring(0, kAlice, with.digests);
  EXPECT_EQ(std::count(brought->ids.begin(), brought->ids.end(), 0U), 100);
  (void)with.cloud.bring(0, kAlice, with.digests);
  EXPECT_EQ(with.liar->fetches, 1);
}

// Takes questions, and answers them from some time on.
class Slow final : public sim::Program {
 public:
  explicit Slow(sim::Process& process) : runtime_(process.runtime()) {
    runtime_.peers.trust({sim::authority(testing::kCloud, testing::kCloud)});
    listener_ = runtime_.peers.listen(process.host().ip(), testing::kPort).value();
    process.spawn(serve(*this));
  }
  int lookups{0};
  bool answers{false};

 private:
  static sys::Task<void> serve(Slow& slow) {
    const auto stream = co_await slow.listener_->accept();
    if (!stream) co_return;
    for (;;) {
      const auto frame = co_await read_frame(**stream, kAskingLimit_bytes);
      if (!frame) co_return;
      const bool is_hello = type_of(*frame) == Type::hello;
      if (!is_hello) ++slow.lookups;
      if (!is_hello && !slow.answers) continue;
      const auto answer = is_hello ? pack(Welcome{7, Nonce{}}) : pack(Found{parse_lookup(*frame)->request, {}, {}});
      (void)co_await (*stream)->write(answer);
    }
  }

  sys::Runtime& runtime_;
  std::unique_ptr<sys::PeerListener> listener_;
};

// A migration that is cancelled asks no more, and leaves the sibling to others.
TEST(DirectoryQuestions, ThoseThatNobodyWaitsForAnyMoreKeepNoOthersAway) {
  constexpr int kGivenUp = 100;
  Cloud cloud{1, 2};
  cloud.crash(1);
  cloud.world.run_for(Millis{1});
  auto& process = cloud.world.host("a1").start("slow", {Cloud::name(1), testing::kCloud},
                                               [](sim::Process& at) { return std::make_unique<Slow>(at); });
  auto& slow = dynamic_cast<Slow&>(process.program());
  auto& runtime = cloud.process(0)->runtime();
  Link link(runtime, {Cloud::name(1), Cloud::ip(1), testing::kPort, ""}, 5, [] {});
  std::optional<Result<ByteVector>> last;
  auto story = [](sys::Clock& clock, Link& to, Slow& at, std::optional<Result<ByteVector>>& out) -> sys::Task<void> {
    const Link::Make make = [](std::uint32_t request, const Nonce&) -> Result<ByteVector> {
      return pack(Lookup{request, {digest_of(kAlice, 1)}});
    };
    for (int i = 0; i <= kGivenUp; ++i) {
      at.answers = i == kGivenUp;
      auto asking = to.ask(make, clock.now() + Seconds{10});
      out = co_await sys::within(clock, Millis{20}, "ask", std::move(asking));
    }
  };
  cloud.process(0)->spawn(story(runtime.clock, link, slow, last));
  cloud.world.run_for(Seconds{10});
  EXPECT_GT(slow.lookups, 90) << "they were sent";
  ASSERT_TRUE(last);
  EXPECT_TRUE(*last) << last->error().message;
  link.close();
  cloud.world.run_for(Seconds{1});
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

TEST_F(DirectoryDialler, WithoutTheKeyGetsNoPageThatIsAlike) {
  const FetchAlike fetch{1, kAlice, Proof{}, {content::sketch_of(testing::page_of(1))}};
  const auto& dialler = dial(sibling, {pack(Hello{5}), pack(fetch)});
  ASSERT_EQ(dialler.answers.size(), 2U);
  const auto pages = parse_pages(dialler.answers[1]);
  ASSERT_TRUE(pages.has_value());
  EXPECT_EQ(pages->outcome, Outcome::denied);
  EXPECT_TRUE(pages->content.empty());
}

TEST_F(DirectoryDialler, OfAnOlderVersionIsAnsweredAsItSpeaks) {
  const auto& dialler = dial(sibling, {pack(Hello{5, 1}), pack(Lookup{1, {digest_of(kAlice, 1)}})});
  ASSERT_EQ(dialler.answers.size(), 2U);
  EXPECT_FALSE(dialler.ended);
  const auto welcome = parse_welcome(dialler.answers[0]);
  ASSERT_TRUE(welcome.has_value());
  EXPECT_EQ(welcome->version, 1U);
  EXPECT_TRUE(parse_found(dialler.answers[1]).has_value());
}

TEST_F(DirectoryDialler, OfAnOlderVersionThatSaysANewerWordIsCutOff) {
  EXPECT_TRUE(dial(sibling, {pack(Hello{5, 1}), pack(Seek{1, {7}})}).ended);
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
