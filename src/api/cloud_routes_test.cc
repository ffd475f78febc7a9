// The table of routes: who may call, what is nowhere, and that the document says the same.
#include "support/two_clouds.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace godwit::api {
namespace {

using testing::CloudBench;

class CloudRoutesTable : public testing::TwoClouds {};

std::string example_path(std::string pattern) {
  const auto at = pattern.find("{id}");
  return at == std::string::npos ? pattern : pattern.replace(at, 4, "i-00000000000000001");
}

TEST_F(CloudRoutesTable, NoRouteAnswersAStranger) {
  for (const auto& route : a.router().routes()) {
    sys::HttpRequest request;
    request.method = route.method;
    request.path = example_path(route.pattern);
    request.body = "{}";
    const auto response = a.ask(request);
    EXPECT_EQ(response.status, 401) << route.method << " " << route.pattern << ": " << response.status << " "
                                    << response.body;
    EXPECT_TRUE(wire::decode<wire::ApiError>(response.body));
  }
}

TEST_F(CloudRoutesTable, AWrongTokenIsNobodys) {
  for (const auto* token : {"", "x", "gwuser_0000000000000000000000000000000000000000000"}) {
    EXPECT_EQ(a.ask(CloudBench::as_user(token, "GET", "/v1/cloud")).status, 401);
  }
  EXPECT_EQ(a.ask(CloudBench::as_user(std::string(100'000, 'x'), "GET", "/v1/cloud")).status, 401);
  EXPECT_EQ(a.ask(CloudBench::as_user(alice_b, "GET", "/v1/cloud")).status, 401) << "an account of another cloud";
  EXPECT_EQ(a.ask(CloudBench::as_user(alice_a, "GET", "/v1/cloud")).status, 200);
}

TEST_F(CloudRoutesTable, ARevokedTokenIsNobodys) {
  ASSERT_TRUE(a.cloud().accounts().revoke_tokens("alice"));
  EXPECT_EQ(a.ask(CloudBench::as_user(alice_a, "GET", "/v1/cloud")).status, 401);
  const auto again = a.cloud().accounts().issue_token("alice");
  EXPECT_EQ(a.ask(CloudBench::as_user(*again, "GET", "/v1/cloud")).status, 200);
}

TEST_F(CloudRoutesTable, WhatIsNowhereIs404AndAWrongMethod405) {
  const auto ask = [&](std::string method, std::string path) {
    return a.ask(CloudBench::as_user(alice_a, std::move(method), std::move(path)));
  };
  for (const auto* path : {"", "/", "/v1", "/v1/", "/v2/cloud", "/v1/cloud/", "/v1/instances//stop",
                           "/v1/instances/i-1/stop/now", "//v1/cloud", "v1/cloud"}) {
    EXPECT_EQ(ask("GET", path).status, 404) << path;
  }
  EXPECT_EQ(ask("GET", std::string(10'000, '/')).status, 404);
  const auto wrong = ask("PATCH", "/v1/instances");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers.at("allow"), "GET, POST");
  EXPECT_TRUE(wire::decode<wire::ApiError>(wrong.body));
}

TEST_F(CloudRoutesTable, BodiesAreBoundedAndMustBeJson) {
  const auto ask = [&](std::string body) {
    return a.ask(CloudBench::as_user(alice_a, "POST", "/v1/instances", std::move(body))).status;
  };
  EXPECT_EQ(ask(""), 400);
  EXPECT_EQ(ask("[]"), 400);
  EXPECT_EQ(ask(R"({"id": 7})"), 400);
  EXPECT_EQ(ask(R"({"user_data": ")" + std::string(kUsualBodyBytes, 'x') + R"("})"), 400);
}

// GODWIT_WRITE_GOLDEN=1 writes the document anew.
TEST_F(CloudRoutesTable, TheDocumentIsTheOneInTheTree) {
  const std::string path = GODWIT_DOCS "/api/cloud.yaml";
  const auto written = openapi_yaml(a.router(), cloud_api_title());
  if (std::getenv("GODWIT_WRITE_GOLDEN")) std::ofstream(path) << written;
  std::ostringstream golden;
  golden << std::ifstream(path).rdbuf();
  EXPECT_TRUE(golden.str() == written) << path
                                       << " is not what the routes say: run api_test with GODWIT_WRITE_GOLDEN=1";
}

}  // namespace
}  // namespace godwit::api
