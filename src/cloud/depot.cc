#include "cloud/depot.h"

#include "cloud/content.h"
#include "crypto/image_record.h"

#include <algorithm>

namespace godwit::cloud {
namespace {

// Hosts ask for the signature once, when they begin to take the image.
constexpr Seconds kSignedFor{10LL * 365 * 24 * 3600};

std::string own_name(const Core& core) { return "api." + core.name() + ".godwit"; }

}  // namespace

Depot::Depot(sys::Runtime& runtime, Core& core, Images& images, Snapshots& snapshots, const std::string& directory)
    : runtime_(runtime),
      core_(core),
      images_(images),
      snapshots_(snapshots),
      repository_(runtime, directory),
      intake_(repository_),
      distribution_(runtime, own_name(core)),
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
  gate_.spawn(watch());
  gate_.spawn(name_snapshots());
}

sys::Task<void> Depot::stop() {
  co_await gate_.close();
  co_await distribution_.stop();
  co_await repository_.stop();
}

sys::Task<void> Depot::watch() {
  for (;;) {
    const auto assigned = assign();
    if (!assigned) core_.log().error("images: {}", assigned.error().message);
    co_await core_.changed().wait();
  }
}

// Every image by content, for every host that gives and takes them; also those that have no name any more, and of which
// an instance may have begun before its host has them whole.
Result<> Depot::assign() {
  const auto images = images_.list();
  if (!images) return pass(images);
  std::set<std::string> contents;
  for (const auto& image : *images) {
    if (!image.manifest.empty()) contents.insert(image.sha256);
  }
  const auto nameless = nameless_in_use(contents);
  if (!nameless) return pass(nameless);
  contents.insert(nameless->begin(), nameless->end());
  std::vector<image::ChainHost> hosts{{{host_, core_.image_port(), own_name(core_), ""}, ""}};
  const auto read = core_.database().read([&](Sql& sql) -> Result<> {
    for (auto& each : image_givers(sql, core_)) hosts.push_back({{each.ip, each.port, each.certificate_name, ""}, ""});
    return {};
  });
  if (!read) return read;
  std::vector<image::Assignment> all;
  for (const auto& id : contents) {
    auto lease = repository_.open(id, "its hosts");
    if (lease) {
      all.push_back({id, *lease, hosts});
    } else {
      core_.log().error("image {:.12}…: {}", id, lease.error().message);
    }
  }
  return distribution_.set(std::move(all));
}

Result<std::vector<std::string>> Depot::nameless_in_use(const std::set<std::string>& named) const {
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

sys::Task<Result<>> Depot::name(User user, wire::ImageName name) {
  const auto theirs = may_name(user, name);
  if (!theirs) co_return theirs;
  const auto whole = co_await check_whole(name.id, name.name);
  if (!whole) co_return whole;
  co_return name_whole(user, name);
}

sys::Task<Result<>> Depot::check_whole(const std::string& id, const std::string& name) {
  const auto lease = repository_.open(id, "who names it");
  if (!lease) co_return fail(lease, "image " + name);
  if (!(*lease)->complete()) {
    co_return fail(Errc::conflict, "image {}: it is not whole at {} yet", name, core_.name());
  }
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
      if (named) named = name_whole({row.tenant, {}, false}, {row.name, row.sha256});
      const auto ended = snapshots_.end(row.id, named);
      if (!ended) core_.log().error("snapshot {}: {}", row.id, ended.error().message);
      if (!ended) co_await core_.changed().wait();
    }
  }
}

// To know a content's id, or its manifest, is no right to it: one that others alone have named is theirs.
Result<> Depot::may_name(const User& user, const wire::ImageName& name) const {
  const auto is_it = [&](const wire::DesiredImage& image) { return image.sha256 == name.id; };
  const auto own = images_.list(user);
  if (!own) return pass(own);
  const auto all = images_.list();
  if (!all) return pass(all);
  if (std::ranges::any_of(*own, is_it) || std::ranges::none_of(*all, is_it)) return {};
  return fail(Errc::denied, "image {}: its content is another tenant's at {} (its operator can name it for everybody)",
              name.name, core_.name());
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
  const auto before = content_of(user, name.name);
  const auto named = images_.name_content(user, {name.name, name.id, "", *manifest, to_base64url(*signature)});
  if (named && before != name.id) remove_unused(before);
  return named;
}

Result<> Depot::remove(const User& user, const std::string& name) {
  const auto content = content_of(user, name);
  const auto removed = images_.remove(user, name);
  if (removed) remove_unused(content);
  return removed;
}

void Depot::remove_unused(const std::string& id) {
  if (id.empty() || !repository_.find(id)) return;
  const auto used = images_.is_used(id);
  if (!used || *used) return;
  static_cast<void>(assign());  // lets go of it
  const auto removed = repository_.remove(id);
  if (!removed) core_.log().warn("image {:.12}…: {}", id, removed.error().message);
}

}  // namespace godwit::cloud
