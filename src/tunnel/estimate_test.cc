#include "tunnel/estimate.h"

#include "sim/host.h"

#include <gtest/gtest.h>

#include "tunnel/images.h"
#include <random>

namespace godwit::tunnel {
namespace {

class TunnelEstimateOfGuests : public ::testing::Test {
 protected:
  ByteVector random_pages(std::size_t pages) {
    ByteVector bytes(pages * kPage_bytes);
    for (auto& each : bytes) each = static_cast<std::byte>(random_());
    return bytes;
  }
  void write(const std::string& path, ByteView bytes) {
    auto file = host_.page_files().create(path);
    ASSERT_TRUE(file && (*file)->write_at(0, bytes));
  }
  Estimate estimate(Estimator& estimator, const std::string& path) {
    const auto file = host_.page_files().open(path).value();
    return estimator.memory(*file, {{0, file->size()}}).value();
  }

  std::mt19937 random_{1};
  sim::World world_{1};
  sim::Host& host_{world_.add_host("left", "here", "10.1.0.1")};
};

TEST_F(TunnelEstimateOfGuests, CountsWhatTheDestinationHasAndWhatTheFirstGuestSent) {
  const auto image = random_pages(64);
  const auto common_to_both = random_pages(32);
  write("/image", image);
  for (const auto* path : {"/one", "/two"}) {
    ByteVector guest(16 * kPage_bytes);  // zeros
    append(guest, image);
    append(guest, common_to_both);
    append(guest, random_pages(8));
    write(path, guest);
  }
  const auto images = Images::open(host_.page_files(), {"/image"});
  ASSERT_TRUE(images) << images.error().message;
  auto library = images->library("/unpacked");
  const auto volume = library.find(Images::joined(images->digests()));
  ASSERT_TRUE(volume);
  while (volume->index->advance(1000).value()) {
  }
  content::Store store(host_.page_files(), "/store", {});
  Estimator estimator(store, volume);

  const auto one = estimate(estimator, "/one");
  EXPECT_EQ(one.looked_at_bytes, 120 * kPage_bytes);
  EXPECT_EQ(one.plain_bytes, std::uint64_t{16} * 9 + 104 * (kPage_bytes + 8));
  EXPECT_EQ(one.savings.zero, 16 * kPage_bytes);
  EXPECT_EQ(one.savings.image, 64 * kPage_bytes);
  EXPECT_EQ(one.savings.literal + one.savings.compressed, 40 * kPage_bytes);
  EXPECT_GE(one.crossing_bytes, 40 * kPage_bytes);
  EXPECT_LT(one.crossing_bytes, 42 * kPage_bytes);

  const auto two = estimate(estimator, "/two");
  EXPECT_EQ(two.savings.sibling, 32 * kPage_bytes);
  EXPECT_LT(two.crossing_bytes, 10 * kPage_bytes);
}

}  // namespace
}  // namespace godwit::tunnel
