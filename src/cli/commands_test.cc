#include "cli/commands.h"

#include "api/sky_routes.h"
#include "cli/completion.h"
#include "cli/wireguard_text.h"
#include "crypto/host_record.h"
#include "crypto/identity.h"
#include "support/sky_world.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

namespace godwit::cli {
namespace {

class FakeTerminal final : public Terminal {
 public:
  std::string output;
  std::string errors;
  std::string input;
  bool interactive{false};

  void out(std::string_view text) override { output += text; }
  void err(std::string_view text) override { errors += text; }
  [[nodiscard]] bool err_is_terminal() const override { return interactive; }
  [[nodiscard]] bool in_is_terminal() const override { return interactive; }
  [[nodiscard]] std::size_t columns() const override { return 80; }
  [[nodiscard]] std::string read_line() override { return input; }
  [[nodiscard]] std::string read_all(std::size_t limit_bytes) override { return input.substr(0, limit_bytes); }
};

// The whole user's side: a command line, sky's API, sky, and two simulated clouds.
class CommandsTest : public ::testing::Test, protected testing::SkyWorld {
 protected:
  CommandsTest() {
    serve();
    files_.contents["/home/alice/.config/godwit/sky.token"] = "the-token\n";
    for (auto& [name, cloud] : clouds_) {
      files_.contents["/desk/" + name + ".pem"] = cloud.about.ca_pem;
      files_.contents["/desk/" + name + ".token"] = cloud.token() + "\n";
    }
    files_.contents["/desk/id.pub"] = "# mine\nssh-ed25519 AAAA alice\n";
  }

  void serve() {
    routes_ = std::make_unique<api::SkyRoutes>(time_, *sky_, "the-token");
    http_.hosts["127.0.0.1"] = routes_->handler();
  }

  int run(const std::string& line) {
    terminal_.output.clear();
    terminal_.errors.clear();
    CLI::App app{"godwit", "godwit"};
    app.require_subcommand(1);
    int exit_code = kDone;
    add_user_commands(app, [&](const CommonOptions& options, const Action& action) {
      Session session({time_, random_, files_, http_, terminal_, sockets_, "/home/alice/.config/godwit", "/desk"},
                      options);
      exit_code = time_.wait(cli::run(session, action));
    });
    try {
      app.parse(line, false);
    } catch (const CLI::ParseError& error) {
      terminal_.errors += error.what();
      return kUsage;
    }
    return exit_code;
  }
  void add_both() {
    for (const auto* name : {"cloud-a", "cloud-b"}) {
      ASSERT_EQ(run(fmt::format("account add {0} --url https://{0}:7443 --ca {0}.pem --token-file {0}.token", name)),
                kDone)
          << terminal_.errors;
    }
  }
  void make_demo(int size = 4) {
    add_both();
    ASSERT_EQ(run(fmt::format("cluster create demo --size {} --ssh-key id.pub --wait", size)), kDone)
        << terminal_.errors;
  }
  [[nodiscard]] bool says(const std::string& text) const { return terminal_.output.find(text) != std::string::npos; }
  [[nodiscard]] bool complains(const std::string& text) const {
    return terminal_.errors.find(text) != std::string::npos;
  }

