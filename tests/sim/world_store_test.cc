// A cloud's store of images as its tenants meet it by the API: whose an image is, how much of them they may keep, and
// what becomes of what they leave.
#include "image/pieces_in_memory.h"
#include "image/shipment.h"
#include "sim/clock.h"
#include "sim/host.h"
#include "sim/world_processes.h"
#include "support/sample_image.h"

#include <gtest/gtest.h>

namespace godwit::simtest {
namespace {

using testing::sample_image;
using testing::SampleImage;

const std::string kCloud = "cloud-a";
const std::string kIp = "10.1.0.1";
constexpr Seconds kCallLimit{30};
constexpr std::chrono::hours kHour{1};

class Bare final : public sim::Program {};

// The cloud's API, as one tenant.
class Tenant final : public image::ShipmentTarget {
 public:
  Tenant(sim::Process& from, std::string token) : from_(from), token_(std::move(token)) {}
  int breaks_after{1'000'000};

  sys::Task<Result<std::string>> call(std::string method, std::string path, std::string body) override {
    if (breaks_after-- <= 0) co_return fail(Errc::unavailable, "the line is cut");
    sys::HttpRequest request;
    request.method = std::move(method);
    request.path = std::move(path);
    request.body = std::move(body);
    request.headers["authorization"] = "Bearer " + token_;
    const sys::HttpEndpoint to{kIp, 7443, sys::HttpTls::server, "api." + kCloud + ".godwit"};
    const auto answer = co_await from_.runtime().http.call(to, std::move(request), kCallLimit);
    if (!answer) co_return pass(answer);
    if (answer->status / 100 != 2) co_return std::unexpected(wire::error_of(answer->status, answer->body));
    co_return answer->body;
  }

 private:
  sim::Process& from_;
  std::string token_;
};

image::PiecesInMemory in_memory(const SampleImage& image) {
  ByteVector all;
  for (const auto& piece : image.pieces) append(all, piece);
  return image::PiecesInMemory(std::move(all));
}

class WorldStore : public ::testing::Test {
 protected:
  WorldStore() : world_(1), random_(1), disk_(kCloud, "https://" + kIp + ":7443", kCaA, random_) {
    world_.add_host(kCloud, "site-a", kIp);
    start();
    home_.start("user", {}, [](sim::Process&) { return std::make_unique<Bare>(); });
    user().runtime().http.trust({{kCloud, kCaA.pem}});
  }
  void start() {
    world_.host(kCloud).start("cloud", {"api." + kCloud + ".godwit", kCaA.pem},
                              [&](sim::Process& at) { return std::make_unique<CloudProcess>(at, disk_); });
  }
  void restart() {
    world_.host(kCloud).find("cloud")->kill();
    world_.run_for(Millis{1});
    start();
  }
  sim::Process& user() { return *home_.find("user"); }
  CloudProcess& cloud() { return dynamic_cast<CloudProcess&>(world_.host(kCloud).find("cloud")->program()); }
  Tenant tenant(const std::string& name, wire::Quota quota = {}, bool is_operator = false) {
    EXPECT_TRUE(cloud().cloud().accounts().put_tenant(name, quota, is_operator));
    return {user(), cloud().cloud().accounts().issue_token(name).value()};
  }
  [[nodiscard]] bool is_here(const SampleImage& image) {
    return cloud().depot().repository().find(image.id).has_value();
  }

