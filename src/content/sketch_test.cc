#include "content/sketch.h"

#include "content/sketch_key.h"
#include "support/pages.h"

#include <gtest/gtest.h>

namespace godwit::content {
namespace {

using testing::changed;
using testing::page_of;

int recognised_of_200(std::size_t words_changed) {
  int count = 0;
  for (std::uint64_t number = 0; number < 200; ++number) {
    const auto page = page_of(number);
    count += are_alike(sketch_of(page), sketch_of(changed(page, words_changed, number))) ? 1 : 0;
  }
  return count;
}

TEST(Sketch, RecognisesAPageOfWhichLittleChangedAndFewOfWhichMuchDid) {
  EXPECT_GE(recognised_of_200(1), 196);
  EXPECT_GE(recognised_of_200(16), 160);
  EXPECT_GE(recognised_of_200(64), 80);
}

TEST(Sketch, OfPagesThatHaveNothingInCommonDiffers) {
  int count = 0;
  for (std::uint64_t number = 0; number < 1000; ++number) {
    count += are_alike(sketch_of(page_of(number)), sketch_of(page_of(number + 5000))) ? 1 : 0;
  }
  EXPECT_EQ(count, 0);
}

TEST(Sketch, ContentThatMovedByWordsIsStillLikeItself) {
  int count = 0;
  for (std::size_t shift = 8; shift <= 256; shift += 8) {
    const auto page = page_of(shift);
    ByteVector moved(shift, std::byte{3});
    moved.insert(moved.end(), page.begin(), page.end() - static_cast<std::ptrdiff_t>(shift));
    count += are_alike(sketch_of(page), sketch_of(moved)) ? 1 : 0;
  }
  EXPECT_GE(count, 24);
}

TEST(Sketch, APageWithLittleInItHasNone) {
  EXPECT_EQ(sketch_of(ByteVector(kPage_bytes)), Sketch{});
  EXPECT_EQ(sketch_of(ByteVector(kPage_bytes, std::byte{0xff})), Sketch{});
}

TEST(SketchKey, OneSuperFeatureIsAnotherTagUnderAnotherKeyAndAtAnotherPlace) {
  const SketchKey alice(as_bytes("a key of alice"));
  const SketchKey bob(as_bytes("a key of bob"));
  EXPECT_EQ(alice.tag(0, 7), alice.tag(0, 7));
  EXPECT_NE(alice.tag(0, 7), bob.tag(0, 7));
  EXPECT_NE(alice.tag(0, 7), alice.tag(1, 7));
  EXPECT_NE(alice.tag(0, 7), alice.tag(0, 8));
  // Hosts of other versions must agree too.
  EXPECT_EQ(alice.tag(1, 0x01020304), 0xf8b632d0e2d05411ULL);
}

}  // namespace
}  // namespace godwit::content
