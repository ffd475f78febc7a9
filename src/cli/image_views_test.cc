#include "cli/image_views.h"

#include <gtest/gtest.h>

namespace godwit::cli {
namespace {

wire::SkyImage kept() {
  wire::SkyImage image{"web", std::string(64, 'a'), "ami-aaaaaaaaaaaaaaaaa", 5UL << 30U, "", {}};
  image.pushes.push_back({"cloud-a", wire::PushState::done, 100, 100, 300UL << 20U, ""});
  image.pushes.push_back({"cloud-b", wire::PushState::sending, 100, 40, 120UL << 20U, ""});
  return image;
}

wire::CloudHostsList hosts() {
  wire::CloudHosts cloud;
  cloud.cloud = "cloud-a";
  wire::HostView has;
  has.name = "a1";
  has.images = {{"web", std::string(64, 'a')}};
  wire::HostView gets;
  gets.name = "a2";
  gets.arrivals = {{"web", std::string(64, 'a'), 100, 43, "a1.cloud-a.godwit", ""}};
  wire::HostView lacks;
  lacks.name = "a3";
  lacks.arrivals = {{"web", std::string(64, 'a'), 100, 0, "", "it needs 5.0 GiB"}};
  cloud.hosts = {has, gets, lacks};
  return {{cloud}};
}

TEST(ImageViews, AListSaysWhatIsKeptAndHowFarEachHostIs) {
  EXPECT_EQ(images_text({{kept()}}, hosts()),
            "IMAGE  CONTENT       WHERE    HOSTS\n"
            "web    aaaaaaaaaaaa  sky      -\n"
            "web    aaaaaaaaaaaa  cloud-a  a1, a2 43%, a3: it needs 5.0 GiB\n");
}

TEST(ImageViews, AnImageSaysWhereItWasBroughtTo) {
  EXPECT_EQ(image_text(kept()), "Image     web\nId        ami-aaaaaaaaaaaaaaaaa\nContent   " + std::string(64, 'a') +
                                    "\nSize      5.0 GiB\nAt        cloud-a: there, 300 MiB sent\n"
                                    "At        cloud-b: 40%, 120 MiB sent\n");
}

TEST(ImageViews, AnImageSaysWhatElseItIsCalled) {
  auto tag = kept();
  tag.name = "web:stable";
  auto other = kept();
  other.name = "db";
  other.id = std::string(64, 'b');
  const auto also = other_names(kept(), {{other, kept(), tag}});
  EXPECT_EQ(also, std::vector<std::string>{"web:stable"});
  EXPECT_TRUE(image_text(kept(), also).starts_with("Image     web\nAlso      web:stable\nId  "));
  EXPECT_TRUE(other_names({"new", "", "", 0, "", {}}, {{{"newer", "", "", 0, "", {}}}}).empty()) << "both are coming";
}

TEST(ImageViews, ANameThatMovesOrGoesSaysWhatBecomesOfTheContent) {
  EXPECT_EQ(tagged_text({"web:1", "aa", "ami-a", "", {}}, "web"), "web:1 names ami-a, as web does.\n");
  EXPECT_EQ(tagged_text({"web:1", "aa", "ami-a", "ami-b", {"cloud-a", "cloud-b"}}, "web"),
            "web:1 names ami-a, as web does. It named ami-b until now. So it does at cloud-a, cloud-b.\n");
  EXPECT_EQ(untagged_text({"web", {}}), "Image web is gone. Instances that run of it keep it.\n");
  EXPECT_EQ(untagged_text({"web", {"web:1", "x"}}), "The name web is gone. Its content stays: web:1, x.\n");
}

TEST(ImageViews, AnImageIsSettledWhenEveryCloudHasIt) {
  auto image = kept();
  EXPECT_FALSE(is_settled(image));
  image.pushes[1].state = wire::PushState::done;
  EXPECT_TRUE(is_settled(image));
  image.id.clear();
  EXPECT_FALSE(is_settled(image));
}

}  // namespace
}  // namespace godwit::cli