  template <class T>
  T wait_for(sys::Task<T> task) {
    std::optional<T> outcome;
    auto job = [](sys::Task<T> one, std::optional<T>* into) -> sys::Task<void> { *into = co_await std::move(one); };
    user().spawn(job(std::move(task), &outcome));
    EXPECT_TRUE(world_.run_until([&] { return outcome.has_value(); }, Seconds{120}));
    return std::move(*outcome);
  }
  Result<std::string> ask(Tenant& as, const std::string& method, const std::string& path, std::string body = "{}") {
    return wait_for(as.call(method, path, std::move(body)));
  }
  Result<std::string> offer(Tenant& as, const SampleImage& image) {
    return ask(as, "POST", "/v1/image-contents", wire::encode(wire::ImageOffer{image.text, ""}));
  }
  Result<image::ShipmentProgress> bring(Tenant& as, const SampleImage& image) {
    auto pieces = in_memory(image);
    wire::ImageOffer offered{image.text, ""};
    return wait_for(
        image::ship(user().runtime().executor, pieces, std::move(offered), as, [](const image::ShipmentProgress&) {}));
  }
  Result<std::string> name(Tenant& as, const std::string& given, const SampleImage& image) {
    return ask(as, "PUT", "/v1/images/" + given, wire::encode(wire::ImageName{given, image.id}));
  }
  // What whoever has its id, manifest and list can ask of it: code and words of each answer, without id and name.
  std::vector<std::string> probe(Tenant& as, const std::string& who, const SampleImage& image) {
    const auto path = "/v1/image-contents/" + image.id;
    std::vector<std::string> out;
    const auto note = [&](const Result<std::string>& answer) {
      auto text =
          answer ? *answer : fmt::format("{}: {}", static_cast<int>(answer.error().code), answer.error().message);
      for (auto at = text.find(image.id.substr(0, 12)); at != std::string::npos;
           at = text.find(image.id.substr(0, 12))) {
        text.replace(at, text[at + 12] == image.id[12] ? image.id.size() : 12, "ID");
      }
      if (const auto at = text.find(who); at != std::string::npos) text.replace(at, who.size(), "WHO");
      out.push_back(text);
    };
    note(ask(as, "GET", path));
    note(ask(as, "PUT", path + "/list/0", image::pack_list_part(image.list)));
    note(ask(as, "POST", path + "/known", std::string(128, 'x')));
    note(ask(as, "POST", path + "/prefixes", std::string(32, 'x')));
    note(ask(as, "POST", path + "/parcels", "GWP"));
    for (const auto* part : {"/manifest", "/list/0"}) note(ask(as, "GET", path + part));
    note(ask(as, "POST", path + "/tags", std::string(4, '\0')));
    note(ask(as, "POST", path + "/pieces", std::string(4, '\0') + "\xff\xff"));
    note(name(as, "mine", image));
    note(ask(as, "DELETE", "/v1/images/mine"));
    note(offer(as, image));
    note(ask(as, "PUT", path + "/list/0", image::pack_list_part(image.list)));
    note(ask(as, "GET", path));
    const auto id = from_hex(image.id).value();
    note(ask(as, "POST", path + "/prefixes", std::string(as_text(id))));
    note(ask(as, "GET", path + "/manifest"));
    note(ask(as, "POST", path + "/pieces", std::string(4, '\0') + "\xff\xff"));
    note(name(as, "mine", image));
    note(ask(as, "GET", "/v1/images"));
    return out;
  }

