#include "sky/cloud_client.h"

namespace godwit::sky {
namespace {

struct Call {
  sys::Http* http;
  sys::HttpEndpoint endpoint;
  std::string cloud;
  sys::HttpRequest request;
  Seconds limit{kCloudCallLimit};
};

Call call_of(sys::Http* http, const sys::HttpEndpoint& endpoint, const std::string& cloud, const std::string& token,
             std::string method, std::string path, std::string body = {}) {
  Call call{http, endpoint, cloud, {}, kCloudCallLimit};
  call.request.method = std::move(method);
  call.request.path = std::move(path);
  call.request.body = std::move(body);
  call.request.headers["authorization"] = "Bearer " + token;
  return call;
}

// The body of a 2xx answer.
sys::Task<Result<std::string>> body_of(Call call) {
  const auto what = fmt::format("{}: {} {}", call.cloud, call.request.method, call.request.path);
  const auto url = sys::to_url(call.endpoint);
  auto answer = co_await call.http->call(std::move(call.endpoint), std::move(call.request), call.limit);
  if (!answer) {
    const auto& error = answer.error();
    if (error.code == Errc::not_authentic) co_return fail(answer, what);
    co_return fail(error.code, "cloud {} can't be reached at {}: {}", call.cloud, url, error.message);
  }
  if (answer->status / 100 != 2) {
    co_return std::unexpected(wire::error_of(answer->status, answer->body).within(call.cloud));
  }
  co_return std::move(answer->body);
}

template <class T>
sys::Task<Result<T>> ask(Call call) {
  const auto what = fmt::format("{}: {} {}", call.cloud, call.request.method, call.request.path);
  const auto body = co_await body_of(std::move(call));
  if (!body) co_return pass(body);
  auto answer = wire::decode<T>(*body);
  if (!answer) co_return fail(Errc::protocol, "{}: the answer: {}", what, answer.error().message);
  co_return std::move(*answer);
}

sys::Task<Result<>> tell(Call call) {
  const auto body = co_await body_of(std::move(call));
  if (!body) co_return pass(body);
  co_return Result<>{};
}

}  // namespace

sys::Task<Result<wire::CloudView>> CloudClient::view() const {
  return ask<wire::CloudView>(call_of(http_, endpoint_, cloud_, token_, "GET", "/v1/cloud"));
}

sys::Task<Result<wire::HostList>> CloudClient::hosts() const {
  return ask<wire::HostList>(call_of(http_, endpoint_, cloud_, token_, "GET", "/v1/hosts"));
}

sys::Task<Result<wire::Network>> CloudClient::put_network(const wire::Network& network) const {
  return ask<wire::Network>(
      call_of(http_, endpoint_, cloud_, token_, "PUT", "/v1/networks/" + network.id, wire::encode(network)));
}

sys::Task<Result<wire::Network>> CloudClient::network(const std::string& id) const {
  return ask<wire::Network>(call_of(http_, endpoint_, cloud_, token_, "GET", "/v1/networks/" + id));
}

sys::Task<Result<wire::NetworkObservation>> CloudClient::observation(const std::string& network) const {
  return ask<wire::NetworkObservation>(
      call_of(http_, endpoint_, cloud_, token_, "GET", "/v1/networks/" + network + "/observation"));
}

sys::Task<Result<>> CloudClient::put_peers(const std::string& network, const wire::NetworkPeers& peers) const {
  return tell(
      call_of(http_, endpoint_, cloud_, token_, "PUT", "/v1/networks/" + network + "/peers", wire::encode(peers)));
}

sys::Task<Result<>> CloudClient::delete_network(const std::string& id) const {
  return tell(call_of(http_, endpoint_, cloud_, token_, "DELETE", "/v1/networks/" + id));
}

sys::Task<Result<wire::InstanceView>> CloudClient::run(const wire::RunInstanceRequest& request) const {
  return ask<wire::InstanceView>(
      call_of(http_, endpoint_, cloud_, token_, "POST", "/v1/instances", wire::encode(request)));
}

sys::Task<Result<wire::InstanceList>> CloudClient::instances() const {
  return ask<wire::InstanceList>(call_of(http_, endpoint_, cloud_, token_, "GET", "/v1/instances"));
}

sys::Task<Result<wire::InstanceView>> CloudClient::instance(const std::string& id) const {
  return ask<wire::InstanceView>(call_of(http_, endpoint_, cloud_, token_, "GET", "/v1/instances/" + id));
}

sys::Task<Result<>> CloudClient::terminate(const std::string& id) const {
  return tell(call_of(http_, endpoint_, cloud_, token_, "DELETE", "/v1/instances/" + id));
}

sys::Task<Result<wire::SnapshotView>> CloudClient::snapshot(const std::string& instance,
                                                            const wire::SnapshotRequest& request) const {
  return ask<wire::SnapshotView>(call_of(http_, endpoint_, cloud_, token_, "POST",
                                         "/v1/instances/" + instance + "/snapshot", wire::encode(request)));
}

sys::Task<Result<wire::SnapshotList>> CloudClient::snapshots() const {
  return ask<wire::SnapshotList>(call_of(http_, endpoint_, cloud_, token_, "GET", "/v1/snapshots"));
}

sys::Task<Result<wire::TicketGrant>> CloudClient::ticket(const wire::TicketRequest& request) const {
  return ask<wire::TicketGrant>(
      call_of(http_, endpoint_, cloud_, token_, "POST", "/v1/tickets", wire::encode(request)));
}

sys::Task<Result<>> CloudClient::migrate(const std::string& instance, const wire::MigrateRequest& request) const {
  return tell(call_of(http_, endpoint_, cloud_, token_, "POST", "/v1/instances/" + instance + "/migrate",
                      wire::encode(request)));
}

sys::Task<Result<wire::MigrationReport>> CloudClient::migration(const std::string& id) const {
  return ask<wire::MigrationReport>(call_of(http_, endpoint_, cloud_, token_, "GET", "/v1/migrations/" + id));
}

sys::Task<Result<>> CloudClient::cancel(const std::string& migration) const {
  return tell(call_of(http_, endpoint_, cloud_, token_, "POST", "/v1/migrations/" + migration + "/cancel", "{}"));
}

sys::Task<Result<>> CloudClient::fence(const std::string& instance, const wire::FenceRequest& request) const {
  return tell(call_of(http_, endpoint_, cloud_, token_, "POST", "/v1/instances/" + instance + "/resolve",
                      wire::encode(request)));
}

sys::Task<Result<wire::CloudImageList>> CloudClient::images() const {
  return ask<wire::CloudImageList>(call_of(http_, endpoint_, cloud_, token_, "GET", "/v1/images"));
}

sys::Task<Result<>> CloudClient::name_image(const wire::ImageName& name) const {
  return tell(call_of(http_, endpoint_, cloud_, token_, "PUT", "/v1/images/" + name.name, wire::encode(name)));
}

sys::Task<Result<>> CloudClient::remove_image(const std::string& name) const {
  return tell(call_of(http_, endpoint_, cloud_, token_, "DELETE", "/v1/images/" + name));
}

sys::Task<Result<wire::CloudImageCheck>> CloudClient::check_image(const std::string& name, bool begins) const {
  return ask<wire::CloudImageCheck>(
      call_of(http_, endpoint_, cloud_, token_, begins ? "POST" : "GET", "/v1/images/" + name + "/check"));
}

sys::Task<Result<std::string>> CloudClient::image_call(std::string method, std::string path, std::string body) const {
  auto call = call_of(http_, endpoint_, cloud_, token_, std::move(method), std::move(path), std::move(body));
  call.limit = kImageCallLimit;
  return body_of(std::move(call));
}

}  // namespace godwit::sky
