#include "os/http.h"

#include "conformance/http_suite.h"
#include "os/clock.h"
#include "os/tcp.h"
#include "support/temp_directory.h"
#include "support/test_authority.h"

#include <unistd.h>

namespace godwit::os {
namespace {

struct HttpHarness {
  testing::EventLoop loop;
  SystemClock time;
  HttpTimes times;
  std::map<std::string, testing::TestAuthority> authorities;
  std::map<std::string, std::unique_ptr<SystemHttp>> parties;

  void run(sys::Task<void> task) { loop.run(std::move(task)); }
  sys::Clock& clock() { return time; }
  sys::Executor executor() { return loop.executor(); }
  std::string address() { return "127.0.0.1"; }
  testing::TestAuthority& of(const std::string& cloud) { return authorities.try_emplace(cloud, cloud).first->second; }

  SystemHttp& party(const testing::HostSpec& spec) {
    std::string key = spec.name + spec.signer;
    for (const auto& cloud : spec.trusts) key += cloud;
    auto& http = parties[key];
    if (http) return *http;
    http = std::make_unique<SystemHttp>(loop.executor(), time, Log(), times);
    std::vector<sys::TrustedCa> trusted;
    for (const auto& cloud : spec.trusts) trusted.push_back(of(cloud).trusted());
    http->trust(std::move(trusted));
    if (spec.name.empty()) return *http;
    const auto identity = of(spec.signer).issue(spec.name, spec.expired);
    EXPECT_TRUE(http->use_identity({identity.certificate_pem, identity.key_pem}));
    return *http;
  }
};

using Suite = testing::HttpSuite<HttpHarness>;

// What a server in clear says to raw bytes, until it hangs up or `enough` has come.
sys::Task<std::string> say(sys::Stream& stream, std::string text, std::string_view enough) {
  std::string heard;
  const auto written = co_await stream.write(as_bytes(text));
  if (!written) co_return heard;
  ByteVector buffer(4096);
  while (enough.empty() || heard.find(enough) == std::string::npos) {
    const auto count = co_await stream.read_some(buffer);
    if (!count) break;
    heard += as_text(ByteView(buffer).first(*count));
  }
  co_return heard;
}

class Http : public ::testing::Test {
 public:
  HttpHarness world;