  std::unique_ptr<api::SkyRoutes> routes_;
  FakeTerminal terminal_;
  godwit::testing::NoSockets sockets_;
};

TEST_F(CommandsTest, AccountsAreAddedListedAndRemoved) {
  EXPECT_EQ(run("account list"), kDone);
  EXPECT_TRUE(says("No accounts. Add one with: godwit account add"));
  add_both();
  EXPECT_EQ(run("account list --verbose"), kDone);
  EXPECT_EQ(terminal_.output,
            "CLOUD    URL                   STATE  TENANT  INSTANCES  VCPUS  MEMORY MIB  IMAGES  IMAGE MIB  PRICES\n"
            "cloud-a  https://cloud-a:7443  ok     alice        0/20   0/40     0/65536  0/1000  0/1048576  t3.nano "
            "0.01 EUR/h\n"
            "cloud-b  https://cloud-b:7443  ok     alice        0/20   0/40     0/65536  0/1000  0/1048576  t3.nano "
            "0.01 EUR/h\n");
  EXPECT_EQ(run("account remove cloud-b"), kDone);
  EXPECT_EQ(run("account remove cloud-b"), kNotFound);
  terminal_.input = clouds_.at("cloud-b").token() + "\n";
  EXPECT_EQ(run("account add cloud-b --url https://cloud-b:7443 --ca cloud-b.pem --token-file -"), kDone);
  terminal_.input = "wrong";
  EXPECT_EQ(run("account add cloud-b --url https://cloud-b:7443 --ca cloud-b.pem --token-file -"), kDenied);
  EXPECT_EQ(run("account add cloud-b --url https://cloud-b:7443 --ca none.pem --token-file -"), kNotFound);
}

TEST_F(CommandsTest, AClusterIsMadeShownAndDeleted) {
  add_both();
  ASSERT_EQ(run("cluster create demo --size 4 --ssh-key id.pub --wait"), kDone) << terminal_.errors;
  EXPECT_TRUE(complains("demo-1 (cloud-a): pending")) << terminal_.errors;
  EXPECT_TRUE(complains("demo-4 (cloud-b/b1): ready")) << terminal_.errors;
  EXPECT_TRUE(complains("cluster demo is ready"));
  EXPECT_TRUE(says("Ready after:  20.")) << terminal_.output;
  EXPECT_EQ(run("cluster list"), kDone);
  EXPECT_TRUE(says("NAME  STATE  READY  CLOUDS           NETWORK")) << terminal_.output;
  EXPECT_TRUE(says("demo  ready    4/4  cloud-a,cloud-b")) << terminal_.output;
  EXPECT_EQ(run("instance list --cloud cloud-b --json"), kDone);
  EXPECT_EQ(wire::parse_json(terminal_.output)->at("instances").as_array().size(), 2U);
  EXPECT_EQ(run("network show demo"), kDone);
  EXPECT_TRUE(says("192.0.2.1:4789")) << terminal_.output;
  EXPECT_EQ(run("cluster delete demo --wait"), kDone) << terminal_.errors;
  EXPECT_TRUE(says("Cluster demo is gone."));
  EXPECT_EQ(run("cluster show demo"), kNotFound);
  EXPECT_EQ(run("cluster wait demo --for deleted"), kDone);
  EXPECT_EQ(run("cluster list"), kDone);
  EXPECT_TRUE(says("No clusters."));
}

TEST_F(CommandsTest, MembersHaveRolesAndPlaces) {
  add_both();
  ASSERT_EQ(run("cluster create demo --member head=head,worker@cloud-b --member w1=worker --member w2 --json"), kDone)
      << terminal_.errors;
  const auto view = wire::decode<wire::ClusterView>(terminal_.output).value();
  ASSERT_EQ(view.members.size(), 3U);
  EXPECT_EQ(view.members[0].cloud, "cloud-b");
  EXPECT_EQ(view.members[0].roles, (std::vector<std::string>{"head", "worker"}));
  EXPECT_EQ(view.members[2].name, "w2");
}

TEST_F(CommandsTest, AnInstanceMovesWithProgress) {
  make_demo();
  ASSERT_EQ(run("instance migrate demo-1 --to cloud-b"), kDone) << terminal_.errors;
  EXPECT_TRUE(complains("demo-1: memory")) << terminal_.errors;
  EXPECT_TRUE(complains("demo-1: completed"));
  EXPECT_EQ(terminal_.output,
            "demo-1 runs at cloud-b/b1: 10.0 s in all, 120 ms down\n"
            "\n"
            "CROSSED AS    BYTES   PART  WHY\n"
            "image       128 MiB  25.0%  blocks of an image that is there\n"
            "sibling     256 MiB  50.0%  crossed before, of another instance\n"
            "literal     128 MiB  25.0%  new, sent\n"
            "in all      512 MiB      -  what QEMU put out, memory and disk\n"
            "on the WAN  1.4 MiB   0.3%  358x less: 977 KiB memory, 488 KiB disk\n");
  EXPECT_EQ(run("instance migrate demo-1 --to cloud-b"), kUsage);
  EXPECT_EQ(run("instance migrate demo-9 --to cloud-b"), kNotFound);
  EXPECT_EQ(run("instance migrate demo/demo-3 --to cloud-z"), kNotFound);
  EXPECT_EQ(run("migration list"), kDone);
  EXPECT_TRUE(says("cloud-a/a1 -> cloud-b/b1  10.0 s    120 ms")) << terminal_.output;
}

TEST_F(CommandsTest, AClusterMovesAndSaysWhichMembersStayed) {
  make_demo();
  b().refuse_tickets = "no room for it";
  b().refuse_tickets_of = "demo-3";
  EXPECT_EQ(run("cluster migrate demo --to cloud-b"), kFailed);
  EXPECT_TRUE(says("demo-3 stays at cloud-a")) << terminal_.output;
  EXPECT_TRUE(says("no room for it"));
  EXPECT_TRUE(says("demo-1  cloud-b/b1  10.0 s  120 ms")) << terminal_.output;
  EXPECT_TRUE(complains("migrate: not moved: demo-3 ("));
  b().refuse_tickets.clear();
  ASSERT_EQ(run("cluster migrate demo --to cloud-b --members demo-3 --json"), kDone) << terminal_.errors;
  const auto list = wire::decode<wire::MigrationList>(terminal_.output).value();
  EXPECT_EQ(list.migrations.at(0).phase, wire::MigrationPhase::completed);
  EXPECT_EQ(run("cluster migrate demo --to cloud-b"), kDone);
  EXPECT_TRUE(says("Nothing to move"));
}

TEST_F(CommandsTest, AClustersMoveIsShownWithWhatItSaves) {
  make_demo();
  terminal_.interactive = true;
  ASSERT_EQ(run("cluster migrate demo --to cloud-b"), kDone) << terminal_.errors;
  EXPECT_TRUE(complains("demo-3 [----------------]   0% waits")) << terminal_.errors;
  EXPECT_TRUE(complains("WAN 9.2 MiB (110x): image 25%, sibling 50%, literal 25%")) << terminal_.errors;
  EXPECT_EQ(terminal_.output,
            "MEMBER  RUNS AT       TOOK    DOWN    GUEST      WAN  LESS\n"
            "demo-1  cloud-b/b1  10.0 s  120 ms  512 MiB  1.4 MiB  358x\n"
            "demo-3  cloud-b/b1  10.0 s  120 ms  512 MiB  1.4 MiB  358x\n"
            "\n"
            "CROSSED AS    BYTES   PART  WHY\n"
            "image       256 MiB  25.0%  blocks of an image that is there\n"
            "sibling     512 MiB  50.0%  crossed before, of another instance\n"
            "literal     256 MiB  25.0%  new, sent\n"
            "in all      1.0 GiB      -  what QEMU put out, memory and disk\n"
            "on the WAN  2.9 MiB   0.3%  358x less: 1.9 MiB memory, 977 KiB disk\n");
}

TEST_F(CommandsTest, AMigrationIsCancelled) {
  a().stuck = true;
  make_demo();
  ASSERT_EQ(run("instance migrate demo-1 --to cloud-b --no-wait --json"), kDone);
  const auto id = wire::decode<wire::MigrationList>(terminal_.output)->migrations.at(0).id;
  time_.run_for(Seconds{20});
  EXPECT_EQ(run("migration show " + id), kDone);
  EXPECT_TRUE(says("Phase:        memory")) << terminal_.output;
  EXPECT_TRUE(says("sibling     256 MiB  50.0%")) << terminal_.output;
  EXPECT_EQ(run("migration cancel " + id), kDone);
  EXPECT_EQ(run("migration show --wait " + id), kFailed);
  EXPECT_TRUE(says("demo-1 stays at cloud-a: cancelled by its user")) << terminal_.output;
  EXPECT_EQ(run("migration cancel " + id), kConflict);
}

TEST_F(CommandsTest, AFenceIsForAPersonToDecide) {
  a().stuck = true;
  make_demo();
  EXPECT_EQ(run("instance resolve demo-1"), kNotFound);  // nothing to decide
  ASSERT_EQ(run("instance migrate demo-1 --to cloud-b --no-wait"), kDone);
  time_.run_for(Seconds{20});
  EXPECT_EQ(run("instance resolve demo-1"), kDone);
  EXPECT_TRUE(says("It is not in doubt")) << terminal_.output;
  EXPECT_EQ(run("instance resolve demo-1 --fence"), kUsage);
  EXPECT_EQ(run("instance resolve demo-1 --fence --winner both"), kUsage);
  EXPECT_EQ(run("instance resolve demo-1 --fence --winner source"), kFailed);  // nobody to ask
  EXPECT_TRUE(a().fences.empty());
  terminal_.interactive = true;
  terminal_.input = "n";
  EXPECT_EQ(run("instance resolve demo-1 --fence --winner source"), kFailed);
  terminal_.input = "yes";
  EXPECT_EQ(run("instance resolve demo-1 --fence --winner source"), kDone) << terminal_.errors;
  EXPECT_TRUE(complains("Is it certain that cloud-b does not run it"));
  EXPECT_EQ(a().fences.at(0).winner, wire::MigrationRole::source);
}

TEST_F(CommandsTest, WaitingHasALimitAndSaysWhatIsMissing) {
  add_both();
  http_.cut.insert("cloud-b");
  EXPECT_EQ(run("cluster create demo --size 2 --cloud cloud-a --cloud cloud-b --wait --timeout 60"), kTimedOut);
  EXPECT_TRUE(complains("not done within 60 s")) << terminal_.errors;
  EXPECT_TRUE(complains("cloud cloud-b can't be reached")) << terminal_.errors;
  http_.cut.clear();
  EXPECT_EQ(run("cluster wait demo"), kDone) << terminal_.errors;
}

TEST_F(CommandsTest, WaitingGoesOnThroughARestartOfSky) {
  add_both();
  http_.hosts["127.0.0.1"] = [this](sys::HttpRequest request) -> sys::Task<sys::HttpResponse> {
    auto response = co_await routes_->handler()(std::move(request));
    if (!response.next_chunk) co_return response;
    // One line, then the connection ends in an error, as when the process does.
    const auto said = std::make_shared<int>(0);
    response.next_chunk = [said, inner = response.next_chunk]() -> sys::Task<Result<std::string>> {
      if ((*said)++ == 1) {
        return []() -> sys::Task<Result<std::string>> { co_return fail(Errc::unavailable, "connection reset"); }();
      }
      return inner();
    };
    co_return response;
  };
  EXPECT_EQ(run("cluster create demo --size 2 --wait"), kDone) << terminal_.errors;
}

TEST_F(CommandsTest, ErrorsSayWhatToDo) {
  EXPECT_EQ(run("cluster create demo --size 2"), kNotFound);
  EXPECT_TRUE(complains("add one with godwit account add")) << terminal_.errors;
  EXPECT_EQ(run("cluster create demo"), kUsage);
  EXPECT_TRUE(complains("--size 4"));
  EXPECT_EQ(run("cluster create"), kUsage);
  http_.hosts.erase("127.0.0.1");
  EXPECT_EQ(run("cluster list"), kUnreachable);
  EXPECT_TRUE(complains("start it with `godwit sky run`")) << terminal_.errors;
  EXPECT_EQ(run("cluster list --json"), kUnreachable);
  EXPECT_EQ(wire::decode<wire::ApiError>(terminal_.errors)->error.code, "unavailable");
  files_.contents.erase("/home/alice/.config/godwit/sky.token");
  EXPECT_EQ(run("cluster list"), kNotFound);
  EXPECT_TRUE(complains("--sky-token-file, or GODWIT_TOKEN_FILE")) << terminal_.errors;
  EXPECT_EQ(run("cluster list --sky ftp://x"), kUsage);
}

TEST_F(CommandsTest, APrivateKeyIsNotGivenAway) {
  add_both();
  files_.contents["/desk/id"] = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
  EXPECT_EQ(run("cluster create demo --size 2 --ssh-key id"), kUsage);
  EXPECT_TRUE(complains("give the .pub beside it")) << terminal_.errors;
}

TEST_F(CommandsTest, OnATerminalProgressIsDrawnOver) {
  add_both();
  terminal_.interactive = true;
  ASSERT_EQ(run("cluster create demo --size 2 --ssh-key id.pub --wait"), kDone);
  EXPECT_TRUE(complains("[################")) << terminal_.errors;
  EXPECT_TRUE(complains("\x1b[3A")) << "it goes up over its three lines";
  EXPECT_TRUE(terminal_.errors.ends_with("\x1b[3A\r\x1b[J")) << "and leaves nothing of them";
  terminal_.input = "n";
  EXPECT_EQ(run("cluster delete demo"), kFailed);
  EXPECT_TRUE(complains("Delete cluster demo: 2 instances and their disks? [y/N]"));
  EXPECT_TRUE(sky_->cluster("demo"));
}

TEST_F(CommandsTest, HelpTeachesByExample) {
  CLI::App app{"godwit", "godwit"};
  add_user_commands(app, [](const CommonOptions&, const Action&) {});
  for (auto* noun : app.get_subcommands([](CLI::App*) { return true; })) {
    for (auto* verb : noun->get_subcommands([](CLI::App*) { return true; })) {
      EXPECT_NE(verb->help().find("Examples:\n  godwit " + noun->get_name() + " " + verb->get_name()),
                std::string::npos)
          << noun->get_name() << " " << verb->get_name();
      EXPECT_NE(verb->get_option_no_throw("--json"), nullptr);
    }
  }
  const auto script = bash_completion(app);
  EXPECT_NE(script.find("'cluster') words=\"create list show migrate wait delete --help\" ;;"), std::string::npos)
      << script;
}

TEST_F(CommandsTest, AWireGuardThatJoinsGetsItsConfigurationAndKeepsItsKey) {
  make_demo();
  const crypto::HostRecord record{"cloud-a",
                                  "leaf-host",
                                  crypto::host_key_from_hex(std::string(64, '5')).value(),
                                  crypto::SessionProfile::native,
                                  {WallTime{Seconds{1}}, WallTime{Seconds{2'000'000'000}}}};
  a().leaf_record = to_base64url(crypto::sign_host_record(record, crypto::Key::generate().value()).value());
  EXPECT_EQ(run("network join demo"), kUsage);
  EXPECT_TRUE(terminal_.errors.contains("--wireguard"));
  ASSERT_EQ(run("network join demo --wireguard --cloud cloud-a"), kDone) << terminal_.errors;
  const auto leaf = sky_->leaves("demo")->leaves.at(0);
  for (const auto& line : {fmt::format("Address = {}/32, {}/128\n", leaf.ip, leaf.ipv6),
                           "PublicKey = " + wireguard_key_text(ByteVector(32, std::byte{0x55})) + "\n",
                           std::string("Endpoint = 192.0.2.1:4789\n"), std::string("[Interface]\nPrivateKey = "),
                           fmt::format("AllowedIPs = {}, ", view().cidr)}) {
    EXPECT_TRUE(says(line)) << line << terminal_.output;
  }
  const auto at = terminal_.output.find("PrivateKey = ") + 13;
  const auto secret = parse_wireguard_key(terminal_.output.substr(at, 44)).value();
  EXPECT_EQ(to_hex(crypto::KeyPair::of(crypto::Secret{secret}).public_key()), leaf.key);

  const auto other = wireguard_key_text(ByteVector(32, std::byte{9}));
  ASSERT_EQ(run("network join demo --wireguard --name office --cloud cloud-a --key " + other), kDone);
  EXPECT_TRUE(says("# PrivateKey = the one of " + other)) << terminal_.output;
  EXPECT_EQ(run("network join demo --wireguard --key nonsense"), kUsage);
  ASSERT_EQ(run("network leaves demo"), kDone);
  EXPECT_TRUE(says("office") && says("laptop") && says("cloud-a/leaf-host")) << terminal_.output;
  ASSERT_EQ(run("network leave demo laptop"), kDone);
  EXPECT_EQ(run("network leave demo laptop"), kNotFound);
}

TEST_F(CommandsTest, AWireGuardThatNoHostServesIsNoMember) {
  make_demo();
  EXPECT_EQ(run("network join demo --wireguard"), kTimedOut);
  EXPECT_TRUE(terminal_.errors.contains("no host serves laptop within 30 s")) << terminal_.errors;
  EXPECT_TRUE(sky_->leaves("demo")->leaves.empty()) << "its key is lost";
}

}  // namespace
}  // namespace godwit::cli
