// Names of images at a cloud: whose they are, what they mean to whom, and what becomes of instances.
#include "support/two_clouds.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::api {
namespace {

using testing::CloudBench;

const std::string kContent(64, 'c');
const std::string kOther(64, 'd');

class CloudImages : public testing::TwoClouds {
 protected:
  cloud::User somebody(const std::string& tenant, bool is_operator = false) { return {tenant, {}, is_operator}; }
  Result<> name(const cloud::User& user, const std::string& as, const std::string& content) {
    return a.cloud().images().name_content(user, {as, content, "", "a manifest", "a signature"});
  }
  std::string meant(const std::string& tenant, const std::string& as) {
    const auto list = a.cloud().images().view(somebody(tenant));
    EXPECT_TRUE(list);
    for (const auto& image : list->images) {
      if (image.name == as) return image.id;
    }
    return "nothing";
  }
};

TEST_F(CloudImages, ATenantsImageIsTheirsAloneAndAnOperatorsIsEverybodys) {
  ASSERT_TRUE(name(somebody("alice"), "web", kContent));
  ASSERT_TRUE(name(somebody("root", true), "base", kOther));
  EXPECT_EQ(meant("alice", "web"), kContent);
  EXPECT_EQ(meant("bob", "web"), "nothing");
  EXPECT_EQ(meant("alice", "base"), kOther);
  EXPECT_EQ(meant("bob", "base"), kOther);
}

TEST_F(CloudImages, ATenantsOwnNameGoesBeforeEverybodys) {
  ASSERT_TRUE(name(somebody("root", true), "web", kOther));
  ASSERT_TRUE(name(somebody("alice"), "web", kContent));
  EXPECT_EQ(meant("alice", "web"), kContent);
  EXPECT_EQ(meant("bob", "web"), kOther);
  ASSERT_TRUE(a.cloud().images().remove(somebody("alice"), "web"));
  EXPECT_EQ(meant("alice", "web"), kOther);
}

TEST_F(CloudImages, NobodyRemovesWhatIsNotTheirs) {
  ASSERT_TRUE(name(somebody("alice"), "web", kContent));
  ASSERT_TRUE(name(somebody("root", true), "base", kOther));
  for (const auto* each : {"web", "base", "none"}) {
    const auto removed = a.cloud().images().remove(somebody("bob"), each);
    ASSERT_FALSE(removed) << each;
    EXPECT_EQ(removed.error().code, Errc::not_found);
  }
  EXPECT_EQ(meant("alice", "web"), kContent);
}

TEST_F(CloudImages, NamesAndContentsAreChecked) {
  for (const auto* bad : {"", "a b", "../up", "web/1"}) EXPECT_FALSE(name(somebody("alice"), bad, kContent)) << bad;
  EXPECT_FALSE(name(somebody("alice"), "web", "123"));
  EXPECT_FALSE(name(somebody("alice"), "web", std::string(64, 'X')));
}

TEST_F(CloudImages, ACloudThatKeepsNoImagesSaysSo) {
  const auto offered = user(a, "POST", "/v1/image-contents", wire::encode(wire::ImageOffer{"{}", ""}));
  ASSERT_FALSE(offered);
  EXPECT_EQ(offered.error().code, Errc::unsupported);
  const auto named = user(a, "PUT", "/v1/images/web", wire::encode(wire::ImageName{"web", kContent}));
  ASSERT_FALSE(named);
  EXPECT_EQ(named.error().code, Errc::unsupported);
}

TEST_F(CloudImages, AnInstanceMayBeginOnAHostToWhichItsImageComes) {
  ASSERT_TRUE(name(somebody("alice"), "web", kContent));
  auto request = run_request(1);
  request.image = "web";
  const auto ran = user<wire::InstanceView>(a, "POST", "/v1/instances", wire::encode(request));
  ASSERT_TRUE(ran) << ran.error().message;
  request = run_request(2);
  request.image = "none";
  EXPECT_FALSE(user<wire::InstanceView>(a, "POST", "/v1/instances", wire::encode(request)));
}

TEST_F(CloudImages, AHostIsToldWhatComesAndFromWhom) {
  ASSERT_TRUE(name(somebody("alice"), "web", kContent));
  a.cloud().core().set_image_port(7444);
  a2.report.image_port = 7404;
  a2.sync();
  const auto desired = a1.sync();
  EXPECT_EQ(desired.image_port, 7444);
  ASSERT_EQ(desired.siblings.size(), 1U);
  EXPECT_EQ(desired.siblings[0].image_port, 7404);
  const auto found = std::ranges::find(desired.images, "web", &wire::DesiredImage::name);
  ASSERT_NE(found, desired.images.end());
  EXPECT_EQ(found->sha256, kContent);
  EXPECT_EQ(found->manifest, "a manifest");
  EXPECT_TRUE(found->path.empty());
}

// Where the next instance of the image begins, and only as long as it is not there.
TEST_F(CloudImages, ABootsOrderIsToldToWhoIsToBootTheImageWithoutHavingIt) {
  ASSERT_TRUE(name(somebody("alice"), "web", kContent));
  auto request = run_request(1);
  request.image = "web";
  const auto ran = user<wire::InstanceView>(a, "POST", "/v1/instances", wire::encode(request));
  ASSERT_TRUE(ran) << ran.error().message;
  auto& here = ran->host == a1.report.host ? a1 : a2;
  auto& other = ran->host == a1.report.host ? a2 : a1;
  const auto told = [&](auto& host) {
    const auto desired = host.sync();
    const auto found = std::ranges::find(desired.images, "web", &wire::DesiredImage::name);
    EXPECT_NE(found, desired.images.end());
    return found->boot_order;
  };
  using Ranges = std::vector<std::uint32_t>;
  const auto says = [&](const Ranges& ranges) {
    other.report.boot_orders = {{kContent, ranges}, {kOther, {1, 1}}};
    const auto answered = told(other);
    other.report.boot_orders.clear();
    return answered;
  };
  EXPECT_EQ(told(here), Ranges{});
  EXPECT_EQ(says({7, 3, 1, 1}), Ranges{}) << "nothing is to boot there";
  EXPECT_EQ(told(here), (Ranges{7, 3, 1, 1}));
  EXPECT_EQ(says({9, 1}), Ranges{});
  EXPECT_EQ(told(here), (Ranges{7, 3, 1, 1})) << "the longest is kept";
  says({0, 20});
  EXPECT_EQ(told(here), (Ranges{0, 20}));
  here.report.images.push_back({"web", kContent});
  EXPECT_EQ(told(here), Ranges{}) << "it is there";
  here.report.images.pop_back();
  ASSERT_TRUE(name(somebody("alice"), "web", kOther));
  ASSERT_TRUE(name(somebody("alice"), "web", kContent));
  EXPECT_EQ(told(here), Ranges{}) << "it was forgotten with the content's last name";
}

}  // namespace
}  // namespace godwit::api
