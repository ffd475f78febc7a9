// An image whose list has more bytes than the body of a call may, in a store on a real file system.
#include "image/intake.h"
#include "image/retrieval.h"
#include "image/shipment.h"
#include "os/system.h"
#include "support/hollow_image.h"
#include "support/intake_line.h"
#include "support/outlet_line.h"
#include "support/temp_directory.h"
#include "support/uploads_in_memory.h"

namespace godwit::image {
namespace {

using testing::HollowImage;
using testing::IntakeLine;

constexpr std::uint64_t kGiBPieces = 16'384;
constexpr std::uint64_t kEvery = 60'000;  // so many pieces there is one that holds anything

sys::Task<Result<ShipmentProgress>> bring(os::System& on, HollowImage& image, IntakeLine& line) {
  wire::ImageOffer offer{image.manifest(), ""};
  auto shipment = ship(on.runtime().executor, image, std::move(offer), line, [](const ShipmentProgress&) {});
  co_return co_await std::move(shipment);
}

void expect_as_made(Repository& images, HollowImage& image) {
  const auto stored = images.open(image.id(), "the test");
  ASSERT_TRUE(stored && (*stored)->complete());
  ByteVector found(kPiece_bytes);
  ByteVector made(kPiece_bytes);
  for (std::uint64_t piece = 0; piece < image.count(); piece += kEvery) {
    ASSERT_TRUE((*stored)->read(piece, found) && image.read(piece, made));
    EXPECT_EQ(found, made) << piece;
  }
}

// From that store to another one.
sys::Task<int> take_in_parts(sys::Runtime& runtime, Repository& store, HollowImage& image, std::string directory) {
  Repository home(runtime, directory, {.keep_free_bytes = 0});
  EXPECT_TRUE(home.start());
  {
    Outlet outlet(store);
    testing::OutletLine line(outlet);
    auto retrieving = retrieve(runtime, home, image.id(), line, {});
    const auto taken = co_await std::move(retrieving);
    EXPECT_TRUE(taken) << (taken ? std::string() : taken.error().message);
    EXPECT_EQ(line.list_parts, 6);
    EXPECT_LE(line.longest, kParcelLimit_bytes);
    expect_as_made(home, image);
  }
  co_await home.stop();
  co_return 0;
}

sys::Task<int> bring_in_parts(os::System& system, std::string directory) {
  auto runtime = system.runtime();
  Repository images(runtime, directory, {.keep_free_bytes = 0});
  EXPECT_TRUE(images.start());
  HollowImage image(20 * kGiBPieces + 3, kEvery);
  {
    testing::UploadsInMemory uploads;
    Intake intake(images, uploads);
    const IntakeCaller alice{"alice", {}};
    IntakeLine line(intake, alice);
    line.breaks_after = 4;
    EXPECT_FALSE(co_await bring(system, image, line));
    const auto between = intake.look(alice, image.id());
    EXPECT_TRUE(between && !between->has_list && between->listed == 2 * kListPartPieces);
    line.breaks_after = 1000;
    line.bytes = 0;
    const auto brought = co_await bring(system, image, line);
    EXPECT_TRUE(brought) << (brought ? std::string() : brought.error().message);
    EXPECT_LE(line.longest, kParcelLimit_bytes);
    // The first two parts did not come again.
    EXPECT_LT(line.bytes,
              (image.count() - 2 * kListPartPieces) * kDigest_bytes + image.solid() * (kPiece_bytes + 1000));
    expect_as_made(images, image);
    EXPECT_EQ(co_await take_in_parts(runtime, images, image, directory + "-at-home"), 0);
  }
  co_await images.stop();
  co_return 0;
}

TEST(BigImage, OneOf20GiBIsBroughtInPartsGoesOnWhereItBrokeAndComesHomeInParts) {
  const testing::TempDirectory directory;
  os::System system({.log_level = LogLevel::warn, .component = "test"});
  const auto code =
      system.run([&](os::System& on) -> sys::Task<int> { return bring_in_parts(on, directory / "images"); });
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace godwit::image
