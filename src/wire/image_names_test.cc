#include "wire/image_names.h"

#include <gtest/gtest.h>

namespace godwit::wire {
namespace {

TEST(ImageNames, ANameMayHaveATag) {
  for (const auto* good : {"web", "web:1", "debian-12", "Web_2+x.y:2024-06.1", "1", "-:-"}) {
    EXPECT_TRUE(is_image_name(good)) << good;
  }
  EXPECT_TRUE(is_image_name(std::string(64, 'a') + ":" + std::string(63, 'b')));
}

TEST(ImageNames, NothingThatIsAnotherFileOrUrlOrHasNoEndIsAName) {
  for (const auto* bad : {"",      ":",     "web:", ":1",    "web:1:2", ".",      "..",   ".web", "web:.", "a/b",
                          "../up", "web/1", "a b",  "web\n", "web?x",   "web%2f", "web#", "wéb",  "a,b",   "a=b"}) {
    EXPECT_FALSE(is_image_name(bad)) << bad;
  }
  EXPECT_FALSE(is_image_name(std::string(64, 'a') + ":" + std::string(64, 'b')));
  EXPECT_FALSE(is_image_name(std::string("web\0x", 5)));
}

}  // namespace
}  // namespace godwit::wire
