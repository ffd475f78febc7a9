#include "agent/images.h"

#include "crypto/image_record.h"
#include "sys/http.h"

#include <algorithm>

namespace godwit::agent {
namespace {

constexpr Millis kLookEvery{500};   // at what has come, while something does
constexpr Seconds kAgainEvery{60};  // what could not be taken on: there may be room by then

bool is_by_content(const wire::DesiredImage& image) { return !image.manifest.empty(); }

// The host believes its own cloud alone.
Result<> check_signature(const wire::DesiredImage& image, ByteView signature, const wire::DesiredState& desired,
                         WallTime now) {
  for (const auto& each : desired.trusted) {
    if (each.cloud != desired.cloud) continue;
    const auto authority = crypto::Authority::from_pem(each.cloud, each.pem);
    if (!authority) return pass(authority);
    const auto record = crypto::open_image_record(signature, *authority, now);
    if (!record) return pass(record);
    if (record->manifest == crypto::sha256(as_bytes(image.manifest))) return {};
    return fail(Errc::not_authentic, "the signature is another manifest's");
  }
  return fail(Errc::not_authentic, "the cloud's CA is not known");
}

std::map<std::string, std::uint64_t> checks_of(const std::vector<wire::DesiredImage>& images) {
  std::map<std::string, std::uint64_t> out;
  for (const auto& image : images) {
    if (is_by_content(image) && image.check > 0) out[image.sha256] = std::max(out[image.sha256], image.check);
  }
  return out;
}

}  // namespace

Images::Images(sys::Runtime& runtime, const AgentConfig& config, std::function<void()> changed,
               std::function<void(const std::string& sha256)> arrived)
    : runtime_(runtime),
      config_(config),
      name_(config.host + "." + config.cloud + ".godwit"),
      changed_(std::move(changed)),
      arrived_(std::move(arrived)),
      placed_(runtime),
      repository_(runtime, config.state_directory + "/images",
                  {.bytes = std::uint64_t{config.image_gib} << 30U, .evict = true}),
      distribution_(runtime, name_),
      checks_(runtime, repository_,
              [this](const std::string& id) {
                distribution_.look_again(id);
                changed_();
                set_.notify();
              }),
      set_(runtime.executor),
      gate_(runtime.executor) {}

Result<> Images::start(std::unique_ptr<sys::PeerListener> listener) {
  const auto started = repository_.start();
  if (!started) return fail(started, "images");
  distribution_.limit(std::uint64_t{config_.image_send_kib_s} << 10U);
  if (listener) distribution_.start(std::move(listener));
  checks_.start();
  gate_.spawn(watch());
  return {};
}

sys::Task<void> Images::stop() {
  co_await gate_.close();
  co_await checks_.stop();
  co_await distribution_.stop();
  leases_.clear();
  co_await repository_.stop();
}

// ---- what is wanted here

void Images::set(const wire::DesiredState& desired) {
  asked_.cloud = desired.cloud;
  asked_.trusted = desired.trusted;
  asked_.images = desired.images;
  asked_.siblings = desired.siblings;
  asked_.image_port = desired.image_port;
  again_at_ = runtime_.clock.now() + kAgainEvery;
  wanted_ = desired.images;
  std::map<std::string, Taken> all;
  problems_.clear();
  for (const auto& image : wanted_) {
    if (!is_by_content(image) || all.contains(image.sha256)) continue;
    auto one = take_on(image, desired);
    if (one) {
      follow(*one, image);
      all[image.sha256] = std::move(*one);
    } else {
      problems_[image.sha256] = one.error().message;
    }
  }
  take_on_held(all);
  leases_ = std::move(all);
  std::erase_if(seen_here_, [&](const auto& each) { return !leases_.contains(each.first); });
  const auto hosts = chain(desired);
  std::vector<image::Assignment> assignments;
  for (const auto& [sha256, one] : leases_) {
    if (!hosts.empty()) assignments.push_back({sha256, one.pieces, hosts});
  }
  const auto assigned = distribution_.set(std::move(assignments));
  if (!assigned) runtime_.log.error("images: {}", assigned.error().message);
  for (auto& [sha256, one] : leases_) want_next(sha256, one);
  pace_fill();
  checks_.want(checks_of(wanted_));
  set_.notify();
}

Result<Images::Taken> Images::take_on(const wire::DesiredImage& wanted, const wire::DesiredState& desired) {
  if (const auto known = leases_.find(wanted.sha256); known != leases_.end()) return known->second;
  const auto signature = from_base64url(wanted.signature);
  if (!signature) return fail(signature, "image " + wanted.name + ": its signature");
  const auto is_signed = check_signature(wanted, *signature, desired, runtime_.clock.wall_now());
  if (!is_signed) return fail(is_signed, "image " + wanted.name);
  auto lease = repository_.begin(wanted.manifest, *signature, "the cloud");
  if (!lease) return fail(lease, "image " + wanted.name);
  if ((*lease)->id() != wanted.sha256)
    return fail(Errc::not_authentic, "image {}: the manifest is another's", wanted.name);
  return taken(std::move(*lease));
}

Images::Taken Images::taken(image::Lease lease) {
  Taken one;
  one.pieces = std::make_shared<image::WatchedPieces>(lease);
  static_cast<void>(one.pieces->listen([this, sha256 = lease->id()](std::uint64_t) { came(sha256); }));
  one.lease = std::move(lease);
  return one;
}

// What an instance has begun with comes whole, though nobody may name it any more.
void Images::take_on_held(std::map<std::string, Taken>& all) {
  for (const auto& status : repository_.list()) {
    const bool is_held =
        std::ranges::any_of(status.users, [&](const std::string& user) { return held_.contains(user); });
    if (status.complete() || !is_held || all.contains(status.id)) continue;
    if (const auto known = leases_.find(status.id); known != leases_.end()) {
      all[status.id] = known->second;
    } else if (auto lease = repository_.open(status.id, "the cloud")) {
      all[status.id] = taken(std::move(*lease));
    } else {
      problems_[status.id] = lease.error().message;
    }
  }
}

// The cloud first, then the hosts, in the same order everywhere.
std::vector<image::ChainHost> Images::chain(const wire::DesiredState& desired) const {
  std::vector<image::ChainHost> out;
  const auto endpoint = sys::parse_endpoint(config_.cloud_url, "api." + config_.cloud + ".godwit");
  if (!endpoint || desired.image_port == 0 || config_.image_port == 0) return out;
  for (const auto& each : desired.siblings) {
    if (each.image_port != 0) out.push_back({{each.ip, each.image_port, each.certificate_name, ""}, ""});
  }
  out.push_back({{config_.listen_ip, config_.image_port, name_, ""}, ""});
  std::ranges::sort(out, {}, [](const image::ChainHost& host) { return host.address.name; });
  out.insert(out.begin(), {{endpoint->host, desired.image_port, endpoint->name, ""}, ""});
  return out;
}

// What nobody wants any more goes, unless an instance has it. True: somebody else still has, who is about to let go.
bool Images::remove_unwanted() {
  bool later = false;
  for (const auto& status : repository_.list()) {
    const bool wanted =
        std::ranges::any_of(wanted_, [&](const wire::DesiredImage& image) { return image.sha256 == status.id; });
    if (wanted) continue;
    if (status.users.empty()) {
      const auto removed = repository_.remove(status.id);
      if (!removed) runtime_.log.warn("{}", removed.error().message);
    }
    later = later || std::ranges::any_of(status.users, [&](const std::string& user) { return !held_.contains(user); });
  }
  return later;
}

// ---- what comes

sys::Task<void> Images::watch() {
  for (;;) {
    bool comes = false;
    bool moved = false;
    for (const auto& [wanted, taken] : leases_) {
      const auto lease = taken.lease;
      const auto here = lease->has_list() ? lease->solid() - lease->missing() + 1 : 0;
      const bool whole = lease->complete();
      comes = comes || !whole;
      auto& seen = seen_here_[wanted];
      if (std::exchange(seen, here) == here) continue;
      moved = true;
      if (whole) {
        const auto sha256 = wanted;  // set() may exchange the leases meanwhile
        const auto settled = co_await repository_.settle(lease);
        if (!settled) runtime_.log.warn("image {:.12}…: {}", sha256, settled.error().message);
        arrived_(sha256);
        break;  // the leases may be others by now
      }
    }
    if (moved) changed_();
    want_again();
    const bool later = remove_unwanted();
    if (comes || moved || later) {
      co_await runtime_.clock.sleep_for(kLookEvery);
    } else if (!problems_.empty()) {
      co_await set_.wait_until(runtime_.clock, again_at_);
    } else {
      co_await set_.wait();
    }
    if (!problems_.empty() && runtime_.clock.now() >= again_at_) {
      const auto again = asked_;
      set(again);
      changed_();
    }
  }
}

// ---- who uses them

Result<image::Image> Images::find(const std::string& sha256) {
  if (const auto status = repository_.find(sha256)) {
    if (status->complete()) {
      const auto lease = repository_.open(sha256, "an instance that starts");
      if (!lease) return pass(lease);
      return (*lease)->as_image();
    }
    return fail(Errc::unavailable, "image {:.12}…: it is on its way, {} of {} MiB are here", sha256,
                (status->pieces - status->missing) * image::kPiece_bytes >> 20U,
                status->pieces * image::kPiece_bytes >> 20U);
  }
  for (const auto& image : wanted_) {
    if (image.sha256 != sha256) continue;
    if (!is_by_content(image)) return placed_.open(image.path, sha256);
    if (const auto problem = problems_.find(sha256); problem != problems_.end()) {
      return fail(Errc::unavailable, "{}", problem->second);
    }
  }
  return fail(Errc::not_found, "image {:.12}…: this cloud has no image of that content", sha256);
}

Result<> Images::hold(const std::string& sha256, const std::string& instance) {
  if (!repository_.find(sha256)) return {};
  held_.insert(instance);
  return repository_.hold(sha256, instance);
}

void Images::let_go(const std::string& sha256, const std::string& instance) {
  if (!repository_.find(sha256)) return;
  const auto gone = repository_.let_go(sha256, instance);
  if (!gone) runtime_.log.warn("{}", gone.error().message);
  held_.erase(instance);
  set_.notify();
}

void Images::hold_only(const std::set<std::string>& instances) {
  held_ = instances;
  const auto held = repository_.hold_only(instances);
  if (!held) runtime_.log.warn("{}", held.error().message);
}

void Images::report(wire::HostReport& report) const {
  report.image_port = config_.image_port;
  for (const auto& [sha256, order] : boot_orders_) report.boot_orders.push_back(order);
  report.checks = checks_.list();
  const auto progress = distribution_.progress();
  for (const auto& image : wanted_) {
    if (!is_by_content(image)) {
      if (runtime_.files.exists(image.path + "/manifest.json")) report.images.push_back({image.name, image.sha256});
      continue;
    }
    const auto status = repository_.find(image.sha256);
    if (status && status->complete()) {
      report.images.push_back({image.name, image.sha256});
      continue;
    }
    wire::ImageArrival arrival{image.name, image.sha256, 0, 0, "", ""};
    if (status) {
      arrival.pieces = status->pieces;
      arrival.here = status->pieces - status->missing;
    }
    if (const auto problem = problems_.find(image.sha256); problem != problems_.end())
      arrival.problem = problem->second;
    for (const auto& each : progress) {
      if (each.image != image.sha256) continue;
      arrival.from = each.upstream;
      if (arrival.problem.empty()) arrival.problem = each.trouble;
    }
    report.arrivals.push_back(std::move(arrival));
  }
}

}  // namespace godwit::agent
