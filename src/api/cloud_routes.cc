#include "api/cloud_routes.h"

#include "api/image_routes.h"

#include <algorithm>
#include <set>

namespace godwit::api {
namespace {

using cloud::Cloud;
using cloud::HostIdentity;
using cloud::User;

// A stream repeats its last line so often when nothing changes: the caller sees that it is alive.
constexpr Seconds kWatchHeartbeat{10};

template <class Request, class Answer>
Route declared(std::string method, std::string pattern, Caller caller, std::string summary) {
  Route route;
  route.method = std::move(method);
  route.pattern = std::move(pattern);
  route.caller = caller;
  route.summary = std::move(summary);
  if constexpr (!std::is_same_v<Request, Nothing>) route.request = type_ref<Request>();
  route.answer = type_ref<std::conditional_t<std::is_void_v<Answer>, Nothing, Answer>>();
  return route;
}

sys::Task<Result<sys::HttpResponse>> at_once(Result<sys::HttpResponse> response) { co_return response; }

// body(user, call, request) -> Result<Answer>
template <class Request, class Answer, class Body>
Route for_user(Cloud& cloud, std::string method, std::string pattern, std::string summary, Body body,
               std::size_t limit_bytes = kUsualBodyBytes) {
  auto route = declared<Request, Answer>(std::move(method), std::move(pattern), Caller::user, std::move(summary));
  route.handler = [&cloud, body, limit_bytes](Call call) {
    const auto respond = [&]() -> Result<sys::HttpResponse> {
      const auto user = cloud.accounts().user_of(call.bearer_token());
      if (!user) return pass(user);
      const auto request = decode_body<Request>(call, limit_bytes);
      if (!request) return pass(request);
      return encode_answer(Result<Answer>(body(*user, call, *request)));
    };
    return at_once(respond());
  };
  return route;
}

// body(host, call, request) -> Result<Answer>
template <class Request, class Answer, class Body>
Route for_host(Cloud& cloud, std::string method, std::string pattern, std::string summary, Body body,
               std::size_t limit_bytes = kUsualBodyBytes) {
  auto route = declared<Request, Answer>(std::move(method), std::move(pattern), Caller::host, std::move(summary));
  route.handler = [&cloud, body, limit_bytes](Call call) {
    const auto respond = [&]() -> Result<sys::HttpResponse> {
      const auto host = cloud.accounts().host_of(call.request.peer);
      if (!host) return pass(host);
      const auto request = decode_body<Request>(call, limit_bytes);
      if (!request) return pass(request);
      return encode_answer(Result<Answer>(body(*host, call, *request)));
    };
    return at_once(respond());
  };
  return route;
}

sys::Task<Result<sys::HttpResponse>> sync(Cloud* cloud, Call call) {
  auto host = cloud->accounts().host_of(call.request.peer);
  if (!host) co_return pass(host);
  auto report = decode_body<wire::HostReport>(call, kLargeBodyBytes);
  if (!report) co_return pass(report);
  const auto desired = co_await cloud->hosts().sync(std::move(*host), std::move(*report));
  co_return encode_answer(desired);
}

// The lines of one watch. Shared by the calls of next_chunk, which the server makes one after the other.
struct Watch {
  Cloud& cloud;
  User user;
  std::string id;
  std::string last;
  bool ended{false};
};

sys::Task<Result<std::string>> next_line(std::shared_ptr<Watch> watch) {
  auto& core = watch->cloud.core();
  const auto heartbeat = core.clock().now() + kWatchHeartbeat;
  while (!watch->ended) {
    const auto report = watch->cloud.migrations().get(watch->user, watch->id);
    if (!report) co_return pass(report);
    const auto ended = watch->cloud.migrations().ended(watch->user, watch->id);
    if (!ended) co_return pass(ended);
    watch->ended = *ended;
    auto line = wire::encode(*report) + "\n";
    if (line != watch->last || core.clock().now() >= heartbeat) {
      watch->last = line;
      co_return std::move(line);
    }
    if (!watch->ended) co_await core.changed().wait_until(core.clock(), heartbeat);
  }
  co_return std::string();
}

sys::Task<Result<sys::HttpResponse>> name_image(Cloud* cloud, cloud::Depot* depot, Call call) {
  auto user = cloud->accounts().user_of(call.bearer_token());
  if (!user) co_return pass(user);
  auto name = decode_body<wire::ImageName>(call);
  if (!name) co_return pass(name);
  if (!depot) co_return fail(Errc::unsupported, "no images are kept here");
  name->name = call.id();
  const auto named = co_await depot->name(std::move(*user), std::move(*name));
  co_return encode_answer(named);
}

// A user's images may be put together of what that user may run; what a host brings, since it was asked to, of whatever
// is here: hosts have it all.
Result<image::IntakeCaller> caller_of(Cloud& cloud, const cloud::Depot* depot, const Call& call) {
  if (call.bearer_token().empty() && call.request.peer) {
    const auto host = cloud.accounts().host_of(call.request.peer);
    if (!host) return pass(host);
    const auto awaited = cloud.snapshots().check_awaited(*host);
    if (!awaited) return pass(awaited);
    return image::IntakeCaller{"host " + host->name, {}};
  }
  const auto user = cloud.accounts().user_of(call.bearer_token());
  if (!user) return pass(user);
  if (!depot) return fail(Errc::unsupported, "no images are kept here");
  return depot->caller(*user);
}

// Those that mean nothing to the user.
Result<> leave_out_images(Cloud& cloud, const User& user, wire::HostList& list) {
  const auto own = cloud.images().list(user);
  if (!own) return pass(own);
  std::set<std::pair<std::string, std::string>> known;
  for (const auto& each : *own) known.emplace(each.name, each.sha256);
  const auto unknown = [&](const auto& image) { return !known.contains({image.name, image.sha256}); };
  for (auto& host : list.hosts) {
    std::erase_if(host.images, unknown);
    std::erase_if(host.arrivals, unknown);
  }
  return {};
}

}  // namespace

ApiTitle cloud_api_title() {
  return {"Godwit cloud",
          "The native API of one cloud. Hosts show the client certificate that they joined with; people and their sky "
          "a bearer token. A field that is left out keeps its default; one that is not known is passed over."};
}

CloudRoutes::CloudRoutes(cloud::Cloud& cloud, cloud::Depot* depot) : cloud_(cloud) {
  add_agent_routes();
  add_cloud_routes();
  add_image_routes(depot);
  add_instance_routes();
  add_migration_routes();
  add_network_routes();
}

void CloudRoutes::add_agent_routes() {
  auto sync_route = declared<wire::HostReport, wire::DesiredState>(
      "POST", "/v1/agent/sync", Caller::host,
      "Takes the report of a host; answers with its desired state when that is another than seen_generation");
  sync_route.handler = [cloud = &cloud_](Call call) { return sync(cloud, std::move(call)); };
  router_.add(std::move(sync_route));

  router_.add(for_host<wire::Observation, void>(
      cloud_, "POST", "/v1/agent/observation", "Takes what a host's switch saw in its last interval",
      [this](const HostIdentity& host, const Call&, const wire::Observation& seen) {
        return cloud_.observations().take(host, seen);
      },
      kLargeBodyBytes));
  router_.add(for_host<wire::RedeemRequest, wire::RedeemAnswer>(
      cloud_, "POST", "/v1/agent/tickets/redeem", "Redeems a ticket of this cloud, once, for the host that it names",
      [this](const HostIdentity& host, const Call&, const wire::RedeemRequest& request) {
        return cloud_.tickets().redeem(host, request);
      }));
  router_.add(
      for_host<Nothing, wire::DecisionAnswer>(cloud_, "POST", "/v1/agent/migrations/{id}/release",
                                              "The source's agent has voted released; answers with this cloud's vote",
                                              [this](const HostIdentity& host, const Call& call, const Nothing&) {
                                                return cloud_.migrations().release(host, call.id());
                                              }));
  router_.add(
      for_host<Nothing, wire::DecisionAnswer>(cloud_, "POST", "/v1/agent/migrations/{id}/abort",
                                              "The source's agent has voted aborted; answers with this cloud's vote",
                                              [this](const HostIdentity& host, const Call& call, const Nothing&) {
                                                return cloud_.migrations().abort(host, call.id());
                                              }));

  auto resolve = declared<Nothing, wire::DecisionAnswer>(
      "POST", "/v1/peer/migrations/{id}/resolve", Caller::destination_host,
      "The destination's agent asks for this cloud's vote, which is cast aborted when there is none yet");
  resolve.handler = [this](Call call) {
    return at_once(encode_answer(cloud_.migrations().resolve(call.request.peer, call.id())));
  };
  router_.add(std::move(resolve));

  auto join = declared<wire::JoinRequest, wire::JoinAnswer>("POST", "/v1/join", Caller::joining_host,
                                                            "Gives a host its certificate for a join token");
  join.handler = [this](Call call) {
    const auto request = decode_body<wire::JoinRequest>(call);
    if (!request) return at_once(pass(request));
    return at_once(encode_answer(cloud_.accounts().join(call.bearer_token(), *request)));
  };
  router_.add(std::move(join));
}

void CloudRoutes::add_cloud_routes() {
  router_.add(for_user<Nothing, wire::CloudView>(
      cloud_, "GET", "/v1/cloud", "The cloud, its CA and prices, and the caller's quota",
      [this](const User& user, const Call&, const Nothing&) { return cloud_.accounts().view(user); }));
  router_.add(for_user<Nothing, wire::HostList>(
      cloud_, "GET", "/v1/hosts", "The hosts and the room on them",
      [this](const User& user, const Call&, const Nothing&) -> Result<wire::HostList> {
        auto list = cloud_.hosts().list();
        if (list && user.is_operator) cloud_.observations().add_hints(*list);
        if (list && !user.is_operator) {
          const auto kept = leave_out_images(cloud_, user, *list);
          if (!kept) return pass(kept);
        }
        return list;
      }));
  auto join_tokens = for_user<wire::JoinTokenRequest, wire::JoinToken>(
      cloud_, "POST", "/v1/join-tokens", "Makes a token with which the host may join, once",
      [this](const User& user, const Call&, const wire::JoinTokenRequest& request) -> Result<wire::JoinToken> {
        if (!user.is_operator) return fail(Errc::denied, "join token: {} is no operator of this cloud", user.tenant);
        return cloud_.accounts().issue_join_token(request);
      });
  join_tokens.caller = Caller::operator_user;
  router_.add(std::move(join_tokens));
}

void CloudRoutes::add_image_routes(cloud::Depot* depot) {
  router_.add(for_user<Nothing, wire::CloudImageList>(cloud_, "GET", "/v1/images",
                                                      "The images that instances can be made of here",
                                                      [this, depot](const User& user, const Call&, const Nothing&) {
                                                        return depot ? depot->view(user) : cloud_.images().view(user);
                                                      }));
  const auto with_places = [this, depot](Result<wire::CloudImageCheck> check) {
    if (!check) return check;
    for (auto& place : check->places) place.alive = cloud_.hosts().alive(place.host);
    if (depot) check = depot->with_own(std::move(*check));
    return check;
  };
  router_.add(for_user<Nothing, wire::CloudImageCheck>(
      cloud_, "POST", "/v1/images/{id}/check",
      "Asks store and hosts to audit an image, once a minute at most; what is bad comes again",
      [this, with_places](const User& user, const Call& call, const Nothing&) {
        return with_places(cloud_.images().begin_check(user, call.id()));
      }));
  router_.add(for_user<Nothing, wire::CloudImageCheck>(
      cloud_, "GET", "/v1/images/{id}/check", "What the audits of an image found, at each place that has it",
      [this, with_places](const User& user, const Call& call, const Nothing&) {
        return with_places(cloud_.images().look_at_check(user, call.id()));
      }));
  auto name = declared<wire::ImageName, void>(
      "PUT", "/v1/images/{id}", Caller::user,
      "Names a content that is whole here, for its user; for everybody where an operator does it");
  name.handler = [cloud = &cloud_, depot](Call call) { return name_image(cloud, depot, std::move(call)); };
  router_.add(std::move(name));
  router_.add(for_user<Nothing, void>(
      cloud_, "DELETE", "/v1/images/{id}", "Forgets the name; instances that run of the image keep it",
      [this, depot](const User& user, const Call& call, const Nothing&) {
        return depot ? depot->remove(user, call.id()) : cloud_.images().remove(user, call.id());
      }));
  add_image_content_routes(router_, depot ? &depot->intake() : nullptr,
                           [cloud = &cloud_, depot](const Call& call) { return caller_of(*cloud, depot, call); });
  add_image_outlet_routes(router_, depot ? &depot->outlet() : nullptr,
                          [cloud = &cloud_, depot](const Call& call) { return caller_of(*cloud, depot, call); });
}

void CloudRoutes::add_instance_routes() {
  auto& instances = cloud_.instances();
  router_.add(for_user<Nothing, wire::InstanceList>(
      cloud_, "GET", "/v1/instances", "The caller's instances that are or were here and are not terminated",
      [&instances](const User& user, const Call&, const Nothing&) { return instances.list(user); }));
  router_.add(for_user<wire::RunInstanceRequest, wire::InstanceView>(
      cloud_, "POST", "/v1/instances", "Runs an instance; asked twice with one id and content it runs one",
      [&instances](const User& user, const Call&, const wire::RunInstanceRequest& request) {
        return instances.run(user, request);
      }));
  router_.add(for_user<Nothing, wire::InstanceView>(
      cloud_, "GET", "/v1/instances/{id}", "One instance",
      [&instances](const User& user, const Call& call, const Nothing&) { return instances.get(user, call.id()); }));
  router_.add(for_user<Nothing, wire::InstanceView>(cloud_, "DELETE", "/v1/instances/{id}",
                                                    "Terminates the instance and deletes its disk",
                                                    [&instances](const User& user, const Call& call, const Nothing&) {
                                                      return instances.terminate(user, call.id());
                                                    }));
  router_.add(for_user<Nothing, wire::InstanceView>(
      cloud_, "POST", "/v1/instances/{id}/stop", "Stops the instance and keeps its disk",
      [&instances](const User& user, const Call& call, const Nothing&) { return instances.stop(user, call.id()); }));
  router_.add(for_user<wire::SnapshotRequest, wire::SnapshotView>(
      cloud_, "POST", "/v1/instances/{id}/snapshot",
      "Makes an image of an instance's disk as it is now, running or stopped; asked twice with one id and content it "
      "makes one",
      [this](const User& user, const Call& call, const wire::SnapshotRequest& request) {
        return cloud_.snapshots().take(user, call.id(), request);
      }));
  router_.add(for_user<Nothing, wire::SnapshotList>(
      cloud_, "GET", "/v1/snapshots", "The caller's snapshots that are under way, and those of the last day",
      [this](const User& user, const Call&, const Nothing&) { return cloud_.snapshots().list(user); }));
  router_.add(for_user<Nothing, wire::InstanceView>(
      cloud_, "POST", "/v1/instances/{id}/start", "Starts a stopped instance",
      [&instances](const User& user, const Call& call, const Nothing&) { return instances.start(user, call.id()); }));
}

void CloudRoutes::add_migration_routes() {
  auto& migrations = cloud_.migrations();
  router_.add(for_user<wire::TicketRequest, wire::TicketGrant>(
      cloud_, "POST", "/v1/tickets", "Admits an instance of another cloud: holds room for it and signs a ticket",
      [this](const User& user, const Call&, const wire::TicketRequest& request) {
        return cloud_.tickets().issue(user, request);
      }));
  router_.add(for_user<wire::MigrateRequest, wire::MigrationReport>(
      cloud_, "POST", "/v1/instances/{id}/migrate", "Sends an instance to the host for which the ticket is",
      [&migrations](const User& user, const Call& call, const wire::MigrateRequest& request) {
        return migrations.start(user, call.id(), request);
      }));
  router_.add(for_user<wire::FenceRequest, wire::MigrationReport>(
      cloud_, "POST", "/v1/instances/{id}/resolve",
      "Says who has an instance that is in doubt: a person has made sure that the losing side is dead",
      [&migrations](const User& user, const Call& call, const wire::FenceRequest& request) {
        return migrations.fence(user, call.id(), request);
      }));
  auto show = declared<Nothing, wire::MigrationReport>("GET", "/v1/migrations/{id}", Caller::user,
                                                       "This cloud's side of a migration");
  show.stream_of = "watch";
  show.handler = [this](Call call) {
    const auto user = cloud_.accounts().user_of(call.bearer_token());
    if (!user) return at_once(pass(user));
    return at_once(show_migration(*user, call));
  };
  router_.add(std::move(show));
  router_.add(for_user<Nothing, wire::MigrationReport>(
      cloud_, "POST", "/v1/migrations/{id}/cancel", "Asks the source to give the migration up",
      [&migrations](const User& user, const Call& call, const Nothing&) {
        return migrations.cancel(user, call.id());
      }));
}

Result<sys::HttpResponse> CloudRoutes::show_migration(const User& user, const Call& call) {
  const auto report = cloud_.migrations().get(user, call.id());
  const auto watch = call.request.query.find("watch");
  if (!report || watch == call.request.query.end() || watch->second != "1") return encode_answer(report);
  sys::HttpResponse response;
  response.headers["content-type"] = "application/x-ndjson";
  const auto state = std::make_shared<Watch>(Watch{cloud_, user, call.id(), "", false});
  response.next_chunk = [state] { return next_line(state); };
  return response;
}

void CloudRoutes::add_network_routes() {
  auto& networks = cloud_.networks();
  router_.add(for_user<wire::Network, wire::Network>(
      cloud_, "PUT", "/v1/networks/{id}", "Says who is a member of a network; answers with where the members are",
      [&networks](const User& user, const Call& call, const wire::Network& network) -> Result<wire::Network> {
        if (network.id != call.id()) return fail(Errc::invalid_argument, "network: the id in the body is another");
        return networks.put_network(user, network);
      },
      kLargeBodyBytes));
  router_.add(for_user<Nothing, wire::Network>(
      cloud_, "GET", "/v1/networks/{id}", "The network and where its members are",
      [&networks](const User& user, const Call& call, const Nothing&) { return networks.get(user, call.id()); }));
  router_.add(for_user<Nothing, wire::NetworkObservation>(
      cloud_, "GET", "/v1/networks/{id}/observation",
      "Who talked with whom on the network in the last seconds, and how its hosts here reach the others",
      [this](const User& user, const Call& call, const Nothing&) {
        return cloud_.observations().get(user, call.id());
      }));
  router_.add(for_user<Nothing, void>(
      cloud_, "DELETE", "/v1/networks/{id}", "Forgets a network that no instance is on",
      [&networks](const User& user, const Call& call, const Nothing&) { return networks.remove(user, call.id()); }));
  router_.add(for_user<wire::NetworkPeers, wire::NetworkPeers>(
      cloud_, "PUT", "/v1/networks/{id}/peers", "The CAs of the other clouds of a network, for its members' hosts only",
      [&networks](const User& user, const Call& call, const wire::NetworkPeers& peers) {
        return networks.put_peers(user, call.id(), peers);
      },
      kLargeBodyBytes));
}

}  // namespace godwit::api
