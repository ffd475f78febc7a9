// What an instance needs of an image that is still on its way to begin with it.
#include "agent/images.h"
#include "image/boot_pieces.h"

#include <algorithm>

namespace godwit::agent {

namespace {

constexpr std::size_t kBootOrdersToSay = 64;  // as many as a report may have
constexpr Seconds kSlowFill{300};             // a guest that isn't ready by then may never be

Result<PartialDisk> disk_in(const image::StoredImage& image, std::shared_ptr<image::WatchedPieces> pieces) {
  const auto* disk = image::file_of(image.manifest(), image::Role::disk);
  if (!disk) {
    return fail(Errc::unavailable, "image {:.12}…: it is on its way, and has no disk to begin with", image.id());
  }
  return PartialDisk{image.path(image::Role::disk), disk->bytes, 0, std::move(pieces)};  // the first of its files
}

}  // namespace

Result<PartialDisk> Images::disk_of(const std::string& sha256) {
  if (const auto found = leases_.find(sha256); found != leases_.end()) {
    return disk_in(*found->second.lease, found->second.pieces);
  }
  const auto lease = repository_.open(sha256, "an instance that starts");
  if (!lease) return pass(lease);
  return disk_in(**lease, std::make_shared<image::WatchedPieces>(*lease));
}

Result<Images::Partial> Images::find_partial(const std::string& sha256) {
  const auto found = leases_.find(sha256);
  if (found == leases_.end()) {
    const auto why = find(sha256);
    if (!why) return pass(why);
    return fail(Errc::conflict, "image {:.12}…: it is whole", sha256);
  }
  auto& taken = found->second;
  auto disk = disk_in(*taken.lease, taken.pieces);
  if (!disk) return pass(disk);
  if (image::may_begin(taken.lease->manifest(), *taken.pieces)) {
    return Partial{taken.lease->as_image(), std::move(*disk)};
  }
  taken.begins = true;
  want_to_begin(sha256, taken);
  set_.notify();
  const auto how_far = find(sha256);
  if (!how_far) return pass(how_far);
  return fail(Errc::conflict, "image {:.12}…: it is whole", sha256);
}

void Images::want_to_begin(const std::string& sha256, Taken& taken) {
  std::vector<std::uint32_t> missing;
  for (const auto piece : image::boot_pieces(taken.lease->manifest())) {
    if (!taken.pieces->has(piece)) missing.push_back(piece);
  }
  if (!missing.empty()) distribution_.want(sha256, missing);
}

void Images::came(const std::string& sha256) {
  const auto found = leases_.find(sha256);
  if (found == leases_.end()) return;
  auto& taken = found->second;
  if (!taken.begins) return want_next(sha256, taken);
  if (!image::may_begin(taken.lease->manifest(), *taken.pieces)) return;
  taken.begins = false;
  arrived_(sha256);
}

// A distribution forgets what was wanted of a host that is lost.
void Images::want_again() {
  for (auto& [sha256, taken] : leases_) {
    taken.prefetch.again();
    if (taken.begins) want_to_begin(sha256, taken);
    came(sha256);
  }
  pace_fill();
}

// ---- what comes beside

void Images::boots(const std::string& sha256, const std::string& instance, bool does) {
  if (does == boots_.contains(instance)) return;
  if (does) {
    boots_[instance] = {sha256, runtime_.clock.now()};
  } else {
    boots_.erase(instance);
  }
  pace_fill();
}

void Images::pace_fill() {
  if (config_.image_fill_kib_s == 0) return;
  for (const auto& [sha256, taken] : leases_) {
    const bool slowly = std::ranges::any_of(boots_, [&, &id = sha256](const auto& each) {
      return each.second.sha256 == id && runtime_.clock.now() - each.second.since < kSlowFill;
    });
    distribution_.pace(sha256, slowly ? std::uint64_t{config_.image_fill_kib_s} << 10U : 0);
  }
}

// ---- the order of boots

// After kernel and initrd.
void Images::want_next(const std::string& sha256, Taken& taken) {
  if (taken.begins || taken.lease->complete()) return;
  const auto next = taken.prefetch.next(*taken.pieces);
  if (!next.empty()) distribution_.want(sha256, next);
}

void Images::follow(Taken& taken, const wire::DesiredImage& wanted) {
  auto order = image::unpack_boot_order(wanted.boot_order, taken.pieces->count());
  if (!order) return runtime_.log.warn("image {}: {}", wanted.name, order.error().message);
  if (*order != taken.prefetch.order()) taken.prefetch = image::Prefetch(std::move(*order));
}

// Zeros need no order.
void Images::note_boot_order(const std::string& sha256, const std::vector<std::uint32_t>& touched) {
  const auto found = leases_.find(sha256);
  if (found == leases_.end()) return;
  std::vector<std::uint32_t> order;
  for (const auto piece : touched) {
    if (piece < found->second.pieces->count() && !found->second.pieces->is_zero(piece)) order.push_back(piece);
  }
  if (order.empty() || boot_orders_.size() >= kBootOrdersToSay) return;
  boot_orders_[sha256] = {sha256, image::pack_boot_order(order)};
  changed_();
}

void Images::reported(const std::vector<wire::BootOrder>& orders) {
  for (const auto& each : orders) {
    const auto found = boot_orders_.find(each.sha256);
    if (found != boot_orders_.end() && found->second.ranges == each.ranges) boot_orders_.erase(found);
  }
}

}  // namespace godwit::agent
