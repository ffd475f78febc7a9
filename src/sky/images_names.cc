// The names of images: further ones, others, and those that go. A content is here while some name means it.
#include "sky/images.h"

#include <algorithm>

namespace godwit::sky {

// It means that content from now on, also at the clouds that have the image under it.
Result<> Images::point(Entry& entry, const image::ImageId& id) {
  auto record = entry.record;
  if (record.id != id) record.check = 0;
  record.id = id;
  const auto saved = store_.save(record);
  if (!saved) return saved;
  const auto before = std::exchange(entry.record, std::move(record)).id;
  if (before == id) return {};
  want_checks();
  drop_unnamed(before);
  for (const auto& cloud : entry.record.clouds) {
    entry.pushes[cloud] = {};
    entry.pushes[cloud].cloud = cloud;
    gate_.spawn(bring(entry.record.name, cloud));
  }
  return {};
}

std::vector<std::string> Images::names_of(const image::ImageId& id) const {
  std::vector<std::string> out;
  for (const auto& [name, entry] : entries_) {
    if (entry.record.id == id) out.push_back(name);
  }
  return out;
}

// ---- further ones

sys::Task<Result<wire::TaggedImage>> Images::tag(std::string name, wire::TagImage request) {
  if (!wire::is_image_name(request.name)) co_return bad_name(request.name);
  const auto* entry = find(name);
  if (!entry) co_return co_await tag_at_clouds(std::move(name), std::move(request));
  if (entry->adding && entry->record.id.empty()) co_return fail(Errc::conflict, "image {}: it is being added", name);
  if (entry->record.id.empty()) co_return no_image(name);
  co_return tag_here(entry->record.id, request);
}

static std::unexpected<Error> means_another(const std::string& name, const std::string& where,
                                            const image::ImageId& id) {
  return fail(Errc::conflict, "tag {}: {} it means {} already (--move gives it the other content)", name, where,
              image::ami_of(id));
}

// At clouds it is there when it is pushed, or something is made of it.
Result<wire::TaggedImage> Images::tag_here(const image::ImageId& id, const wire::TagImage& request) {
  const auto* known = find(request.name);
  if (known && known->adding) return fail(Errc::conflict, "tag {}: one of that name is being added", request.name);
  const auto before = known ? known->record.id : image::ImageId();
  const bool moves = !before.empty() && before != id;
  if (moves && !request.move) return means_another(request.name, "here", before);
  const auto entry = begin(request.name);
  if (!entry) return pass(entry);
  (*entry)->adding = false;
  const auto pointed = point(**entry, id);
  if (!pointed) {
    if (before.empty()) entries_.erase(request.name);
    return pass(pointed);
  }
  changed_();
  return wire::TaggedImage{request.name, id, image::ami_of(id), moves ? image::ami_of(before) : "",
                           (*entry)->record.clouds};
}

// A snapshot that was never pulled, say. All clouds are asked before one is told.
sys::Task<Result<wire::TaggedImage>> Images::tag_at_clouds(std::string name, wire::TagImage request) {
  if (find(request.name)) {
    co_return fail(Errc::conflict, "tag {}: it is kept here, and {:.64} is not (godwit image pull brings it)",
                   request.name, name);
  }
  const auto found = co_await holders(name, accounts_.clouds());
  if (found.empty()) co_return no_image(name);
  std::vector<std::string> clouds;
  for (const auto& each : found) clouds.push_back(each.cloud);
  wire::TaggedImage out{request.name, found.front().id, image::ami_of(found.front().id), "", clouds};
  for (const auto& other : co_await holders(request.name, clouds)) {
    const auto at = std::ranges::find(found, other.cloud, &Holder::cloud);
    if (other.id == at->id) continue;
    if (!request.move) co_return means_another(request.name, "at " + other.cloud, other.id);
    out.before = image::ami_of(other.id);
  }
  for (const auto& each : found) {
    const auto client = accounts_.client(each.cloud);
    if (!client) co_return pass(client);
    wire::ImageName named{request.name, each.id};
    const auto done = co_await client->name_image(named);
    if (!done) co_return pass(done);
  }
  co_return out;
}

// ---- letting go

sys::Task<Result<wire::UntaggedImage>> Images::remove(std::string name) {
  auto* entry = find(name);
  if (!entry) co_return co_await remove_at_clouds(std::move(name));
  if (entry->adding) co_return fail(Errc::conflict, "image {}: it is being added", name);
  const auto removed = store_.remove_image(name);
  if (!removed) co_return pass(removed);
  const auto id = entry->record.id;
  for (const auto& cloud : entry->record.clouds) gate_.spawn(take_away(name, cloud));
  entries_.erase(name);
  want_checks();
  drop_unnamed(id);
  changed_();
  wire::UntaggedImage out{name, {}};
  if (!id.empty()) out.names = names_of(id);
  co_return out;
}

// A snapshot that was never pulled, say.
sys::Task<Result<wire::UntaggedImage>> Images::remove_at_clouds(std::string name) {
  const auto found = co_await holders(name, accounts_.clouds());
  wire::UntaggedImage out{name, {}};
  bool some = false;
  for (const auto& each : found) {
    const auto client = accounts_.client(each.cloud);
    if (!client) continue;
    const auto removed = co_await client->remove_image(name);
    if (!removed && removed.error().code == Errc::not_found) continue;  // everybody's
    if (!removed) co_return pass(removed);
    for (const auto& other : each.also) {
      if (std::ranges::find(out.names, other) == out.names.end()) out.names.push_back(other);
    }
    some = true;
  }
  if (some) co_return out;
  co_return no_image(name);
}

// Once: a cloud that can't be reached keeps it, and says so in its own list.
sys::Task<void> Images::take_away(std::string name, std::string cloud) {
  const auto client = accounts_.client(cloud);
  if (!client) co_return;
  const auto removed = co_await client->remove_image(name);
  if (!removed && removed.error().code != Errc::not_found) {
    log_.warn("image {} stays at {}: {}", name, cloud, removed.error().message);
  }
}

void Images::drop_unnamed(const std::string& id) {
  if (id.empty() || !names_of(id).empty()) return;
  const auto removed = repository_.remove(id);
  if (!removed) log_.warn("image {}: {}", image::ami_of(id), removed.error().message);
}

}  // namespace godwit::sky
