#include "sky/user_data.h"

#include "wire/json.h"

#include <gtest/gtest.h>

namespace godwit::sky {
namespace {

ClusterContext context() {
  ClusterContext out;
  out.cluster = "demo";
  out.domain = "demo.internal";
  out.login = {"login-private\n", "ssh-ed25519 LOGIN demo"};
  out.host = {"host-private\n", "ssh-ed25519 HOST demo"};
  out.members = {{"demo-1", "10.77.0.11", {"head", "worker"}}, {"demo-2", "10.77.0.12", {}}};
  return out;
}

// The JSON after "#cloud-config", up to the boundary.
wire::json::object config_in(const std::string& data) {
  const auto begin = data.rfind("#cloud-config\n") + 14;
  const auto end = data.find("\n--godwit-part", begin);
  return wire::parse_json(data.substr(begin, end - begin)).value().as_object();
}

TEST(UserData, MakesAMemberOneOfTheCluster) {
  const auto data = user_data_of(context(), "demo-1");
  ASSERT_TRUE(data) << data.error().message;
  const auto config = config_in(*data);
  EXPECT_EQ(config.at("fqdn").as_string(), "demo-1.demo.internal");
  EXPECT_EQ(config.at("ssh_authorized_keys").as_array()[0].as_string(), "ssh-ed25519 LOGIN demo");
  EXPECT_EQ(config.at("ssh_keys").at("ed25519_private").as_string(), "host-private\n");
  EXPECT_EQ(config.at("phone_home").at("url").as_string(), "http://169.254.169.254/godwit/ready");
  const auto& files = config.at("write_files").as_array();
  EXPECT_EQ(files[0].at("permissions").as_string(), "0600");
  EXPECT_EQ(files[2].at("content").as_string(),
            "*.demo.internal,demo-1,10.77.0.11,demo-2,10.77.0.12 ssh-ed25519 HOST demo\n");
  EXPECT_EQ(files[3].at("content").as_string(), "demo-1 10.77.0.11 head,worker\ndemo-2 10.77.0.12 -\n");
  EXPECT_EQ(files[4].at("content").as_string(), "head\nworker\n");
}

TEST(UserData, KeepsTheUsersOwnPartFirstAndAsItIs) {
  auto with = context();
  with.user_data = "#!/bin/sh\necho godwit-part-0\n";
  const auto data = user_data_of(with, "demo-2").value();
  EXPECT_TRUE(
      data.starts_with("Content-Type: multipart/mixed; boundary=\"godwit-part-1\"\nMIME-Version: 1.0\n\n"
                       "--godwit-part-1\nContent-Type: text/x-shellscript; charset=\"utf-8\"\n"))
      << data.substr(0, 200);
  EXPECT_NE(data.find("\n\n#!/bin/sh\necho godwit-part-0\n"), std::string::npos);
  EXPECT_TRUE(data.ends_with("--godwit-part-1--\n"));
  EXPECT_EQ(data, user_data_of(with, "demo-2").value());
}

TEST(UserData, EncodesWhatMailCannotCarry) {
  auto with = context();
  with.user_data = "#cloud-config\nmotd: zw\xc3\xb6lf\n";
  const auto data = user_data_of(with, "demo-2").value();
  EXPECT_NE(data.find("text/cloud-config; charset=\"utf-8\"\nMIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\n"
                      "I2Nsb3VkLWNvbmZpZwptb3RkOiB6d8O2bGYK\n"),
            std::string::npos);
}

TEST(UserData, ThatIsTooLongIsRefused) {
  auto with = context();
  with.user_data = std::string(wire::kUserDataLimit - 100, 'x');
  EXPECT_EQ(user_data_of(with, "demo-1").error().code, Errc::invalid_argument);
  EXPECT_EQ(user_data_of(with, "demo-9").error().code, Errc::not_found);
}

}  // namespace
}  // namespace godwit::sky
