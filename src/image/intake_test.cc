// An image brought to a store, call by call: both ends of docs/protocols/image-store.md, and what may break between
// them.
#include "image/intake.h"

#include "image/pieces_in_memory.h"
#include "image/shipment.h"
#include "support/image_host.h"

#include <optional>

namespace godwit::image {
namespace {

using testing::ImageHost;
using testing::sample_image;
using testing::SampleImage;

const IntakeCaller kAlice{"alice", {}};

// The store's API without HTTP, for one caller. Breaks after so many calls.
class Line final : public ShipmentTarget {
 public:
  Line(Intake& intake, IntakeCaller caller) : intake_(intake), caller_(std::move(caller)) {}
  int breaks_after{1'000'000};
  std::uint64_t bytes{0};

  sys::Task<Result<std::string>> call(std::string method, std::string path, std::string body) override {
    if (breaks_after-- <= 0) co_return fail(Errc::unavailable, "the line is cut");
    bytes += body.size();
    co_return answer(method, path, body);
  }

 private:
  template <class T>
  static Result<std::string> told(const Result<T>& answer) {
    if (!answer) return pass(answer);
    return wire::encode(*answer);
  }
  Result<std::string> answer(const std::string& method, const std::string& path, const std::string& body) {
    if (path == "/v1/image-contents") return told(intake_.offer(wire::decode<wire::ImageOffer>(body).value()));
    const auto id = path.substr(std::string("/v1/image-contents/").size(), 64);
    if (method == "GET") return told(intake_.look(id));
    if (path.ends_with("/known")) return intake_.known(caller_, id, as_bytes(body));
    if (path.ends_with("/parcels")) return told(intake_.take(caller_, id, as_bytes(body)));
    const auto listed = intake_.set_list(id, as_bytes(body));
    if (!listed) return pass(listed);
    return std::string("{}");
  }

  Intake& intake_;
  IntakeCaller caller_;
};

PiecesInMemory in_memory(const SampleImage& image) {
  ByteVector all;
  for (const auto& piece : image.pieces) append(all, piece);
  return PiecesInMemory(std::move(all));
}

// The image with a block before it, so that every block is elsewhere.
SampleImage moved_by_a_block(const SampleImage& image) {
  std::mt19937_64 random(99);
  ByteVector disk(kPage_bytes);
  testing::draw(random, disk);
  append(disk, image.file(Role::disk));
  return testing::image_of({{Role::disk, std::move(disk)}});
}

class IntakeTest : public ::testing::Test {
 protected:
  Result<ShipmentProgress> bring(const SampleImage& image, Line& to) {
    auto pieces = in_memory(image);
    std::optional<Result<ShipmentProgress>> outcome;
    auto job = [](sys::Executor executor, PiecesInMemory* from, std::string manifest, Line* over,
                  std::optional<Result<ShipmentProgress>>* into) -> sys::Task<void> {
      wire::ImageOffer offer{std::move(manifest), ""};
      auto shipment = ship(executor, *from, std::move(offer), *over, [](const ShipmentProgress&) {});
      *into = co_await std::move(shipment);
    };
    host.run(job(host.runtime().executor, &pieces, image.text, &to, &outcome));
    return *outcome;
  }

  ImageHost host;
  Intake intake{host.images()};
  Line line{intake, kAlice};
};

TEST_F(IntakeTest, AnImageArrivesWhole) {
  const auto image = sample_image(1);
  const auto brought = bring(image, line);
  ASSERT_TRUE(brought) << brought.error().message;
  EXPECT_TRUE(host.images().find(image.id)->complete());
  testing::expect_true_to(host, image);
}

TEST_F(IntakeTest, WhatTheStoreHasInAnotherImageDoesNotTravel) {
  const auto image = sample_image(1, 40);
  const auto sibling = moved_by_a_block(image);
  ASSERT_TRUE(host.receive(image));
  const auto brought = bring(sibling, line);
  ASSERT_TRUE(brought) << brought.error().message;
  testing::expect_true_to(host, sibling);
  // Tags twice, and the list; of 2.6 MiB.
  EXPECT_LT(line.bytes, 40'000U);
}

TEST_F(IntakeTest, WhatTheCallerMayNotUseIsNotKnownToThem) {
  const auto image = sample_image(1, 40);
  const auto sibling = moved_by_a_block(image);
  ASSERT_TRUE(host.receive(image));
  Line bobs(intake, {"bob", [](const std::string&) { return false; }});
  const auto brought = bring(sibling, bobs);
  ASSERT_TRUE(brought) << brought.error().message;
  testing::expect_true_to(host, sibling);
  EXPECT_GT(bobs.bytes, 500'000U);
}

TEST_F(IntakeTest, ABrokenShipmentGoesOnWhereItWas) {
  const auto image = sample_image(3, 300);
  std::uint64_t before = 0;
  for (int calls = 3; calls < 6; ++calls) {
    line.breaks_after = calls;
    EXPECT_FALSE(bring(image, line));
    const auto status = host.images().find(image.id);
    ASSERT_TRUE(status);
    EXPECT_GE(status->pieces - status->missing, before);
    before = status->pieces - status->missing;
  }
  line.breaks_after = 1000;
  ASSERT_TRUE(bring(image, line));
  testing::expect_true_to(host, image);
}

TEST_F(IntakeTest, WhatMakesNoSenseIsRefusedAndNothingIsKeptOfIt) {
  const auto image = sample_image(1);
  EXPECT_FALSE(intake.offer({"{}", ""}));
  EXPECT_FALSE(intake.look(std::string(64, 'a')));
  const auto offered = intake.offer({image.text, ""});
  ASSERT_TRUE(offered);
  EXPECT_EQ(offered->id, image.id);
  EXPECT_FALSE(offered->has_list);
  auto list = image.list;
  list[5] ^= std::byte{1};
  EXPECT_FALSE(intake.set_list(image.id, list));
  EXPECT_FALSE(intake.take(kAlice, image.id, list)) << "before the list";
  ASSERT_TRUE(intake.set_list(image.id, image.list));
  EXPECT_FALSE(intake.take(kAlice, image.id, list));
  EXPECT_FALSE(intake.known(kAlice, image.id, ByteView(list).first(17)));
  const auto now = intake.look(image.id);
  ASSERT_TRUE(now);
  EXPECT_FALSE(now->missing.empty());
}

}  // namespace
}  // namespace godwit::image
