#include "sky/images.h"

#include "image/export.h"
#include "image/import.h"
#include "image/retrieval.h"
#include "image/shared_blocks.h"
#include "image/shipment.h"
#include "sky/cloud_store.h"

#include <algorithm>

namespace godwit::sky {

Images::Images(sys::Runtime& runtime, Store& store, Accounts& accounts, image::Repository& repository, Pace pace,
               std::vector<ImageRecord> known, std::function<void()> changed)
    : runtime_(runtime),
      store_(store),
      accounts_(accounts),
      repository_(repository),
      pace_(pace),
      changed_(std::move(changed)),
      arrived_(runtime.executor),
      checks_(runtime, repository, [this](const image::ImageId& id) { end_check(id); }),
      log_(runtime.log.named("images")),
      gate_(runtime.executor) {
  for (auto& record : known) {
    const auto name = record.name;
    entries_[name].record = std::move(record);
  }
}

std::unexpected<Error> Images::no_image(const std::string& name) {
  return fail(
      Errc::not_found,
      "image \"{:.64}\": there is none of that name here (godwit image list shows them; godwit image pull brings "
      "one that a cloud has)",
      name);
}

std::unexpected<Error> Images::bad_name(const std::string& name) {
  return fail(Errc::invalid_argument, "image \"{:.64}\": the name must be {}", name, wire::kImageNameRule);
}

void Images::start() {
  for (auto& [name, entry] : entries_) {
    for (const auto& cloud : entry.record.clouds) {
      entry.pushes[cloud].cloud = cloud;
      gate_.spawn(bring(name, cloud));
    }
  }
  checks_.start();
  want_checks();
  gate_.spawn(keep());
}

sys::Task<void> Images::stop() {
  co_await checks_.stop();
  co_await gate_.close();
}

// ---- taking in

Result<wire::SkyImage> Images::add(const wire::AddImage& request) {
  if (!wire::is_image_name(request.name)) return bad_name(request.name);
  if (!request.path.starts_with('/')) {
    return fail(Errc::invalid_argument, "image {}: \"{}\" is no absolute path", request.name, request.path);
  }
  auto entry = begin(request.name);
  if (!entry) return pass(entry);
  gate_.spawn(take_in(request.name, request.path));
  return view_of(**entry);
}

// Something of that name is to come.
Result<Images::Entry*> Images::begin(const std::string& name) {
  if (!entries_.contains(name) && entries_.size() >= kMost) {
    return fail(Errc::exhausted, "image {}: there are {} already (godwit image rm)", name, kMost);
  }
  auto& entry = entries_[name];
  if (entry.adding) return fail(Errc::conflict, "image {}: one of that name is being added", name);
  entry.record.name = name;
  entry.adding = true;
  entry.problem.clear();
  return &entry;
}

sys::Task<void> Images::take_in(std::string name, std::string path) {
  const auto taken = co_await import(std::move(path));
  auto* entry = find(name);
  if (!entry) co_return;
  entry->adding = false;
  if (!taken) {
    entry->problem = taken.error().message;
    log_.warn("image {}: {}", name, entry->problem);
    changed_();
    co_return;
  }
  const auto pointed = point(*entry, *taken);
  if (!pointed) entry->problem = pointed.error().message;
  changed_();
}

sys::Task<Result<image::ImageId>> Images::import(std::string path) {
  auto source = image::source_of(runtime_.files, path);
  if (!source) co_return pass(source);
  image::ImportOptions options;
  co_return co_await image::import_image(runtime_, repository_, std::move(*source), std::move(options));
}

// ---- bringing to clouds

Result<wire::SkyImage> Images::push(const std::string& name, const wire::PushImage& request) {
  const auto clouds = request.clouds.empty() ? accounts_.clouds() : request.clouds;
  if (clouds.empty()) {
    return fail(Errc::not_found, "image {}: no account on any cloud (godwit account add)", name);
  }
  for (const auto& cloud : clouds) {
    const auto client = accounts_.client(cloud);
    if (!client) return pass(client);
  }
  auto* entry = find(name);
  if (!entry || entry->record.id.empty()) {
    const auto pulled = pull(name, {});
    if (pulled) find(name)->then_to = clouds;
    return pulled;
  }
  for (const auto& cloud : clouds) {
    auto& known = entry->record.clouds;
    if (std::find(known.begin(), known.end(), cloud) == known.end()) known.push_back(cloud);
  }
  const auto saved = store_.save(entry->record);
  if (!saved) return pass(saved);
  for (const auto& cloud : clouds) {
    const auto known = entry->pushes.find(cloud);
    const bool under_way = known != entry->pushes.end() && known->second.state != wire::PushState::done;
    if (under_way) continue;
    entry->pushes[cloud] = {};
    entry->pushes[cloud].cloud = cloud;
    gate_.spawn(bring(name, cloud));
  }
  changed_();
  return view_of(*entry);
}

bool Images::comes_to(const std::string& name, const std::string& cloud) {
  const auto* entry = find(name);
  if (!entry) return false;
  if (entry->record.id.empty()) return entry->adding;
  const auto& brought = entry->record.clouds;
  if (std::find(brought.begin(), brought.end(), cloud) == brought.end()) {
    const auto pushed = push(name, {{cloud}});
    if (!pushed) log_.warn("image {} to {}: {}", name, cloud, pushed.error().message);
    return pushed.has_value();
  }
  const auto* push = find_push(name, cloud);
  return push && push->state == wire::PushState::sending;
}

sys::Task<void> Images::bring(std::string name, std::string cloud) {
  auto retry = pace_.retry;
  const auto* entry = find(name);
  const auto id = entry ? entry->record.id : std::string();
  while (wanted(name, cloud, id)) {
    const auto done = co_await bring_once(name, cloud);
    auto* push = find_push(name, cloud);
    if (!push || !wanted(name, cloud, id)) co_return;
    push->state = done ? wire::PushState::done : wire::PushState::failing;
    push->problem = done ? std::string() : done.error().message;
    changed_();
    if (done) co_return;
    log_.warn("image {} to {}: {}", name, cloud, push->problem);
    co_await runtime_.clock.sleep_for(retry);
    retry = std::min(retry * 2, pace_.retry_most);
  }
}

std::shared_ptr<void> Images::take_way(const std::string& id, const std::string& cloud) {
  on_their_way_.emplace(id, cloud);
  return {nullptr, [this, id, cloud](void*) {
            on_their_way_.erase({id, cloud});
            arrived_.notify();
          }};
}

sys::Task<Result<>> Images::bring_once(std::string name, std::string cloud) {
  const auto client = accounts_.client(cloud);
  if (!client) co_return pass(client);
  const auto* entry = find(name);
  const auto id = entry->record.id;
  // What comes there under another name need not come twice.
  while (on_their_way_.contains({id, cloud})) co_await arrived_.wait();
  if (!wanted(name, cloud, id)) co_return Result<>{};
  const auto way = take_way(id, cloud);
  const auto stored = repository_.open(id, "bringing it to " + cloud);
  if (!stored) co_return pass(stored);
  CloudStore target(*client, runtime_.clock, send_rate_);
  std::function<void(const image::ShipmentProgress&)> on_progress = [this, name,
                                                                     cloud](const image::ShipmentProgress& progress) {
    auto* push = find_push(name, cloud);
    if (!push) return;
    push->state = wire::PushState::sending;
    push->pieces = progress.pieces;
    push->here = progress.here;
    push->sent_bytes = progress.wire_bytes;
    changed_();
  };
  wire::ImageOffer offer{image::print_manifest((*stored)->manifest()), ""};
  auto looking = image::siblings_of(runtime_.executor, repository_, id, **stored);
  auto siblings = co_await std::move(looking);
  auto shipment =
      image::ship(runtime_.executor, **stored, std::move(offer), target, std::move(on_progress), std::move(siblings));
  const auto shipped = co_await std::move(shipment);
  if (!shipped) co_return pass(shipped);
  if (!wanted(name, cloud, id)) co_return Result<>{};
  wire::ImageName named{name, id};
  co_return co_await client->name_image(named);
}

bool Images::wanted(const std::string& name, const std::string& cloud, const std::string& id) const {
  const auto entry = entries_.find(name);
  if (entry == entries_.end() || entry->second.record.id != id) return false;
  const auto& clouds = entry->second.record.clouds;
  return std::find(clouds.begin(), clouds.end(), cloud) != clouds.end();
}

// ---- bringing here

Result<wire::SkyImage> Images::pull(const std::string& name, const wire::PullImage& request) {
  if (!wire::is_image_name(name)) return no_image(name);
  if (const auto* known = find(name); known && !known->record.id.empty()) {
    return fail(Errc::conflict, "pull image {}: there is one of that name here (godwit image rm, or push it)", name);
  }
  if (!request.cloud.empty()) {
    const auto client = accounts_.client(request.cloud);
    if (!client) return pass(client);
  }
  auto entry = begin(name);
  if (!entry) return pass(entry);
  (*entry)->then_to.clear();
  gate_.spawn(pull_in(name, request.cloud));
  changed_();
  return view_of(**entry);
}

sys::Task<std::vector<Images::Holder>> Images::holders(std::string name, std::vector<std::string> clouds) {
  std::vector<Holder> out;
  for (const auto& cloud : clouds) {
    const auto client = accounts_.client(cloud);
    if (!client) continue;
    const auto list = co_await client->images();
    if (!list) {
      log_.warn("{}", list.error().message);
      continue;
    }
    const auto found = std::ranges::find(list->images, name, &wire::CloudImage::name);
    if (found == list->images.end() || !found->by_content) continue;
    out.push_back({cloud, found->id, {}});
    for (const auto& other : list->images) {
      if (other.id == found->id && other.name != name) out.back().also.push_back(other.name);
    }
  }
  co_return out;
}

sys::Task<void> Images::pull_in(std::string name, std::string cloud) {
  auto pulled = co_await pull_once(name, std::move(cloud));
  auto* entry = find(name);
  if (!entry) co_return;
  entry->adding = false;
  if (!pulled) entry->pull = {};
  const auto taken = pulled ? take_up(*entry, *pulled) : Result<>(pass(pulled));
  if (!taken) {
    entry->problem = taken.error().message;
    log_.warn("image {}: {}", name, entry->problem);
  }
  changed_();
  const auto next = std::exchange(entry->then_to, {});
  if (!taken || next.empty()) co_return;
  const auto pushed = push(name, {next});
  if (!pushed) log_.warn("image {}: {}", name, pushed.error().message);
}

sys::Task<Result<Images::Holder>> Images::pull_once(std::string name, std::string cloud) {
  const auto asked = cloud.empty() ? accounts_.clouds() : std::vector<std::string>{cloud};
  const auto found = co_await holders(name, asked);
  if (found.empty()) {
    co_return fail(Errc::not_found, "pull image {}: {} has none of that name that can be fetched", name,
                   cloud.empty() ? "no cloud that can be asked" : cloud);
  }
  const auto& from = found.front();
  const auto client = accounts_.client(from.cloud);
  if (!client) co_return pass(client);
  CloudStore store(*client, runtime_.clock, send_rate_);
  std::function<void(const image::RetrievalProgress&)> on_progress = [this, name,
                                                                      at = from.cloud](const auto& progress) {
    auto* entry = find(name);
    if (!entry) return;
    entry->pull = {at, progress.pieces, progress.here, progress.wire_bytes};
    changed_();
  };
  auto retrieving = image::retrieve(runtime_, repository_, from.id, store, std::move(on_progress));
  const auto stored = co_await std::move(retrieving);
  if (!stored) co_return fail(stored, "pull image " + name + " from " + from.cloud);
  co_return from;
}

// The cloud that it came from has it.
Result<> Images::take_up(Entry& entry, const Holder& from) {
  entry.record.id = from.id;
  entry.record.clouds = {from.cloud};
  auto& push = entry.pushes[from.cloud];
  push = {from.cloud, wire::PushState::done, 0, 0, 0, ""};
  if (const auto stored = repository_.find(from.id)) push.pieces = push.here = stored->pieces;
  return store_.save(entry.record);
}

// ---- writing to files

Result<wire::SkyImage> Images::write_out(const std::string& name, wire::ExportImage request) {
  auto* entry = find(name);
  if (!entry || entry->record.id.empty()) return no_image(name);
  if (request.format.empty()) request.format = "raw";
  if (request.format != "raw" && request.format != "qcow2") {
    return fail(Errc::invalid_argument, "export image {}: format \"{}\" (raw or qcow2)", name, request.format);
  }
  if (!request.path.starts_with('/')) {
    return fail(Errc::invalid_argument, "export image {}: \"{}\" is no absolute path", name, request.path);
  }
  if (runtime_.files.exists(request.path)) {
    return fail(Errc::conflict, "export image {}: there is a file {} already (remove it, or name another)", name,
                request.path);
  }
  auto stored = repository_.open(entry->record.id, "exporting it");
  if (!stored) return fail(stored, "export image " + name);
  if (!image::file_of((*stored)->manifest(), image::Role::disk)) {
    return fail(Errc::invalid_argument, "export image {}: it has no disk", name);
  }
  auto& exports = entry->exports;
  const auto over = [](const wire::ImageExport& each) { return each.state != wire::ExportState::writing; };
  std::erase_if(exports, [&](const auto& each) { return over(each) && each.path == request.path; });
  if (exports.size() == kExportsKept) {
    const auto oldest = std::ranges::find_if(exports, over);
    if (oldest == exports.end()) {
      return fail(Errc::exhausted, "export image {}: it is being written to {} files", name, kExportsKept);
    }
    exports.erase(oldest);
  }
  exports.push_back({request.path, request.format, wire::ExportState::writing, (*stored)->count(), 0, ""});
  gate_.spawn(write_disk(name, std::move(*stored), std::move(request)));
  changed_();
  return view_of(*entry);
}

sys::Task<void> Images::write_disk(std::string name, image::Lease stored, wire::ExportImage request) {
  const auto id = stored->id();
  std::function<void(const image::ExportProgress&)> on_progress = [this, name,
                                                                   path = request.path](const auto& progress) {
    auto* known = find_export(name, path);
    if (!known) return;
    known->pieces = progress.pieces;
    known->written = progress.done;
    changed_();
  };
  auto writing = image::export_file(runtime_, std::move(stored), image::Role::disk, request.path, request.format,
                                    std::move(on_progress));
  const auto written = co_await std::move(writing);
  if (!written) log_.warn("{}", written.error().message);
  if (auto* known = find_export(name, request.path)) {
    known->state = written ? wire::ExportState::done : wire::ExportState::failed;
    if (written) known->written = known->pieces;
    if (!written) known->problem = written.error().message;
  }
  drop_unnamed(id);  // where its name went meanwhile
  changed_();
}

// ---- what is known

Images::Entry* Images::find(const std::string& name) {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

wire::ImagePush* Images::find_push(const std::string& name, const std::string& cloud) {
  auto* entry = find(name);
  if (!entry) return nullptr;
  const auto found = entry->pushes.find(cloud);
  return found == entry->pushes.end() ? nullptr : &found->second;
}

wire::ImageExport* Images::find_export(const std::string& name, const std::string& path) {
  auto* entry = find(name);
  if (!entry) return nullptr;
  const auto found = std::ranges::find(entry->exports, path, &wire::ImageExport::path);
  return found == entry->exports.end() ? nullptr : &*found;
}

wire::SkyImage Images::view_of(const Entry& entry) const {
  wire::SkyImage view{entry.record.name, entry.record.id, "", 0, entry.problem, {}, entry.exports, entry.pull};
  if (!view.id.empty()) {
    view.ami = image::ami_of(view.id);
    const auto stored = repository_.find(view.id);
    if (!stored) view.problem = "its content is gone (add it again)";
    if (stored) view.bytes = image::bytes_of(stored->manifest);
  }
  for (const auto& [cloud, push] : entry.pushes) view.pushes.push_back(push);
  return view;
}

wire::SkyImageList Images::list() const {
  wire::SkyImageList out;
  for (const auto& [name, entry] : entries_) out.images.push_back(view_of(entry));
  return out;
}

Result<wire::SkyImage> Images::view(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return no_image(name);
  return view_of(found->second);
}

}  // namespace godwit::sky
