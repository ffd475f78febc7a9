// What is said of audits of images.
#include "cli/image_check_views.h"

#include <gtest/gtest.h>

namespace godwit::cli {
namespace {

wire::SkyImageCheck of(std::vector<wire::PlaceCheck> places) {
  return {"web", {{"cloud-a", "id", 7, std::move(places), ""}}};
}

TEST(ImageCheckViews, EveryPlaceIsALineThatSaysWhatItFoundAndWhatBecameOfIt) {
  const auto check = of({{"", true, {"id", 7, true, 100, 100, 0, 0, ""}},
                         {"a1", true, {"id", 7, true, 100, 100, 3, 3, ""}},
                         {"a2", true, {"id", 7, false, 25, 100, 0, 0, ""}},
                         {"a3", false, {}}});
  EXPECT_EQ(checks_text({{check}}),
            "IMAGE  CLOUD    WHERE  PIECES  BAD  REPAIRED  STATE\n"
            "web    cloud-a  store     100    0         0  as it should be\n"
            "web    cloud-a  a1        100    3         3  repaired\n"
            "web    cloud-a  a2          -    -         -  25%\n"
            "web    cloud-a  a3          -    -         -  is silent\n");
  EXPECT_FALSE(is_settled(check));
  EXPECT_EQ(problems_of(check), "a2 of cloud-a has not looked yet; a3 of cloud-a is silent");
}

TEST(ImageCheckViews, WhatSkyKeepsItselfIsAPlaceToo) {
  const wire::PlaceCheck here{"", true, {"id", 7, true, 9, 9, 2, 0, "2 of its pieces are bad"}};
  const wire::SkyImageCheck check{"web", {{"", "id", 7, {here}, ""}}};
  EXPECT_EQ(checks_text({{check}}),
            "IMAGE  CLOUD  WHERE  PIECES  BAD  REPAIRED  STATE\n"
            "web    sky    store       9    2         0  failed\n");
  EXPECT_TRUE(is_settled(check)) << "nothing more will come of it";
  EXPECT_EQ(problems_of(check), "store of sky: 2 of its pieces are bad");
}

TEST(ImageCheckViews, ItIsSettledWhenEveryPlaceThatIsHeardHasLookedAndHasBackWhatWasBad) {
  EXPECT_TRUE(is_settled(of({{"a1", true, {"id", 7, true, 9, 9, 2, 2, ""}}, {"a2", false, {}}})));
  EXPECT_FALSE(is_settled(of({{"a1", true, {"id", 7, true, 9, 9, 2, 1, ""}}})));
  EXPECT_FALSE(is_settled(of({{"a1", true, {"id", 6, true, 9, 9, 0, 0, ""}}}))) << "of an earlier check";
  EXPECT_EQ(problems_of(of({{"a1", true, {"id", 7, true, 9, 9, 2, 1, ""}}})),
            "a1 of cloud-a has 1 bad pieces that have not come again yet");
}

}  // namespace
}  // namespace godwit::cli
