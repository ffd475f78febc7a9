#include "api/sky_routes.h"

#include "api/sky_watch.h"
#include "crypto/token.h"

#include <set>

namespace godwit::api {
namespace {

constexpr std::size_t kWatchedAtOnce = 256;

bool is_watch(const Call& call) {
  const auto found = call.request.query.find("watch");
  return found != call.request.query.end() && found->second == "1";
}

// "a,b": without repetitions.
std::vector<std::string> words_of(std::string_view text) {
  std::set<std::string> words;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    if (comma > 0) words.emplace(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return {words.begin(), words.end()};
}

template <class T>
sys::Task<Result<T>> at_once(Result<T> result) {
  co_return result;
}

// What both of the ways to answer become: a task of a result.
template <class T>
sys::Task<Result<T>> as_task(sys::Task<Result<T>> task) {
  return task;
}
template <class T>
sys::Task<Result<T>> as_task(Result<T> result) {
  return at_once(std::move(result));
}

template <class Answer>
sys::Task<Result<sys::HttpResponse>> encoded(sys::Task<Result<Answer>> task) {
  if constexpr (std::is_same_v<Answer, sys::HttpResponse>) {
    co_return co_await std::move(task);
  } else {
    const auto answer = co_await std::move(task);
    co_return encode_answer(answer);
  }
}

sys::Task<Result<wire::AccountView>> put_account(sky::Sky* sky, std::string cloud, wire::Account account) {
  if (account.cloud.empty()) account.cloud = cloud;
  if (account.cloud != cloud) {
    co_return fail(Errc::invalid_argument, "put account {}: the body says \"{}\"", cloud, account.cloud.substr(0, 64));
  }
  co_return co_await sky->put_account(std::move(account));
}

sys::Task<Result<wire::AccountList>> list_accounts(sky::Sky* sky) { co_return co_await sky->accounts(); }

sys::Task<Result<wire::CloudHostsList>> list_hosts(sky::Sky* sky) { co_return co_await sky->hosts(); }

sys::Task<Result<wire::TaggedImage>> tag_image(sky::Sky* sky, std::string name, wire::TagImage request) {
  co_return co_await sky->images().tag(std::move(name), std::move(request));
}

sys::Task<Result<wire::UntaggedImage>> remove_image(sky::Sky* sky, std::string name) {
  co_return co_await sky->images().remove(std::move(name));
}

sys::Task<Result<wire::SnapshotList>> list_snapshots(sky::Sky* sky) { co_return co_await sky->snapshots(); }

sys::Task<Result<wire::NetworkObservation>> observe(sky::Sky* sky, std::string network) {
  co_return co_await sky->observe(std::move(network));
}

sys::Task<Result<wire::FenceAnswer>> fence(sky::Sky* sky, std::string instance, wire::FenceRequest request,
                                           std::string body) {
  // A default would decide for the person who must.
  const auto said = wire::parse_json(body);
  if (!said || !said->is_object() || !said->get_object().contains("winner")) {
    co_return fail(Errc::invalid_argument, "resolve instance {}: say who wins: \"source\" or \"destination\"",
                   instance);
  }
  co_return co_await sky->fence(std::move(instance), std::move(request));
}

}  // namespace

ApiTitle sky_api_title() {
  return {"Godwit sky",
          "One user's clusters over clouds. Every call carries the bearer token that `godwit sky run` keeps in a file. "
          "A field that is left out keeps its default; one that is not known is passed over. A watch (watch=1) answers "
          "with a JSON line for each change, and an empty line when nothing changes for 15 s."};
}

SkyRoutes::SkyRoutes(sys::Clock& clock, sky::Sky& sky, std::string_view token)
    : clock_(clock), sky_(sky), token_digest_(crypto::token_digest(token)) {
  add_account_routes();
  add_cluster_routes();
  add_security_group_routes();
  add_image_routes();
  add_instance_routes();
  add_migration_routes();
}

Result<> SkyRoutes::admit(const Call& call) const {
  if (crypto::token_matches(call.bearer_token(), token_digest_)) return {};
  return fail(Errc::not_authentic, "the call does not carry sky's token (`godwit sky run` says in which file it is)");
}

// body(call, request) gives Result<Answer>, Task<Result<Answer>>, or either of an HttpResponse.
template <class Request, class Answer, class Body>
Route& SkyRoutes::add(std::string method, std::string pattern, std::string summary, Body body) {
  Route route;
  route.method = std::move(method);
  route.pattern = std::move(pattern);
  route.summary = std::move(summary);
  if constexpr (!std::is_same_v<Request, Nothing>) route.request = type_ref<Request>();
  route.answer = type_ref<std::conditional_t<std::is_void_v<Answer>, Nothing, Answer>>();
  route.handler = [this, body](Call call) {
    const auto admitted = admit(call);
    if (!admitted) return at_once(Result<sys::HttpResponse>(pass(admitted)));
    auto request = decode_body<Request>(call, kLargeBodyBytes);
    if (!request) return at_once(Result<sys::HttpResponse>(pass(request)));
    return encoded(as_task(body(call, std::move(*request))));
  };
  return router_.add(std::move(route));
}

void SkyRoutes::add_account_routes() {
  add<Nothing, wire::AccountList>("GET", "/v1/accounts", "The accounts on clouds, and what their clouds say now",
                                  [this](const Call&, Nothing) { return list_accounts(&sky_); });
  add<wire::Account, wire::AccountView>(
      "PUT", "/v1/accounts/{id}", "Adds an account on the cloud of that name, or replaces it; the cloud is asked first",
      [this](const Call& call, wire::Account account) { return put_account(&sky_, call.id(), std::move(account)); });
  add<Nothing, void>("DELETE", "/v1/accounts/{id}", "Forgets an account that no cluster needs",
                     [this](const Call& call, Nothing) { return sky_.remove_account(call.id()); });
  add<Nothing, wire::CloudHostsList>("GET", "/v1/hosts", "The hosts of the clouds that show them to this user",
                                     [this](const Call&, Nothing) { return list_hosts(&sky_); });
  add<Nothing, wire::NetworkList>("GET", "/v1/networks", "The clusters' networks, without their keys",
                                  [this](const Call&, Nothing) { return Result<wire::NetworkList>(sky_.networks()); });
  add<Nothing, wire::NetworkObservation>(
      "GET", "/v1/networks/{id}/observation",
      "Who talked with whom on the network in the last seconds, and how its hosts reach each other",
      [this](const Call& call, Nothing) { return observe(&sky_, call.id()); });
  add_leaf_routes();
}

void SkyRoutes::add_leaf_routes() {
  add<Nothing, wire::LeafList>("GET", "/v1/networks/{id}/leaves",
                               "The network's members that are no instances, but somebody's WireGuard",
                               [this](const Call& call, Nothing) { return sky_.leaves(call.id()); });
  add<wire::LeafRequest, wire::LeafList>(
      "POST", "/v1/networks/{id}/join",
      "Makes a WireGuard peer a member; which host serves it is there a moment later, asked again",
      [this](const Call& call, const wire::LeafRequest& request) { return sky_.join(call.id(), request); });
  add<wire::LeaveRequest, wire::LeafList>(
      "POST", "/v1/networks/{id}/leave", "Ends the membership of a WireGuard peer",
      [this](const Call& call, const wire::LeaveRequest& request) { return sky_.leave(call.id(), request.name); });
}

void SkyRoutes::add_cluster_routes() {
  add<Nothing, wire::ClusterList>("GET", "/v1/clusters", "All clusters",
                                  [this](const Call&, Nothing) { return Result<wire::ClusterList>(sky_.clusters()); });
  add<wire::ClusterSpec, wire::ClusterView>(
      "POST", "/v1/clusters", "Makes a cluster; asked twice with one name and content it makes one",
      [this](const Call&, wire::ClusterSpec spec) { return sky_.create_cluster(std::move(spec)); });
  add<Nothing, wire::ClusterView>("GET", "/v1/clusters/{id}", "The cluster of that name",
                                  [this](const Call& call, Nothing) { return show_cluster(call); })
      .stream_of = "watch";
  add<Nothing, wire::ClusterView>("DELETE", "/v1/clusters/{id}", "Terminates its instances and removes its network",
                                  [this](const Call& call, Nothing) { return sky_.delete_cluster(call.id()); });
  add<wire::MoveRequest, wire::MigrationList>(
      "POST", "/v1/clusters/{id}/migrate", "Moves members to another cloud: one ahead, then up to four at a time",
      [this](const Call& call, const wire::MoveRequest& request) { return sky_.migrate_cluster(call.id(), request); });
}

void SkyRoutes::add_security_group_routes() {
  add<Nothing, wire::SecurityGroupList>(
      "GET", "/v1/security-groups", "All security groups",
      [this](const Call&, Nothing) { return Result<wire::SecurityGroupList>(sky_.security_groups().list()); });
  add<wire::SecurityGroup, wire::SecurityGroup>(
      "POST", "/v1/security-groups",
      "Makes a security group; without rules its members may begin everything, and nobody anything with them",
      [this](const Call&, wire::SecurityGroup group) { return sky_.create_security_group(std::move(group)); });
  add<Nothing, wire::SecurityGroup>(
      "GET", "/v1/security-groups/{id}", "The security group of that name",
      [this](const Call& call, Nothing) { return sky_.security_groups().get(call.id()); });
  add<Nothing, void>("DELETE", "/v1/security-groups/{id}", "Deletes a security group that no cluster and no rule names",
                     [this](const Call& call, Nothing) { return sky_.delete_security_group(call.id()); });
  add<wire::RuleChange, wire::SecurityGroup>(
      "POST", "/v1/security-groups/{id}/authorize", "Adds a rule; running instances have it within seconds",
      [this](const Call& call, const wire::RuleChange& change) { return sky_.authorize(call.id(), change); });
  add<wire::RuleChange, wire::SecurityGroup>(
      "POST", "/v1/security-groups/{id}/revoke", "Removes a rule; what has begun by it goes on",
      [this](const Call& call, const wire::RuleChange& change) { return sky_.revoke(call.id(), change); });
}

void SkyRoutes::add_image_routes() {
  add<Nothing, wire::SkyImageList>(
      "GET", "/v1/images", "The images that sky keeps, and the clouds that they are brought to",
      [this](const Call&, Nothing) { return Result<wire::SkyImageList>(sky_.images().list()); });
  add<wire::AddImage, wire::SkyImage>(
      "POST", "/v1/images", "Begins to take an image in, from a file of sky's own machine",
      [this](const Call&, const wire::AddImage& request) { return sky_.images().add(request); });
  add<Nothing, wire::SkyImage>("GET", "/v1/images/{id}", "The image of that name",
                               [this](const Call& call, Nothing) { return sky_.images().view(call.id()); });
  add<Nothing, wire::SkyImageCheck>(
      "POST", "/v1/images/{id}/check",
      "Asks for audits of an image, here and at the clouds that have it; what is bad comes again",
      [this](const Call& call, Nothing) { return sky_.images().check(call.id(), true); });
  add<Nothing, wire::SkyImageCheck>(
      "GET", "/v1/images/{id}/check",
      "What the audits of an image found, at each place that has it; here, as of a cloud without a name",
      [this](const Call& call, Nothing) { return sky_.images().check(call.id(), false); });
  add<wire::TagImage, wire::TaggedImage>(
      "POST", "/v1/images/{id}/tag",
      "A further name for the content of an image; one that means another content is moved where that is asked for",
      [this](const Call& call, wire::TagImage request) { return tag_image(&sky_, call.id(), std::move(request)); });
  add<Nothing, wire::UntaggedImage>(
      "DELETE", "/v1/images/{id}",
      "Forgets an image's name, here and at the clouds; the content stays while another name means it, or an "
      "instance runs of it",
      [this](const Call& call, Nothing) { return remove_image(&sky_, call.id()); });
  add<wire::PushImage, wire::SkyImage>(
      "POST", "/v1/images/{id}/push", "Brings an image to clouds, of which their hosts take it from each other",
      [this](const Call& call, const wire::PushImage& request) { return sky_.images().push(call.id(), request); });
  add<wire::PullImage, wire::SkyImage>(
      "POST", "/v1/images/{id}/pull", "Begins to bring an image here from a cloud that has it under that name",
      [this](const Call& call, const wire::PullImage& request) { return sky_.images().pull(call.id(), request); });
  add<wire::ExportImage, wire::SkyImage>(
      "POST", "/v1/images/{id}/export",
      "Begins to write its disk to a file of sky's own machine, which is not there yet",
      [this](const Call& call, wire::ExportImage request) {
        return sky_.images().write_out(call.id(), std::move(request));
      });
}

Result<sys::HttpResponse> SkyRoutes::show_cluster(const Call& call) {
  const auto view = sky_.cluster(call.id());
  if (view && is_watch(call)) return watch_cluster(clock_, sky_, call.id());
  return encode_answer(view);
}

void SkyRoutes::add_instance_routes() {
  add<Nothing, wire::InstanceView>("GET", "/v1/instances/{id}", "The instance as its cloud has it, without user data",
                                   [this](const Call& call, Nothing) { return sky_.instance(call.id()); });
  add<Nothing, void>("DELETE", "/v1/instances/{id}", "Terminates the instance; its cluster goes on without it",
                     [this](const Call& call, Nothing) { return sky_.terminate(call.id()); });
  add<wire::MoveRequest, wire::MigrationList>("POST", "/v1/instances/{id}/migrate",
                                              "Moves the instance to another cloud",
                                              [this](const Call& call, wire::MoveRequest request) {
                                                return sky_.migrate_instance(call.id(), std::move(request));
                                              });
  add<wire::SnapshotRequest, wire::SnapshotView>(
      "POST", "/v1/instances/{id}/snapshot",
      "Makes an image of an instance's disk as it is now, running or stopped, at the cloud where it is; sky draws the "
      "id",
      [this](const Call& call, wire::SnapshotRequest request) { return sky_.snapshot(call.id(), std::move(request)); });
  add<Nothing, wire::SnapshotList>("GET", "/v1/snapshots",
                                   "Snapshots that are under way at the clouds, and those of the last day",
                                   [this](const Call&, Nothing) { return list_snapshots(&sky_); });
  add<wire::FenceRequest, wire::FenceAnswer>(
      "POST", "/v1/instances/{id}/resolve",
      "Says who has an instance that is in doubt: a person has made sure that the losing side is dead",
      [this](const Call& call, wire::FenceRequest request) {
        return fence(&sky_, call.id(), std::move(request), call.request.body);
      });
}

void SkyRoutes::add_migration_routes() {
  add<Nothing, wire::MigrationList>(
      "GET", "/v1/migrations",
      "Migrations, newest first; a watch names those that it wants in ids=…,… and gives MigrationReport",
      [this](const Call& call, Nothing) { return list_migrations(call); })
      .stream_of = "watch";
  add<Nothing, wire::MigrationReport>("GET", "/v1/migrations/{id}", "Both sides' word on a migration, as one",
                                      [this](const Call& call, Nothing) { return sky_.migration(call.id()); });
  add<Nothing, wire::MigrationReport>("POST", "/v1/migrations/{id}/cancel",
                                      "Asks the source to give up; the instance runs on where it is",
                                      [this](const Call& call, Nothing) -> Result<wire::MigrationReport> {
                                        const auto cancelled = sky_.cancel(call.id());
                                        if (!cancelled) return pass(cancelled);
                                        return sky_.migration(call.id());
                                      });
}

Result<sys::HttpResponse> SkyRoutes::list_migrations(const Call& call) {
  if (!is_watch(call)) return encode_answer(Result<wire::MigrationList>(sky_.migrations()));
  const auto named = call.request.query.find("ids");
  const auto ids = named == call.request.query.end() ? std::vector<std::string>() : words_of(named->second);
  if (ids.empty() || ids.size() > kWatchedAtOnce) {
    return fail(Errc::invalid_argument, "watch migrations: name 1 to {} in ids=…,…", kWatchedAtOnce);
  }
  for (const auto& id : ids) {
    const auto report = sky_.migration(id);
    if (!report) return pass(report);
  }
  return watch_migrations(clock_, sky_, ids);
}

}  // namespace godwit::api
