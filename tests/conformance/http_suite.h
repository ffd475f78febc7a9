// What every sys::Http does. A harness makes parties:
//   struct Harness {
//     void run(sys::Task<void>);
//     sys::Clock& clock();
//     sys::Executor executor();
//     sys::Http& party(const HostSpec&);   // an empty name: without a certificate
//     std::string address();
//   };
#pragma once

#include "conformance/peer_network_suite.h"
#include "sys/http.h"

#include <gtest/gtest.h>

namespace godwit::testing {

template <class Harness>
class HttpSuite : public ::testing::Test {
 public:
  Harness harness;

  static HostSpec api() { return {"api.cloud-a.godwit", "cloud-a", false, {"cloud-a"}}; }
  static HostSpec agent() { return {"a1.cloud-a.godwit", "cloud-a", false, {"cloud-a"}}; }
  static HostSpec person() { return {"", "", false, {"cloud-a"}}; }

  static sys::HttpListen where(Harness& world, sys::HttpTls tls = sys::HttpTls::server) {
    sys::HttpListen listen;
    listen.host = world.address();
    listen.tls = tls;
    return listen;
  }
  static sys::HttpEndpoint endpoint(Harness& world, const sys::HttpServer& server,
                                    sys::HttpTls tls = sys::HttpTls::server) {
    return {world.address(), server.port(), tls, "api.cloud-a.godwit"};
  }
  static sys::HttpRequest get(std::string path) {
    sys::HttpRequest request;
    request.method = "GET";
    request.path = std::move(path);
    return request;
  }
  static sys::HttpRequest post(std::string path, std::string body) {
    auto request = get(std::move(path));
    request.method = "POST";
    request.body = std::move(body);
    return request;
  }
  // Answers with what it understood: "METHOD path name=value… body peer".
  static sys::Task<sys::HttpResponse> echo(sys::HttpRequest request) {
    sys::HttpResponse response;
    response.body = request.method + " " + request.path;
    for (const auto& [name, value] : request.query) response.body += " " + name + "=" + value;
    response.body += " [" + request.body + "] " + (request.peer ? request.peer->name : "nobody");
    if (request.path == "/missing") response.status = 404;
    co_return response;
  }
};

TYPED_TEST_SUITE_P(HttpSuite);

TYPED_TEST_P(HttpSuite, ARequestArrivesAsItWasMeantAndFromWhom) {
  using Suite = HttpSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    auto server = world.party(Suite::api()).serve(Suite::where(world), Suite::echo);
    GODWIT_CO_ASSERT_OK(server);
    auto request = Suite::post("/v1/a b/\xc3\xa4%", R"({"x":1})");
    request.query = {{"q", "1 & 2=3"}, {"r", ""}};
    const auto to = Suite::endpoint(world, **server);
    const auto from_agent = co_await world.party(Suite::agent()).call(to, request, Seconds(10));
    GODWIT_CO_ASSERT_OK(from_agent);
    EXPECT_EQ(from_agent->status, 200);
    EXPECT_EQ(from_agent->body, "POST /v1/a b/\xc3\xa4% q=1 & 2=3 r= [{\"x\":1}] a1.cloud-a.godwit");
    EXPECT_EQ(from_agent->headers.at("content-type"), "application/json");
    const auto from_person = co_await world.party(Suite::person()).call(to, Suite::get("/missing"), Seconds(10));
    GODWIT_CO_ASSERT_OK(from_person);
    EXPECT_EQ(from_person->status, 404);
    EXPECT_EQ(from_person->body, "GET /missing [] nobody");
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(HttpSuite, HeadersPassBothWays) {
  using Suite = HttpSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    sys::HttpHandler handler = [](sys::HttpRequest request) -> sys::Task<sys::HttpResponse> {
      sys::HttpResponse response;
      response.headers["x-told"] = request.headers["authorization"];
      response.headers["content-type"] = "text/plain";
      co_return response;
    };
    auto server = world.party(Suite::api()).serve(Suite::where(world), handler);
    GODWIT_CO_ASSERT_OK(server);
    auto request = Suite::get("/");
    request.headers["authorization"] = "Bearer gwu_x";
    const auto to = Suite::endpoint(world, **server);
    const auto response = co_await world.party(Suite::person()).call(to, request, Seconds(10));
    GODWIT_CO_ASSERT_OK(response);
    EXPECT_EQ(response->headers.at("x-told"), "Bearer gwu_x");
    EXPECT_EQ(response->headers.at("content-type"), "text/plain");
    request.headers["x-bad"] = "a\r\nx-forged: b";
    const auto refused = co_await world.party(Suite::person()).call(to, request, Seconds(10));
    GODWIT_CO_ASSERT(!refused);
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(HttpSuite, InClearNobodyIsIdentified) {
  using Suite = HttpSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    auto server = world.party(Suite::person()).serve(Suite::where(world, sys::HttpTls::none), Suite::echo);
    GODWIT_CO_ASSERT_OK(server);
    const auto to = Suite::endpoint(world, **server, sys::HttpTls::none);
    const auto response = co_await world.party(Suite::agent()).call(to, Suite::get("/x"), Seconds(10));
    GODWIT_CO_ASSERT_OK(response);
    EXPECT_EQ(response->body, "GET /x [] nobody");
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(HttpSuite, AServerOfAnotherNameOrCloudIsNotAuthentic) {
  using Suite = HttpSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    auto server = world.party(Suite::api()).serve(Suite::where(world), Suite::echo);
    GODWIT_CO_ASSERT_OK(server);
    auto to = Suite::endpoint(world, **server);
    const HostSpec foreign{"", "", false, {"cloud-b"}};
    const auto untrusted = co_await world.party(foreign).call(to, Suite::get("/"), Seconds(10));
    GODWIT_CO_ASSERT(!untrusted);
    EXPECT_EQ(untrusted.error().code, Errc::not_authentic) << untrusted.error().message;
    to.name = "api.cloud-b.godwit";
    const auto misnamed = co_await world.party(Suite::person()).call(to, Suite::get("/"), Seconds(10));
    GODWIT_CO_ASSERT(!misnamed);
    EXPECT_EQ(misnamed.error().code, Errc::not_authentic) << misnamed.error().message;
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(HttpSuite, ACertificateThatIsShownMustHold) {
  using Suite = HttpSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    auto server = world.party(Suite::api()).serve(Suite::where(world), Suite::echo);
    GODWIT_CO_ASSERT_OK(server);
    const HostSpec stranger{"b1.cloud-b.godwit", "cloud-b", false, {"cloud-a"}};
    const auto to = Suite::endpoint(world, **server);
    const auto response = co_await world.party(stranger).call(to, Suite::get("/"), Seconds(10));
    GODWIT_CO_ASSERT(!response);
    EXPECT_EQ(response.error().code, Errc::not_authentic) << response.error().message;
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(HttpSuite, ABodyOverTheLimitIsRefusedWithAnErrorInJson) {
  using Suite = HttpSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    auto listen = Suite::where(world);
    listen.limits.body_bytes = 1000;
    auto server = world.party(Suite::api()).serve(listen, Suite::echo);
    GODWIT_CO_ASSERT_OK(server);
    const auto to = Suite::endpoint(world, **server);
    auto& person = world.party(Suite::person());
    const auto fits = co_await person.call(to, Suite::post("/", std::string(1000, 'x')), Seconds(10));
    GODWIT_CO_ASSERT_OK(fits);
    EXPECT_EQ(fits->status, 200);
    const auto large = co_await person.call(to, Suite::post("/", std::string(3'000'000, 'x')), Seconds(10));
    GODWIT_CO_ASSERT_OK(large);
    EXPECT_EQ(large->status, 413);
    EXPECT_NE(large->body.find(R"({"error":{"code":"exhausted","message":)"), std::string::npos) << large->body;
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(HttpSuite, CallsDoNotWaitForEachOther) {
  using Suite = HttpSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    sys::Signal released(world.executor());
    int waiting = 0;
    sys::HttpHandler handler = [&released, &waiting](sys::HttpRequest request) -> sys::Task<sys::HttpResponse> {
      if (request.path == "/release") released.notify();
      ++waiting;
      if (request.path == "/wait") co_await released.wait();
      co_return sys::HttpResponse();
    };
    auto server = world.party(Suite::api()).serve(Suite::where(world), handler);
    GODWIT_CO_ASSERT_OK(server);
    const auto to = Suite::endpoint(world, **server);
    int answered = 0;
    auto wait = [](sys::Http& http, sys::HttpEndpoint at, int& count) -> sys::Task<void> {
      const auto response = co_await http.call(at, Suite::get("/wait"), Seconds(20));
      if (response) ++count;
    };
    sys::Gate gate(world.executor());
    auto& agent = world.party(Suite::agent());
    for (int i = 0; i < 20; ++i) gate.spawn(wait(agent, to, answered));
    while (waiting < 20) co_await world.clock().sleep_for(Millis(1));
    const auto release = co_await agent.call(to, Suite::get("/release"), Seconds(10));
    GODWIT_CO_ASSERT_OK(release);
    while (gate.running() > 0) co_await world.clock().sleep_for(Millis(1));
    EXPECT_EQ(answered, 20);
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(HttpSuite, EachChunkOfAWatchComesWhenItIsMade) {
  using Suite = HttpSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    sys::Signal seen(world.executor());
    std::vector<std::string> got;
    // The next chunk is made only once the one before has arrived.
    sys::HttpHandler handler = [&seen, &got](sys::HttpRequest) -> sys::Task<sys::HttpResponse> {
      sys::HttpResponse response;
      response.body = "0";
      response.next_chunk = [&seen, &got, made = std::make_shared<std::size_t>(1)]() -> sys::Task<Result<std::string>> {
        while (got.size() < *made) co_await seen.wait();
        if (*made == 4) co_return std::string();
        co_return std::to_string((*made)++);
      };
      co_return response;
    };
    auto server = world.party(Suite::api()).serve(Suite::where(world), handler);
    GODWIT_CO_ASSERT_OK(server);
    std::function<void(std::string)> on_chunk = [&seen, &got](std::string chunk) {
      got.push_back(std::move(chunk));
      seen.notify();
    };
    const auto to = Suite::endpoint(world, **server);
    const auto response = co_await world.party(Suite::person()).watch(to, Suite::get("/"), Seconds(10), on_chunk);
    GODWIT_CO_ASSERT_OK(response);
    EXPECT_EQ(response->body, "");
    EXPECT_EQ(got, (std::vector<std::string>{"0", "1", "2", "3"}));
    got.clear();
    seen.notify();
    // Called, its chunks are joined. Nobody counts what arrives, so say that all has.
    got.resize(4);
    const auto joined = co_await world.party(Suite::person()).call(to, Suite::get("/"), Seconds(10));
    GODWIT_CO_ASSERT_OK(joined);
    EXPECT_EQ(joined->body, "0123");
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(HttpSuite, AWatchThatFailsIsAnErrorToTheWatcher) {
  using Suite = HttpSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    sys::HttpHandler handler = [](sys::HttpRequest) -> sys::Task<sys::HttpResponse> {
      sys::HttpResponse response;
      response.body = "first";
      response.next_chunk = []() -> sys::Task<Result<std::string>> { co_return fail(Errc::internal, "lost"); };
      co_return response;
    };
    auto server = world.party(Suite::api()).serve(Suite::where(world), handler);
    GODWIT_CO_ASSERT_OK(server);
    std::string got;
    std::function<void(std::string)> on_chunk = [&got](std::string chunk) { got += chunk; };
    const auto to = Suite::endpoint(world, **server);
    const auto response = co_await world.party(Suite::person()).watch(to, Suite::get("/"), Seconds(10), on_chunk);
    EXPECT_EQ(got, "first");
    GODWIT_CO_ASSERT(!response);
    EXPECT_EQ(response.error().code, Errc::unavailable) << response.error().message;
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(HttpSuite, AWatchEndsWhenItsWatcherIsGone) {
  using Suite = HttpSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    bool ended = false;
    sys::HttpHandler handler = [&world, &ended](sys::HttpRequest) -> sys::Task<sys::HttpResponse> {
      sys::HttpResponse response;
      response.body = "0";
      response.next_chunk = [&world, &ended]() -> sys::Task<Result<std::string>> {
        struct AtEnd {
          bool& flag;
          ~AtEnd() { flag = true; }
        };
        AtEnd at_end{ended};
        co_await world.clock().sleep_for(Seconds(3600));
        co_return std::string();
      };
      co_return response;
    };
    auto server = world.party(Suite::api()).serve(Suite::where(world), handler);
    GODWIT_CO_ASSERT_OK(server);
    const auto to = Suite::endpoint(world, **server);
    const auto response =
        co_await world.party(Suite::person()).watch(to, Suite::get("/"), Millis(50), [](const std::string&) {});
    GODWIT_CO_ASSERT(!response);
    EXPECT_EQ(response.error().code, Errc::timed_out);
    while (!ended) co_await world.clock().sleep_for(Millis(1));
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(HttpSuite, ACallEndsAtItsLimit) {
  using Suite = HttpSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    sys::HttpHandler handler = [&world](sys::HttpRequest) -> sys::Task<sys::HttpResponse> {
      co_await world.clock().sleep_for(Seconds(3600));
      co_return sys::HttpResponse();
    };
    auto server = world.party(Suite::api()).serve(Suite::where(world), handler);
    GODWIT_CO_ASSERT_OK(server);
    const auto to = Suite::endpoint(world, **server);
    const auto response = co_await world.party(Suite::agent()).call(to, Suite::get("/"), Millis(100));
    GODWIT_CO_ASSERT(!response);
    EXPECT_EQ(response.error().code, Errc::timed_out);
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(HttpSuite, AServerThatClosesIsUnavailableAlsoToCallsInFlight) {
  using Suite = HttpSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    bool reached = false;
    sys::HttpHandler handler = [&world, &reached](sys::HttpRequest) -> sys::Task<sys::HttpResponse> {
      reached = true;
      co_await world.clock().sleep_for(Seconds(3600));
      co_return sys::HttpResponse();
    };
    auto server = world.party(Suite::api()).serve(Suite::where(world), handler);
    GODWIT_CO_ASSERT_OK(server);
    const auto to = Suite::endpoint(world, **server);
    auto call = [](sys::Http& http, sys::HttpEndpoint at) -> sys::Task<void> {
      const auto response = co_await http.call(at, Suite::post("/", "x"), Seconds(20));
      GODWIT_CO_ASSERT(!response);
      EXPECT_EQ(response.error().code, Errc::unavailable) << response.error().message;
    };
    sys::Gate gate(world.executor());
    gate.spawn(call(world.party(Suite::agent()), to));
    while (!reached) co_await world.clock().sleep_for(Millis(1));
    server->reset();
    while (gate.running() > 0) co_await world.clock().sleep_for(Millis(1));
    const auto after = co_await world.party(Suite::agent()).call(to, Suite::get("/"), Seconds(10));
    GODWIT_CO_ASSERT(!after);
    EXPECT_EQ(after.error().code, Errc::unavailable) << after.error().message;
  };
  this->harness.run(story(this->harness));
}

TYPED_TEST_P(HttpSuite, AServerThatCameBackIsCalledAgainWithoutAnError) {
  using Suite = HttpSuite<TypeParam>;
  auto story = [](TypeParam& world) -> sys::Task<void> {
    auto listen = Suite::where(world);
    auto server = world.party(Suite::api()).serve(listen, Suite::echo);
    GODWIT_CO_ASSERT_OK(server);
    const auto to = Suite::endpoint(world, **server);
    auto& agent = world.party(Suite::agent());
    const auto before = co_await agent.call(to, Suite::post("/", "1"), Seconds(10));
    GODWIT_CO_ASSERT_OK(before);
    listen.port = (*server)->port();
    server->reset();
    server = world.party(Suite::api()).serve(listen, Suite::echo);
    GODWIT_CO_ASSERT_OK(server);
    const auto after = co_await agent.call(to, Suite::get("/"), Seconds(10));
    GODWIT_CO_ASSERT_OK(after);
    EXPECT_EQ(after->status, 200);
  };
  this->harness.run(story(this->harness));
}

REGISTER_TYPED_TEST_SUITE_P(HttpSuite, ARequestArrivesAsItWasMeantAndFromWhom, HeadersPassBothWays,
                            InClearNobodyIsIdentified, AServerOfAnotherNameOrCloudIsNotAuthentic,
                            ACertificateThatIsShownMustHold, ABodyOverTheLimitIsRefusedWithAnErrorInJson,
                            CallsDoNotWaitForEachOther, EachChunkOfAWatchComesWhenItIsMade,
                            AWatchThatFailsIsAnErrorToTheWatcher, AWatchEndsWhenItsWatcherIsGone, ACallEndsAtItsLimit,
                            AServerThatClosesIsUnavailableAlsoToCallsInFlight,
                            AServerThatCameBackIsCalledAgainWithoutAnError);

}  // namespace godwit::testing