  // Runs `story` against a server in clear that echoes.
  void with_server(sys::HttpListen listen, std::function<sys::Task<void>(HttpHarness&, sys::HttpServer&)> story) {
    auto server = world.party(Suite::person()).serve(listen, Suite::echo);
    ASSERT_TRUE(server) << server.error().message;
    world.run(story(world, **server));
    server->reset();
    world.loop.drain();
  }
  sys::HttpListen in_clear() { return Suite::where(world, sys::HttpTls::none); }
};

sys::Task<Result<std::unique_ptr<sys::Stream>>> raw_dial(std::uint16_t port) {
  auto socket = co_await dial_tcp("127.0.0.1", port);
  if (!socket) co_return pass(socket);
  co_return plain_stream(std::move(*socket), "raw");
}

// One connection that says `text` and hears the answer.
sys::Task<std::string> answer_to(std::uint16_t port, std::string text) {
  auto stream = co_await raw_dial(port);
  if (!stream) co_return stream.error().message;
  co_return co_await say(**stream, std::move(text), "");
}

TEST_F(Http, MalformedRequestsAreAnsweredWithTheirStatus) {
  auto listen = in_clear();
  listen.limits.header_bytes = 2000;
  listen.limits.body_bytes = 10;
  with_server(listen, [](HttpHarness&, sys::HttpServer& server) -> sys::Task<void> {
    struct Case {
      std::string text;
      std::string status;
    };
    const std::vector<Case> cases{
        {"garbage\r\n\r\n", "400"},
        {"GET nowhere HTTP/1.1\r\nhost: x\r\n\r\n", "400"},
        {"GET /%zz HTTP/1.1\r\nhost: x\r\n\r\n", "400"},
        {"GET /%00 HTTP/1.1\r\nhost: x\r\n\r\n", "400"},
        {"GET /?a=%f HTTP/1.1\r\nhost: x\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nx: " + std::string(3000, 'x') + "\r\n\r\n", "431"},
        {"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\nhello world", "413"},
        {"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nff\r\n" + std::string(255, 'x'), "413"},
        {"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", "400"},
        {"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
        {"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n", "400"},
    };
    for (const auto& each : cases) {
      const auto heard = co_await answer_to(server.port(), each.text);
      EXPECT_TRUE(heard.starts_with("HTTP/1.1 " + each.status + " ")) << each.text.substr(0, 60) << ": " << heard;
      EXPECT_NE(heard.find(R"({"error":{"code":)"), std::string::npos) << heard;
      EXPECT_NE(heard.find("connection: close"), std::string::npos) << heard;
    }
  });
}

TEST_F(Http, RequestsOfOneConnectionAreAnsweredInTurn) {
  with_server(in_clear(), [](HttpHarness&, sys::HttpServer& server) -> sys::Task<void> {
    const auto heard =
        co_await answer_to(server.port(),
                           "GET /1 HTTP/1.1\r\nhost: x\r\n\r\nPOST /2 HTTP/1.1\r\ncontent-length: 2\r\n\r\n"
                           "okHEAD /3 HTTP/1.1\r\n\r\nGET /4 HTTP/1.0\r\n\r\n");
    const auto one = heard.find("GET /1 [] nobody");
    const auto two = heard.find("POST /2 [ok] nobody");
    const auto four = heard.find("GET /4 [] nobody");
    EXPECT_LT(one, two) << heard;
    EXPECT_LT(two, four) << heard;
    EXPECT_EQ(heard.find("HEAD /3"), std::string::npos) << "an answer to HEAD has no body";
    EXPECT_NE(four, std::string::npos) << "HTTP/1.0 hangs up after its answer";
  });
}

TEST_F(Http, ABodyIsAskedForWhereTheClientWaitsForThat) {
  with_server(in_clear(), [](HttpHarness&, sys::HttpServer& server) -> sys::Task<void> {
    auto stream = co_await raw_dial(server.port());
    GODWIT_CO_ASSERT_OK(stream);
    const auto first = co_await say(
        **stream, "POST / HTTP/1.1\r\ncontent-length: 2\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
        "\r\n\r\n");
    EXPECT_EQ(first, "HTTP/1.1 100 Continue\r\n\r\n");
    const auto second = co_await say(**stream, "ok", "");
    EXPECT_NE(second.find("POST / [ok]"), std::string::npos) << second;
  });
}

TEST_F(Http, WhoSendsSlowlyIsToldSoAndPutOut) {
  world.times.header = Seconds(0);
  with_server(in_clear(), [](HttpHarness&, sys::HttpServer& server) -> sys::Task<void> {
    const auto heard = co_await answer_to(server.port(), "GET / HTTP/1.1\r\n");
    EXPECT_TRUE(heard.starts_with("HTTP/1.1 408 ")) << heard;
  });
}

TEST_F(Http, WhoSendsItsBodySlowlyIsPutOutToo) {
  world.times.body = Seconds(0);
  with_server(in_clear(), [](HttpHarness&, sys::HttpServer& server) -> sys::Task<void> {
    const auto heard = co_await answer_to(server.port(), "POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\n123");
    EXPECT_TRUE(heard.starts_with("HTTP/1.1 408 ")) << heard;
  });
}

TEST_F(Http, AnIdleConnectionIsClosedInTime) {
  auto listen = in_clear();
  listen.limits.idle = Seconds(0);
  with_server(listen, [](HttpHarness&, sys::HttpServer& server) -> sys::Task<void> {
    const auto heard = co_await answer_to(server.port(), "");
    EXPECT_EQ(heard, "");
  });
}

TEST_F(Http, AtTheLimitOfConnectionsTheLongestIdleGives) {
  auto listen = in_clear();
  listen.limits.connections = 2;
  with_server(listen, [](HttpHarness&, sys::HttpServer& server) -> sys::Task<void> {
    std::vector<std::unique_ptr<sys::Stream>> held;
    for (int i = 0; i < 5; ++i) {
      auto stream = co_await raw_dial(server.port());
      GODWIT_CO_ASSERT_OK(stream);
      const auto heard = co_await say(**stream, "GET / HTTP/1.1\r\n\r\n", "nobody");
      EXPECT_TRUE(heard.starts_with("HTTP/1.1 200 ")) << i << heard;
      held.push_back(std::move(*stream));
    }
    ByteVector buffer(1);
    const auto oldest = co_await held[0]->read_some(buffer);
    EXPECT_FALSE(oldest);
  });
}

// Those that were at work when somebody came are idle when they have been answered; none is put out before somebody
// has come.
TEST_F(Http, AtTheLimitOfConnectionsTheFirstThatIsAnsweredGives) {
  auto listen = in_clear();
  listen.limits.connections = 2;
  int working = 0;
  bool may_answer = false;
  sys::Signal changed(world.executor());
  sys::HttpHandler handler = [&](sys::HttpRequest) -> sys::Task<sys::HttpResponse> {
    ++working;
    changed.notify();
    while (!may_answer) co_await changed.wait();
    co_return sys::HttpResponse();
  };
  auto server = world.party(Suite::person()).serve(listen, handler);
  ASSERT_TRUE(server) << server.error().message;
  auto story = [&]() -> sys::Task<void> {
    std::vector<std::unique_ptr<sys::Stream>> held;
    for (int i = 0; i < 3; ++i) {
      auto stream = co_await raw_dial((*server)->port());
      GODWIT_CO_ASSERT_OK(stream);
      const auto said = co_await (*stream)->write(as_bytes("GET / HTTP/1.1\r\n\r\n"));
      GODWIT_CO_ASSERT_OK(said);
      held.push_back(std::move(*stream));
      while (working < std::min(i + 1, listen.limits.connections)) co_await changed.wait();
    }
    may_answer = true;
    changed.notify();
    const auto heard = co_await say(*held.back(), "", "\r\n\r\n");
    EXPECT_TRUE(heard.starts_with("HTTP/1.1 200 ")) << heard;
  };
  world.run(story());
  server->reset();
  world.loop.drain();
}

TEST_F(Http, ConnectionsAreUsedAgain) {
  auto story = [](HttpHarness& harness) -> sys::Task<void> {
    std::vector<std::string> remotes;
    sys::HttpHandler handler = [&remotes](sys::HttpRequest request) -> sys::Task<sys::HttpResponse> {
      remotes.push_back(request.remote);
      co_return sys::HttpResponse();
    };
    auto server = harness.party(Suite::api()).serve(Suite::where(harness), handler);
    GODWIT_CO_ASSERT_OK(server);
    auto& agent = harness.party(Suite::agent());
    const auto to = Suite::endpoint(harness, **server);
    for (int i = 0; i < 3; ++i) {
      const auto response = co_await agent.call(to, Suite::post("/", "x"), Seconds(10));
      GODWIT_CO_ASSERT_OK(response);
    }
    EXPECT_EQ(agent.kept_connections(), 1U);
    EXPECT_EQ(remotes[0], remotes[2]);
    // Another trust: what was connected under the old one is not used any more.
    std::vector<sys::TrustedCa> none;
    agent.trust(std::move(none));
    EXPECT_EQ(agent.kept_connections(), 0U);
    const auto refused = co_await agent.call(to, Suite::get("/"), Seconds(10));
    GODWIT_CO_ASSERT(!refused);
    EXPECT_EQ(refused.error().code, Errc::not_authentic);
  };
  world.run(story(world));
}

TEST_F(Http, HttpsNeedsACertificate) {
  const auto server = world.party(Suite::person()).serve(Suite::where(world), Suite::echo);
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, Errc::conflict);
}

TEST_F(Http, APortThatIsTakenSaysSo) {
  auto first = world.party(Suite::person()).serve(in_clear(), Suite::echo);
  ASSERT_TRUE(first);
  auto listen = in_clear();
  listen.port = (*first)->port();
  const auto second = world.party(Suite::person()).serve(listen, Suite::echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::conflict);
}

TEST_F(Http, NamesAreResolved) {
  with_server(in_clear(), [](HttpHarness& harness, sys::HttpServer& server) -> sys::Task<void> {
    auto to = Suite::endpoint(harness, server, sys::HttpTls::none);
    to.host = "localhost";
    const auto response = co_await harness.party(Suite::person()).call(to, Suite::get("/"), Seconds(10));
    GODWIT_CO_ASSERT_OK(response);
    EXPECT_EQ(response->status, 200);
  });
}

TEST_F(Http, AUnixSocketCarriesIt) {
  const testing::TempDirectory directory;
  auto listen = in_clear();
  listen.host = directory / "api";
  with_server(listen, [](HttpHarness&, sys::HttpServer&) -> sys::Task<void> { co_return; });
  EXPECT_NE(::access(listen.host.c_str(), F_OK), 0) << "the file is gone with its server";
  auto path = listen.host;
  with_server(listen, [path](HttpHarness& harness, sys::HttpServer&) -> sys::Task<void> {
    sys::HttpEndpoint to;
    to.host = path;
    to.tls = sys::HttpTls::none;
    const auto response = co_await harness.party(Suite::person()).call(to, Suite::get("/u"), Seconds(10));
    GODWIT_CO_ASSERT_OK(response);
    EXPECT_EQ(response->body, "GET /u [] nobody");
  });
}

TEST_F(Http, AServerMayStandInAnotherNetworkNamespace) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const auto name = fmt::format("gwoh{}", ::getpid());
  ASSERT_EQ(::system(fmt::format("ip netns add {0} && ip -n {0} link set lo up", name).c_str()), 0);
  auto listen = in_clear();
  listen.network_namespace = name;
  listen.device = "lo";
  with_server(listen, [name](HttpHarness&, sys::HttpServer& server) -> sys::Task<void> {
    const auto here = co_await raw_dial(server.port());
    EXPECT_FALSE(here) << "nobody listens in our own namespace";
    sys::HttpListen again;
    again.host = "127.0.0.1";
    again.port = server.port();
    const auto ours = listen_tcp({again.host, again.port, {}, {}});
    EXPECT_TRUE(ours) << "this thread came back";
    const auto theirs = listen_tcp({again.host, again.port, name, {}});
    EXPECT_FALSE(theirs) << "the port is taken over there";
  });
  EXPECT_EQ(::system(fmt::format("ip netns del {}", name).c_str()), 0);
}

}  // namespace
}  // namespace godwit::os

namespace godwit::testing {
INSTANTIATE_TYPED_TEST_SUITE_P(System, HttpSuite, os::HttpHarness);
}  // namespace godwit::testing
