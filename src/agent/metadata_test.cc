#include "agent/metadata.h"

#include <gtest/gtest.h>

namespace godwit::agent {
namespace {

class StoppedClock final : public sys::Clock {
 public:
  TimePoint now() const override { return now_; }
  WallTime wall_now() const override { return {}; }
  sys::Task<void> sleep_until(TimePoint) override { co_return; }
  TimePoint now_{};
};

class Counting final : public sys::Random {
 public:
  void fill(ByteSpan out) override {
    for (auto& byte : out) byte = static_cast<std::byte>(next_++);
  }

 private:
  unsigned next_{0};
};

class MetadataTest : public ::testing::Test {
 protected:
  MetadataTest() {
    guest_.spec.id = "i-0123456789abcdef0";
    guest_.spec.name = "demo-1";
    guest_.spec.tenant = "alice";
    guest_.spec.type = "t3.nano";
    guest_.spec.roles = {"head", "db"};
    guest_.spec.interface = {"net-0123456789abcdef0", "02:00:00:00:00:01", "10.77.0.11"};
    guest_.spec.ssh_keys = {"ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"};
    guest_.spec.user_data = "#cloud-config\n";
    guest_.cloud = "cloud-a";
    guest_.domain = "demo.internal";
    guest_.cidr = "10.77.0.0/24";
    service_.set_guests({guest_});
  }

  sys::HttpResponse ask(const std::string& method, const std::string& path, const std::string& token = "",
                        const std::string& from = "10.77.0.11:40000") {
    sys::HttpRequest request;
    request.method = method;
    request.path = path;
    request.remote = from;
    if (!token.empty()) request.headers["x-aws-ec2-metadata-token"] = token;
    request.headers["x-aws-ec2-metadata-token-ttl-seconds"] = "60";
    return service_.answer(request);
  }
  std::string get(const std::string& path) {
    const auto token = ask("PUT", "/latest/api/token").body;
    const auto response = ask("GET", path, token);
    return response.status == 200 ? response.body : "status " + std::to_string(response.status);
  }

  StoppedClock clock_;
  Counting random_;
  std::vector<std::string> ready_;
  Guest guest_;
  Metadata service_{clock_, random_, [this](const std::string& id) { ready_.push_back(id); }};
};

TEST_F(MetadataTest, AGuestReadsWhoItIs) {
  EXPECT_EQ(get("/latest/meta-data/instance-id"), "i-0123456789abcdef0");
  EXPECT_EQ(get("/2021-03-23/meta-data/local-hostname"), "demo-1.demo.internal");
  EXPECT_EQ(get("/latest/meta-data/network/interfaces/macs/02:00:00:00:00:01/local-ipv4s"), "10.77.0.11");
  EXPECT_EQ(get("/latest/meta-data/tags/instance/godwit-roles"), "head,db");
  EXPECT_EQ(get("/latest/user-data"), "#cloud-config\n");
}

TEST_F(MetadataTest, DirectoriesAreListedAsEc2ListsThem) {
  EXPECT_EQ(get("/latest/meta-data/public-keys/"), "0=key-0\n1=key-1");
  EXPECT_EQ(get("/latest/meta-data/public-keys/1/openssh-key"), "ssh-ed25519 BBBB two");
  EXPECT_EQ(get("/latest/meta-data/network/interfaces/macs/"), "02:00:00:00:00:01/");
  EXPECT_NE(get("/latest/meta-data/").find("placement/"), std::string::npos);
  EXPECT_EQ(get("/latest/meta-data/no/such"), "status 404");
  EXPECT_EQ(get("/latest/dynamic/instance-identity"), "document");
  EXPECT_EQ(get("/latest/dynamic/instance-identity/"), "document");
  EXPECT_NE(get("/latest/dynamic/instance-identity/document").find("i-0123456789abcdef0"), std::string::npos);
}

TEST_F(MetadataTest, NothingIsToldWithoutAFreshTokenOfOnesOwn) {
  EXPECT_EQ(ask("GET", "/latest/meta-data/").status, 401);
  EXPECT_EQ(ask("GET", "/latest/meta-data/", "guessed").status, 401);
  const auto token = ask("PUT", "/latest/api/token").body;
  EXPECT_EQ(ask("GET", "/latest/meta-data/", token).status, 200);
  clock_.now_ += Seconds{61};
  EXPECT_EQ(ask("GET", "/latest/meta-data/", token).status, 401);
}

TEST_F(MetadataTest, ATokensLifeIsANumberOfSeconds) {
  for (const auto* wrong : {"", "0", "21601", "-1", "60 ", "60x", "99999999999"}) {
    sys::HttpRequest request;
    request.method = "PUT";
    request.path = "/latest/api/token";
    request.remote = "10.77.0.11:40000";
    request.headers["x-aws-ec2-metadata-token-ttl-seconds"] = wrong;
    EXPECT_EQ(service_.answer(request).status, 400) << wrong;
  }
}

TEST_F(MetadataTest, AStrangerIsToldNothing) {
  EXPECT_EQ(ask("PUT", "/latest/api/token", "", "10.77.0.99:1").status, 404);
}

TEST_F(MetadataTest, AGuestPhonesHome) {
  EXPECT_EQ(ask("GET", "/godwit/ready").status, 405);
  EXPECT_EQ(ask("POST", "/godwit/ready").status, 200);
  EXPECT_EQ(ready_, std::vector<std::string>{"i-0123456789abcdef0"});
}

}  // namespace
}  // namespace godwit::agent
