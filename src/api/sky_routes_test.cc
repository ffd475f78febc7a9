#include "api/sky_routes.h"

#include "support/sky_world.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace godwit::api {
namespace {

constexpr std::string_view kToken = "sky_test-token";

class SkyRoutesTest : public ::testing::Test, protected testing::SkyWorld {
 protected:
  SkyRoutesTest() { add_accounts(); }

  sys::HttpResponse ask(std::string method, std::string path, std::string body = "", std::string query = "") {
    sys::HttpRequest request;
    request.method = std::move(method);
    request.path = std::move(path);
    request.body = std::move(body);
    request.headers["authorization"] = "Bearer " + std::string(kToken);
    if (!query.empty()) request.query["watch"] = query;
    return time_.wait(routes_.handler()(std::move(request)));
  }
  // The next chunk of a watch.
  std::string next(const sys::HttpResponse& response) { return time_.wait(response.next_chunk()).value(); }

  SkyRoutes routes_{time_, *sky_, kToken};
};

TEST_F(SkyRoutesTest, TheDocumentSaysWhatIsServed) {
  const std::string path = std::string(GODWIT_DOCS) + "/api/sky.yaml";
  const auto written = openapi_yaml(routes_.router(), sky_api_title());
  if (std::getenv("GODWIT_WRITE_GOLDEN")) std::ofstream(path) << written;
  std::stringstream read;
  read << std::ifstream(path).rdbuf();
  EXPECT_EQ(read.str(), written) << "write it anew with GODWIT_WRITE_GOLDEN=1, and look at the difference";
}

TEST_F(SkyRoutesTest, NoRouteAnswersWithoutTheToken) {
  for (const auto& route : routes_.router().routes()) {
    for (const auto* authorization : {"", "Bearer ", "Bearer wrong", "Basic c2t5"}) {
      sys::HttpRequest request;
      request.method = route.method;
      request.path = route.pattern;
      for (auto at = request.path.find('{'); at != std::string::npos; at = request.path.find('{')) {
        request.path.replace(at, request.path.find('}') - at + 1, "x");
      }
      if (*authorization) request.headers["authorization"] = authorization;
      EXPECT_EQ(time_.wait(routes_.handler()(std::move(request))).status, 401) << route.pattern;
    }
  }
}

TEST_F(SkyRoutesTest, AClusterIsMadeWatchedAndDeleted) {
  const auto made = ask("POST", "/v1/clusters", wire::encode(demo(2)));
  ASSERT_EQ(made.status, 200) << made.body;
  const auto watch = ask("GET", "/v1/clusters/demo", "", "1");
  ASSERT_TRUE(watch.next_chunk);
  wire::ClusterState state{};
  for (int i = 0; i < 100 && state != wire::ClusterState::ready; ++i) {
    const auto line = next(watch);
    if (line != "\n") state = wire::decode<wire::ClusterView>(line).value().state;
  }
  EXPECT_EQ(state, wire::ClusterState::ready);
  EXPECT_EQ(next(watch), "\n");  // the heartbeat of a cluster at rest
  EXPECT_EQ(ask("DELETE", "/v1/clusters/demo").status, 200);
  std::string last;
  for (auto line = next(watch); !line.empty(); line = next(watch)) {
    if (line != "\n") last = line;
  }
  EXPECT_EQ(wire::decode<wire::ClusterView>(last).value().state, wire::ClusterState::deleted);
  EXPECT_EQ(ask("GET", "/v1/clusters/demo").status, 404);
}

TEST_F(SkyRoutesTest, TheTokenOfAnAccountIsNeverGivenBack) {
  for (const auto* path : {"/v1/accounts", "/v1/hosts", "/v1/clusters", "/v1/networks", "/v1/migrations"}) {
    const auto answer = ask("GET", path);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body.find(a().token()), std::string::npos) << path;
  }
}

TEST_F(SkyRoutesTest, AFenceWithoutAWinnerIsRefused) {
  ASSERT_TRUE(create(demo(2)));
  const auto path = "/v1/instances/" + view().members[0].instance + "/resolve";
  EXPECT_EQ(ask("POST", path, "{}").status, 400);
  EXPECT_EQ(ask("POST", path, R"({"winner":"both"})").status, 400);
  EXPECT_EQ(ask("POST", path, R"({"winner":"source"})").status, 404);  // it never migrated
}

TEST_F(SkyRoutesTest, NonsenseIsRefusedByName) {
  EXPECT_EQ(ask("POST", "/v1/clusters", "[").status, 400);
  EXPECT_EQ(ask("POST", "/v1/clusters", R"({"name":"x","size":-1})").status, 400);
  EXPECT_EQ(ask("POST", "/v1/clusters", R"({"name":"X","size":1})").status, 400);
  EXPECT_EQ(ask("PUT", "/v1/accounts/cloud-a", R"({"cloud":"cloud-b"})").status, 400);
  EXPECT_EQ(ask("GET", "/v1/migrations", "", "1").status, 400);
  EXPECT_EQ(ask("GET", "/v1/clusters/none", "", "1").status, 404);
  EXPECT_EQ(ask("PATCH", "/v1/clusters").status, 405);
}

}  // namespace
}  // namespace godwit::api
