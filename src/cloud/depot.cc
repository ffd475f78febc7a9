#include "cloud/depot.h"

#include "cloud/content.h"
#include "crypto/image_record.h"

#include <algorithm>

namespace godwit::cloud {
namespace {

// Hosts ask for the signature once, when they begin to take the image.
constexpr Seconds kSignedFor{10LL * 365 * 24 * 3600};
constexpr Seconds kSweepEvery{60};
constexpr Seconds kSweepSoon{1};  // while something that is to go is still open

std::string own_name(const Core& core) { return "api." + core.name() + ".godwit"; }

std::unexpected<Error> not_whole(const std::string& name) {
  return fail(Errc::conflict, "image {}: it is not whole at this cloud yet", name);
}

}  // namespace

Depot::Depot(sys::Runtime& runtime, Core& core, Images& images, Snapshots& snapshots, const std::string& directory)
    : runtime_(runtime),
      core_(core),
      images_(images),
      snapshots_(snapshots),
      uploads_(core),
      repository_(runtime, directory),
      intake_(repository_, uploads_),
      distribution_(runtime, own_name(core)),
      checks_(runtime, repository_, [this](const std::string& id) { distribution_.look_again(id); }),
      gate_(runtime.executor) {}

Result<> Depot::open() {
  const auto started = repository_.start();
  if (!started) return fail(started, "images");
  return {};
}

void Depot::start(std::unique_ptr<sys::PeerListener> listener, const std::string& host) {
  host_ = host;
  runtime_.peers.trust({{core_.name(), core_.keys().authority_pem}});
  core_.set_image_port(listener->port());
  distribution_.start(std::move(listener));
  checks_.start();
  gate_.spawn(watch());
  gate_.spawn(name_snapshots());
}

sys::Task<void> Depot::stop() {
  co_await gate_.close();
  co_await checks_.stop();
  co_await distribution_.stop();
  co_await repository_.stop();
}

sys::Task<void> Depot::watch() {
  for (;;) {
    const auto assigned = assign();
    if (!assigned) core_.log().error("images: {}", assigned.error().message);
    const auto swept = sweep();
    if (!swept) core_.log().error("images: {}", swept.error().message);
    look_again();
    const auto pause = leaving_.empty() && !is_damaged() ? kSweepEvery : kSweepSoon;
    co_await core_.changed().wait_until(runtime_.clock, runtime_.clock.now() + pause);
  }
}

// Every image by content, for every host that gives and takes them; also those that have no name any more, and of which
// an instance may have begun before its host has them whole.
Result<> Depot::assign() {
  const auto images = images_.list();
  if (!images) return pass(images);
  std::map<std::string, std::uint64_t> contents;  // and the audit that was asked for; 0: none
  for (const auto& image : *images) {
    if (!image.manifest.empty()) contents[image.sha256] = std::max(contents[image.sha256], image.check);
  }
  const auto nameless = nameless_in_use(contents);
  if (!nameless) return pass(nameless);
  for (const auto& id : *nameless) contents[id] = 0;
  std::vector<image::ChainHost> hosts{{{host_, core_.image_port(), own_name(core_), ""}, ""}};
  const auto read = core_.database().read([&](Sql& sql) -> Result<> {
    for (auto& each : image_givers(sql, core_)) hosts.push_back({{each.ip, each.port, each.certificate_name, ""}, ""});
    return {};
  });
  if (!read) return read;
  std::vector<image::Assignment> all;
  for (const auto& [id, check] : contents) {
    auto lease = repository_.open(id, "its hosts");
    if (lease) {
      all.push_back({id, *lease, hosts});
    } else {
      core_.log().error("image {:.12}…: {}", id, lease.error().message);
    }
  }
  std::erase_if(contents, [](const auto& each) { return each.second == 0; });
  checks_.want(std::move(contents));
  return distribution_.set(std::move(all));
}

Result<std::vector<std::string>> Depot::nameless_in_use(const std::map<std::string, std::uint64_t>& named) const {
  std::vector<std::string> out;
  for (const auto& status : repository_.list()) {
    if (status.complete() && !named.contains(status.id)) out.push_back(status.id);
  }
  if (out.empty()) return out;
  const auto used = images_.contents_of_instances();
  if (!used) return pass(used);
  std::erase_if(out, [&](const std::string& id) { return !used->contains(id); });
  return out;
}

// What a user's sky, or an audit, has put here meanwhile is given to hosts too.
void Depot::look_again() {
  for (const auto& each : distribution_.progress()) {
    const auto stored = repository_.find(each.image);
    if (stored && stored->complete() && each.pieces < each.of) distribution_.look_again(each.image);
  }
}

// Something of a named image has been lost here, and comes back.
bool Depot::is_damaged() const {
  return std::ranges::any_of(distribution_.progress(),
                             [](const image::ImageProgress& each) { return each.pieces < each.of; });
}

wire::CloudImageCheck Depot::with_own(wire::CloudImageCheck check) const {
  const auto own = checks_.list();
  const auto found = std::ranges::find(own, check.id, &wire::ImageCheck::sha256);
  check.places.insert(check.places.begin(), {"", true, found == own.end() ? wire::ImageCheck{} : *found});
  return check;
}

Result<wire::CloudImageList> Depot::view(const User& user) const {
  auto list = images_.view(user);
  if (!list) return list;
  for (auto& image : list->images) {
    const auto stored = image.by_content ? repository_.find(image.id) : std::nullopt;
    image.whole = !image.by_content || (stored && stored->complete());
  }
  return list;
}

// ---- names

image::IntakeCaller Depot::caller(const User& user) const {
  return {user.tenant, [this, user](const std::string& id) {
            const auto known = images_.list(user);
            return known &&
                   std::ranges::any_of(*known, [&](const wire::DesiredImage& image) { return image.sha256 == id; });
          }};
}

sys::Task<Result<>> Depot::name(User user, wire::ImageName name) {
  const auto theirs = intake_.is_whole_for(caller(user), name.id);
  if (!theirs) co_return fail(theirs, "image " + name.name);
  if (!*theirs) co_return not_whole(name.name);
  const auto whole = co_await check_whole(name.id, name.name);
  if (!whole) co_return whole;
  co_return name_whole(user, name);
}

sys::Task<Result<>> Depot::check_whole(const std::string& id, const std::string& name) {
  const auto lease = repository_.open(id, "who names it");
  if (!lease) co_return fail(lease, "image " + name);
  if (!(*lease)->complete()) co_return not_whole(name);
  const auto settled = co_await repository_.settle(*lease);
  if (!settled) co_return fail(settled, "image " + name);
  co_return Result<>{};
}

// What a host has brought of an instance of the tenant's is the tenant's, whoever else has named the same content.
sys::Task<void> Depot::name_snapshots() {
  for (;;) {
    const auto rows = snapshots_.unnamed();
    if (!rows) core_.log().error("snapshots: {}", rows.error().message);
    if (!rows || rows->empty()) {
      co_await core_.changed().wait();
      continue;
    }
    for (const auto& row : *rows) {
      auto named = co_await check_whole(row.sha256, row.name);
      if (named) named = name_for(row);
      const auto ended = snapshots_.end(row.id, named);
      if (!ended) core_.log().error("snapshot {}: {}", row.id, ended.error().message);
      if (!ended) co_await core_.changed().wait();
    }
  }
}

// It is that tenant's, also where they name others for everybody.
Result<> Depot::name_for(const SnapshotRow& row) {
  auto user = core_.database().read([&](Sql& sql) -> Result<User> { return user_of_tenant(sql, row.tenant); });
  if (!user) return pass(user);
  user->is_operator = false;
  return name_whole(*user, {row.name, row.sha256});
}

// Empty: the name means nothing to the user.
std::string Depot::content_of(const User& user, const std::string& name) const {
  const auto known = images_.list(user);
  if (!known) return {};
  const auto found = std::ranges::find(*known, name, &wire::DesiredImage::name);
  return found == known->end() ? std::string() : found->sha256;
}

Result<> Depot::name_whole(const User& user, const wire::ImageName& name) {
  auto manifest = repository_.manifest_of(name.id);
  if (!manifest) return pass(manifest);
  const crypto::ImageRecord record{core_.name(),
                                   crypto::sha256(as_bytes(*manifest)),
                                   {runtime_.clock.wall_now(), runtime_.clock.wall_now() + kSignedFor}};
  const auto signature = crypto::sign_image_record(record, core_.keys().authority);
  if (!signature) return pass(signature);
  const auto need_bytes = repository_.find(name.id)->need_bytes;
  const auto before = content_of(user, name.name);
  const auto named =
      images_.name_content(user, {name.name, name.id, "", *manifest, to_base64url(*signature)}, need_bytes);
  if (!named) return named;
  if (before != name.id) leaving_.insert(before);
  return named;
}

Result<> Depot::remove(const User& user, const std::string& name) {
  const auto content = content_of(user, name);
  const auto removed = images_.remove(user, name);
  if (removed) leaving_.insert(content);
  return removed;
}

// ---- what goes

// What lost its last name or upload; and what a cloud that ended meanwhile has left behind.
bool Depot::is_to_go(const image::ImageStatus& image) const {
  return leaving_.contains(image.id) || image.last_used + kUploadKept <= runtime_.clock.wall_now();
}

// What nobody needs, and nobody brings any more, goes: now, or when who has it open lets go of it.
Result<> Depot::sweep() {
  const auto abandoned = uploads_.end_abandoned();
  if (!abandoned) return pass(abandoned);
  for (const auto& id : *abandoned) {
    intake_.forget(id);
    leaving_.insert(id);
  }
  const auto used = images_.used();
  if (!used) return pass(used);
  const auto coming = uploads_.all();
  if (!coming) return pass(coming);
  std::erase_if(leaving_,
                [&](const auto& id) { return used->contains(id) || coming->contains(id) || !repository_.find(id); });
  for (const auto& image : repository_.list()) {
    if (used->contains(image.id) || coming->contains(image.id) || !is_to_go(image)) continue;
    intake_.forget(image.id);
    const auto removed = repository_.remove(image.id);
    if (removed) core_.log().info("image {}: nobody needs it: removed", image::ami_of(image.id));
    if (removed) leaving_.erase(image.id);
    if (!removed && leaving_.insert(image.id).second) core_.log().warn("{}", removed.error().message);
  }
  return {};
}

}  // namespace godwit::cloud