  sim::World world_;
  sim::SimRandom random_;
  CloudDisk disk_;
  sim::Host& home_{world_.add_host("home", "site-home", "10.9.0.1")};
};

// Two images of one shape: one that alice has, and one that nobody has.
TEST_F(WorldStore, WhoKnowsAllOfAnImageButItsBytesLearnsNotEvenThatItIsThere) {
  auto alice = tenant("alice");
  const auto there = sample_image(1);
  const auto nowhere = sample_image(2);
  ASSERT_TRUE(bring(alice, there));
  ASSERT_TRUE(name(alice, "web", there));
  auto bob = tenant("bob");
  auto carol = tenant("carol");
  const auto told = probe(bob, "bob", there);
  EXPECT_EQ(told, probe(carol, "carol", nowhere));
  const auto code = fmt::format("{}: ", static_cast<int>(Errc::not_found));
  for (std::size_t i = 0; i < 11; ++i) EXPECT_TRUE(told[i].starts_with(code)) << told[i] << ": before it was offered";
}

// What was named for everybody, or for them, a tenant takes; what is another's they don't, though it is the same store.
TEST_F(WorldStore, AnImageIsTakenByWhoMayUseItAndByNobodyElse) {
  auto alice = tenant("alice");
  auto bob = tenant("bob");
  const auto image = sample_image(1);
  ASSERT_TRUE(bring(alice, image));
  const auto path = "/v1/image-contents/" + image.id;
  const auto refused = [&](Tenant& who) {
    const auto answer = ask(who, "GET", path + "/manifest");
    return !answer && answer.error().code == Errc::not_found;
  };
  EXPECT_TRUE(refused(alice)) << "it has no name yet";
  ASSERT_TRUE(name(alice, "web", image));
  EXPECT_TRUE(ask(alice, "GET", path + "/manifest"));
  EXPECT_TRUE(refused(bob));
  ASSERT_TRUE(bring(bob, image));
  EXPECT_TRUE(refused(bob)) << "it has no name of theirs yet";
  ASSERT_TRUE(name(bob, "bobs", image));
  EXPECT_TRUE(ask(bob, "GET", path + "/manifest"));
  ASSERT_TRUE(ask(bob, "DELETE", "/v1/images/bobs"));
  EXPECT_TRUE(refused(bob));
  EXPECT_TRUE(ask(alice, "GET", path + "/manifest"));
}

TEST_F(WorldStore, WhoBringsAllOfAnImageThatAnotherHasMayNameItToo) {
  auto alice = tenant("alice");
  auto bob = tenant("bob");
  const auto image = sample_image(1, 40);
  const auto first = bring(alice, image);
  ASSERT_TRUE(first && name(alice, "web", image));
  const auto second = bring(bob, image);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->wire_bytes, first->wire_bytes) << "as if nobody had it";
  const auto named = name(bob, "bobs", image);
  ASSERT_TRUE(named) << named.error().message;
  ASSERT_TRUE(ask(alice, "DELETE", "/v1/images/web"));
  world_.run_for(Seconds{5});
  EXPECT_TRUE(is_here(image));
  ASSERT_TRUE(ask(bob, "DELETE", "/v1/images/bobs"));
  world_.run_for(Seconds{5});
  EXPECT_FALSE(is_here(image));
}

TEST_F(WorldStore, AnOperatorsImageIsEverybodysToName) {
  auto root = tenant("root", {}, true);
  auto bob = tenant("bob");
  const auto image = sample_image(1);
  ASSERT_TRUE(bring(root, image) && name(root, "base", image));
  const auto named = name(bob, "mine", image);
  EXPECT_TRUE(named) << named.error().message;
}

// ---- what is left behind

TEST_F(WorldStore, AnUploadThatNobodyGoesOnWithGoesAfterADayAlsoWhereTheCloudRestartsAndCanBeBegunAnew) {
  auto alice = tenant("alice");
  const auto image = sample_image(3, 600);
  alice.breaks_after = 7;
  ASSERT_FALSE(bring(alice, image));
  world_.run_for(12 * kHour);
  restart();
  world_.run_for(11 * kHour);
  EXPECT_TRUE(is_here(image));
  world_.run_for(2 * kHour);
  EXPECT_FALSE(is_here(image));
  alice.breaks_after = 1000;
  ASSERT_TRUE(bring(alice, image));
  EXPECT_TRUE(name(alice, "web", image));
}

TEST_F(WorldStore, AnUploadGoesOnAfterARestartWhereItWas) {
  auto alice = tenant("alice");
  const auto image = sample_image(3, 600);
  const auto whole = sample_image(4, 600);
  const auto all = bring(alice, whole);
  ASSERT_TRUE(all);
  alice.breaks_after = 9;
  ASSERT_FALSE(bring(alice, image));
  world_.run_for(Seconds{10});
  restart();
  alice.breaks_after = 1000;
  const auto rest = bring(alice, image);
  ASSERT_TRUE(rest);
  EXPECT_LT(rest->wire_bytes, all->wire_bytes * 3 / 4);
}

TEST_F(WorldStore, WhatIsWholeAndWasNeverNamedGoesAfterADay) {
  auto alice = tenant("alice");
  const auto left = sample_image(1);
  const auto named = sample_image(2);
  ASSERT_TRUE(bring(alice, left));
  ASSERT_TRUE(bring(alice, named) && name(alice, "web", named));
  world_.run_for(25 * kHour);
  EXPECT_FALSE(is_here(left));
  EXPECT_TRUE(is_here(named));
}

// ---- quota

TEST_F(WorldStore, ATenantKeepsNoMoreImagesThanItsQuotaAndIsToldWhatToDo) {
  wire::Quota quota;
  quota.images = 2;
  auto alice = tenant("alice", quota);
  const auto first = sample_image(1);
  const auto second = sample_image(2);
  ASSERT_TRUE(bring(alice, first) && name(alice, "one", first));
  ASSERT_TRUE(offer(alice, second)) << "one is kept, and one on its way";
  const auto refused = offer(alice, sample_image(3));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::exhausted);
  EXPECT_TRUE(
      refused.error().message.contains("the quota of 2 images at cloud-a is full (2 are kept or on their way): "
                                       "remove some (godwit image rm)"))
      << refused.error().message;
  ASSERT_TRUE(bring(alice, second) && name(alice, "two", second));
  EXPECT_FALSE(name(alice, "three", second)) << "a name is one too";
  EXPECT_TRUE(name(alice, "two", first)) << "another content under a name is no image more";
  ASSERT_TRUE(ask(alice, "DELETE", "/v1/images/one"));
  EXPECT_TRUE(offer(alice, sample_image(3)));
}

TEST_F(WorldStore, ATenantsImagesTakeNoMoreOfTheStoreThanItsQuota) {
  wire::Quota quota;
  quota.image_mib = 3;
  auto alice = tenant("alice", quota);
  const auto small = sample_image(1);
  ASSERT_TRUE(bring(alice, small) && name(alice, "small", small));
  const auto refused = bring(alice, sample_image(2, 60));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::exhausted);
  EXPECT_TRUE(refused.error().message.contains("of the quota of 3.0 MiB for images at cloud-a 0."))
      << refused.error().message;
  const auto view = wire::decode<wire::CloudView>(*ask(alice, "GET", "/v1/cloud"));
  ASSERT_TRUE(view);
  EXPECT_EQ(view->used.images, 2U) << "the one that was refused is forgotten after a day";
  EXPECT_EQ(view->used.image_mib, 1U);
}

}  // namespace
}  // namespace godwit::simtest
