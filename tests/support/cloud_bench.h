// One cloud behind its API, without sockets, disks or waiting: requests go straight to the handler, time is moved by
// hand, and the cloud can be thrown away and opened again on the same database.
#pragma once

#include "api/cloud_routes.h"
#include "crypto/digest.h"
#include "support/counting_random.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <memory>
#include <optional>
#include <string>

namespace godwit::testing {

// Stands still until advance() is called.
class HandClock final : public sys::Clock {
 public:
  explicit HandClock(boost::asio::io_context& context) : context_(context) {}

  [[nodiscard]] TimePoint now() const override { return TimePoint(since_start_); }
  [[nodiscard]] WallTime wall_now() const override {
    return WallTime(Millis(1'800'000'000'000)) + std::chrono::duration_cast<Millis>(since_start_);
  }
  [[nodiscard]] sys::Task<void> sleep_until(TimePoint deadline) override {
    while (now() < deadline) {
      const auto timer = sleepers_.emplace(sleepers_.end(), context_, boost::asio::steady_timer::time_point::max());
      const Removal removal{sleepers_, timer};
      boost::system::error_code woken;
      co_await timer->async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, woken));
      const auto cancelled = (co_await boost::asio::this_coro::cancellation_state).cancelled();
      if (cancelled != boost::asio::cancellation_type::none) {
        throw boost::system::system_error(boost::asio::error::operation_aborted);
      }
    }
  }
  void advance(Nanos span) {
    since_start_ += span;
    for (auto& sleeper : sleepers_) sleeper.cancel();
  }

 private:
  using Sleepers = std::list<boost::asio::steady_timer>;
  struct Removal {
    Sleepers& all;
    Sleepers::iterator one;
    ~Removal() { all.erase(one); }
  };
  boost::asio::io_context& context_;
  Nanos since_start_{Seconds{1000}};
  Sleepers sleepers_;
};

// Remembers whom it was told to trust.
class TrustingHttp final : public sys::Http {
 public:
  void trust(std::vector<sys::TrustedCa> authorities) override { trusted = std::move(authorities); }
  Result<std::unique_ptr<sys::HttpServer>> serve(const sys::HttpListen&, sys::HttpHandler) override {
    return fail(Errc::unsupported, "this test has no sockets");
  }
  sys::Task<Result<sys::HttpResponse>> call(sys::HttpEndpoint, sys::HttpRequest, Nanos) override {
    co_return fail(Errc::unavailable, "this test has no sockets");
  }
  sys::Task<Result<sys::HttpResponse>> watch(sys::HttpEndpoint, sys::HttpRequest, Nanos,
                                             std::function<void(std::string)>) override {
    co_return fail(Errc::unavailable, "this test has no sockets");
  }
  std::vector<sys::TrustedCa> trusted;
};

// What all clouds of a test share. Outlives them.
struct Sphere {
  boost::asio::io_context context{1};
  HandClock clock{context};
  CountingRandom random;

  void settle() {
    context.restart();
    context.poll();
  }
  void advance(Nanos span) {
    clock.advance(span);
    settle();
  }
};

using Answer = std::shared_ptr<std::optional<sys::HttpResponse>>;  // empty while the request waits

class CloudBench {
 public:
  CloudBench(Sphere& sphere, const std::string& name) : sphere_(sphere), keys_(make_keys(sphere, name)) {
    cloud::Settings settings;
    settings.name = name;
    settings.api_url = "https://192.0.2.1:7443";
    EXPECT_TRUE(cloud::save_settings(*database_, settings));
    open();
  }

  // A crash and a new start: only the database stays.
  void restart() {
    routes_.reset();
    cloud_.reset();
    open();
  }

  [[nodiscard]] cloud::Cloud& cloud() { return *cloud_; }
  [[nodiscard]] cloud::Database& database() { return *database_; }
  [[nodiscard]] const api::Router& router() const { return routes_->router(); }
  [[nodiscard]] const std::string& name() const { return cloud_->core().name(); }
  [[nodiscard]] const std::string& ca() const { return keys_.authority_pem; }
  [[nodiscard]] const std::vector<sys::TrustedCa>& trusted() const { return http_.trusted; }

