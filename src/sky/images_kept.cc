// Images that were brought to clouds stay there, and those that are kept here stay here: what a cloud or this sky has
// lost of one comes again from the other.
#include "image/retrieval.h"
#include "sky/cloud_store.h"
#include "sky/images.h"

#include <algorithm>
#include <set>

namespace godwit::sky {
namespace {

constexpr Seconds kLookEvery{60};
constexpr std::chrono::hours kLeftoverKept{24};

}  // namespace

sys::Task<void> Images::keep() {
  for (;;) {
    co_await runtime_.clock.sleep_for(kLookEvery);
    std::set<std::string> clouds;
    for (const auto& [name, entry] : entries_) clouds.insert(entry.record.clouds.begin(), entry.record.clouds.end());
    for (const auto& cloud : clouds) co_await look_at(cloud);
    drop_leftovers();
    mend_damaged();
  }
}

// One call for all images. A cloud where the name means another content now is left alone: somebody has put it there.
sys::Task<void> Images::look_at(std::string cloud) {
  const auto client = accounts_.client(cloud);
  if (!client) co_return;
  const auto said = co_await client->images();
  if (!said) co_return;
  for (auto& [name, entry] : entries_) {
    const auto push = entry.pushes.find(cloud);
    if (push == entry.pushes.end() || push->second.state != wire::PushState::done) continue;
    if (!wanted(name, cloud, entry.record.id)) continue;
    const auto there = std::ranges::find(said->images, name, &wire::CloudImage::name);
    const bool is_whole = there != said->images.end() && there->whole;
    const bool is_other = there != said->images.end() && there->own && there->id != entry.record.id;
    if (is_whole || is_other) continue;
    log_.warn("image {}: {} has lost {}: it is brought again", name, cloud,
              there == said->images.end() ? "its name" : "some of it");
    push->second.state = wire::PushState::sending;
    changed_();
    gate_.spawn(bring(name, cloud));
  }
}

// What a sky that ended while it took an image in has left.
void Images::drop_leftovers() {
  const auto before = runtime_.clock.wall_now() - kLeftoverKept;
  for (const auto& image : repository_.list()) {
    if (image.users.empty() && image.last_used <= before) drop_unnamed(image.id);
  }
}

// ---- what was lost here

void Images::mend_damaged() {
  std::set<image::ImageId> damaged;
  for (const auto& [name, entry] : entries_) {
    const auto stored = entry.record.id.empty() ? std::nullopt : repository_.find(entry.record.id);
    if (stored && !stored->complete()) damaged.insert(entry.record.id);
  }
  for (const auto& id : damaged) gate_.spawn(mend(id));
}

std::set<std::string> Images::clouds_with(const image::ImageId& id) const {
  std::set<std::string> out;
  for (const auto& [name, entry] : entries_) {
    if (entry.record.id == id) out.insert(entry.record.clouds.begin(), entry.record.clouds.end());
  }
  return out;
}

// From the first cloud that has all of it.
sys::Task<void> Images::mend(image::ImageId id) {
  if (!mended_.insert(id).second) co_return;
  for (const auto& cloud : clouds_with(id)) {
    const auto client = accounts_.client(cloud);
    if (!client) continue;
    CloudStore store(*client, runtime_.clock, send_rate_);
    auto retrieving = image::retrieve(runtime_, repository_, id, store, {});
    const auto whole = co_await std::move(retrieving);
    if (whole) log_.info("image {}: what was bad of it has come again from {}", image::ami_of(id), cloud);
    if (whole) break;
    log_.warn("image {}: {}", image::ami_of(id), whole.error().message);
  }
  mended_.erase(id);
  changed_();
}

}  // namespace godwit::sky
