// Images that were brought to clouds stay there: what a cloud has lost of them comes again.
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

sys::Task<Result<wire::CloudImageCheck>> Images::check_at(std::string cloud, std::string name, bool begins) {
  const auto client = accounts_.client(cloud);
  if (!client) co_return pass(client);
  co_return co_await client->check_image(name, begins);
}

sys::Task<Result<wire::SkyImageCheck>> Images::check(std::string name, bool begins) {
  const auto* entry = find(name);
  if (!entry || entry->record.id.empty()) co_return no_image(name);
  wire::SkyImageCheck out{name, {}};
  const auto clouds = entry->record.clouds;
  for (const auto& cloud : clouds) {
    auto said = co_await check_at(cloud, name, begins);
    if (!said) said = wire::CloudImageCheck{cloud, "", 0, {}, said.error().message};
    out.clouds.push_back(std::move(*said));
  }
  co_return out;
}

}  // namespace godwit::sky