  // A tenant's new bearer token.
  std::string add_user(const std::string& tenant, wire::Quota quota = {}, bool is_operator = false) {
    EXPECT_TRUE(cloud_->accounts().put_tenant(tenant, quota, is_operator));
    return cloud_->accounts().issue_token(tenant).value();
  }
  void add_image(const std::string& image, const std::string& sha256) {
    EXPECT_TRUE(database_->write(cloud::Durability::full, [&](cloud::Sql& sql) -> Result<> {
      put(sql, cloud::ImageRow{"", image, sha256, "/images/" + image, "", ""});
      return {};
    }));
  }

  // ---- requests

  Answer begin(sys::HttpRequest request) {
    const auto answer = std::make_shared<std::optional<sys::HttpResponse>>();
    auto handle = [](CloudBench* bench, sys::HttpRequest asked, Answer into) -> sys::Task<void> {
      *into = co_await bench->routes_->handler()(std::move(asked));
    };
    boost::asio::co_spawn(sphere_.context, handle(this, std::move(request), answer), boost::asio::detached);
    sphere_.settle();
    return answer;
  }
  sys::HttpResponse ask(sys::HttpRequest request) {
    const auto answer = begin(std::move(request));
    EXPECT_TRUE(*answer) << "the request waits";
    return *answer ? std::move(**answer) : sys::HttpResponse{};
  }

  static sys::HttpRequest as_user(const std::string& token, std::string method, std::string path,
                                  std::string body = {}) {
    sys::HttpRequest request;
    request.method = std::move(method);
    request.path = std::move(path);
    request.body = std::move(body);
    request.headers["authorization"] = "Bearer " + token;
    return request;
  }
  // As a host of `cloud`, with the certificate that this bench takes for that host's.
  static sys::HttpRequest as_host(const std::string& host, const std::string& cloud, std::string path,
                                  std::string body = "{}") {
    sys::HttpRequest request;
    request.method = "POST";
    request.path = std::move(path);
    request.body = std::move(body);
    request.peer = sys::PeerIdentity{cloud::certificate_name(host, cloud), cloud, key_of(host)};
    return request;
  }
  static std::string key_of(const std::string& host) { return crypto::sha256_hex(as_bytes(host)); }

  template <class T = wire::json::value>
  Result<T> told(sys::HttpRequest request) {
    const auto response = ask(std::move(request));
    if (response.status / 100 != 2) return std::unexpected(wire::error_of(response.status, response.body));
    return wire::decode<T>(response.body);
  }

  // Whoever has it can say anything in this cloud's name.
  [[nodiscard]] const crypto::Key& authority() const { return keys_.authority; }

  Result<wire::DesiredState> sync(wire::HostReport report) {
    const auto host = report.host;
    return told<wire::DesiredState>(as_host(host, name(), "/v1/agent/sync", wire::encode(report)));
  }

 private:
  static cloud::Keys make_keys(Sphere& sphere, const std::string& name) {
    auto key = crypto::Key::generate().value();
    const auto now = sphere.clock.wall_now();
    auto pem = crypto::make_authority(key, name, {now, now + std::chrono::hours(24 * 365)}, sphere.random).value();
    return {std::move(key), std::move(pem), crypto::TicketSigner::generate(sphere.random)};
  }
  void open() {
    cloud_ = cloud::Cloud::open(
                 {sphere_.context.get_executor(), sphere_.clock, sphere_.random, http_, *database_, keys_, Log{}})
                 .value();
    routes_ = std::make_unique<api::CloudRoutes>(*cloud_);
  }

  Sphere& sphere_;
  TrustingHttp http_;
  std::unique_ptr<cloud::Database> database_{cloud::Database::open(":memory:").value()};
  cloud::Keys keys_;
  std::unique_ptr<cloud::Cloud> cloud_;
  std::unique_ptr<api::CloudRoutes> routes_;
};

}  // namespace godwit::testing
