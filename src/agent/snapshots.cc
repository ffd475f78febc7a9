#include "agent/snapshots.h"

#include "image/overlay_content.h"
#include "image/shared_blocks.h"
#include "image/shipment.h"

#include <algorithm>

namespace godwit::agent {
namespace {

using wire::SnapshotPhase;

constexpr Millis kFirstRetry{500};
constexpr Millis kLastRetry{10'000};
constexpr Seconds kAdoptLimit{60};
constexpr std::uint64_t kKeepFree_bytes = 1ULL << 30U;  // for what the guest writes meanwhile, and others

std::unexpected<Error> not_wanted() { return fail(Errc::cancelled, "it is not wanted any more"); }

// Its guest has shut itself down, or it is gone: the instance is about to let go of it.
bool has_ended(hypervisor::MachineState state) {
  return state == hypervisor::MachineState::shut_down || state == hypervisor::MachineState::dead;
}

// The cloud, as the host that it has asked.
class OwnCloud final : public image::ShipmentTarget {
 public:
  explicit OwnCloud(CloudLink& link) : link_(link) {}
  sys::Task<Result<std::string>> call(std::string method, std::string path, std::string body) override {
    return link_.image_call(std::move(method), std::move(path), std::move(body));
  }

 private:
  CloudLink& link_;
};

// What the overlay does not have is where the base has it.
std::function<image::PieceKnown(std::uint64_t)> known_in(image::Lease base, const image::OverlayContent* content) {
  return [base = std::move(base), content](std::uint64_t piece) {
    image::PieceKnown known{};
    for (std::size_t i = 0; i < known.size(); ++i) {
      const auto block = piece * image::kPiece_blocks + i;
      const auto offset = block * kPage_bytes;
      if (offset >= content->base_bytes() || offset >= content->bytes()) break;
      if (content->is_of_base(offset)) known[i] = {base.get(), block};
    }
    return known;
  };
}

// Of pieces that were never written to.
std::function<std::optional<image::PieceDigest>(std::uint64_t)> digest_in(image::Lease base,
                                                                          const image::OverlayContent* content) {
  return [base = std::move(base), content](std::uint64_t piece) -> std::optional<image::PieceDigest> {
    const auto from = piece * image::kPiece_bytes;
    const auto end = std::min(from + image::kPiece_bytes, content->bytes());
    if (from >= content->base_bytes()) return std::nullopt;
    for (auto offset = from; offset < end; offset += kPage_bytes) {
      if (!content->is_of_base(offset)) return std::nullopt;
    }
    return base->digest(piece);
  };
}

}  // namespace

Snapshots::Snapshots(InstanceContext& context, Instances& instances, CloudLink& cloud, std::string directory,
                     std::function<migrate::Standing(const std::string& instance)> standing)
    : context_(context),
      runtime_(context.runtime),
      instances_(instances),
      cloud_(cloud),
      directory_(std::move(directory)),
      standing_(std::move(standing)),
      gate_(context.runtime.executor) {}

Result<> Snapshots::start() {
  // QEMUs, each with a uid of its own, find their files here by name, and can't put others in their places.
  auto made = runtime_.files.make_directories(directory_, 0711, 0);
  if (made) made = runtime_.page_files.make_directory(directory_, 0711);
  if (!made) return made;
  const auto left = runtime_.files.list(directory_);
  if (!left) return pass(left);
  for (const auto& name : *left) remove_copy(directory_ + "/" + name);
  return {};
}

sys::Task<void> Snapshots::stop() {
  co_await gate_.close();
  entries_.clear();
}

void Snapshots::set(const std::vector<wire::DesiredSnapshot>& desired) {
  for (auto& [id, entry] : entries_) {
    entry->desired = std::ranges::any_of(desired, [&](const auto& each) { return each.id == id; });
  }
  std::erase_if(entries_, [](const auto& each) { return !each.second->desired && each.second->over; });
  for (const auto& each : desired) {
    if (entries_.contains(each.id) || entries_.size() >= wire::kSnapshotsPerHost) continue;
    auto entry = std::make_shared<Entry>();
    entry->wanted = each;
    entry->report.id = each.id;
    entries_[each.id] = entry;
    gate_.spawn(run(std::move(entry)));
  }
}

std::vector<wire::SnapshotReport> Snapshots::reports() const {
  std::vector<wire::SnapshotReport> out;
  for (const auto& [id, entry] : entries_) {
    if (entry->desired) out.push_back(entry->report);
  }
  return out;
}

void Snapshots::say(Entry& entry, SnapshotPhase phase, std::string problem) {
  if (entry.report.phase == phase && entry.report.problem == problem) return;
  entry.report.phase = phase;
  entry.report.problem = std::move(problem);
  context_.changed();
}

void Snapshots::remove_copy(const std::string& path) {
  for (const auto& removed : {runtime_.files.remove(path), runtime_.page_files.remove(path)}) {
    if (!removed) runtime_.log.warn("{}", removed.error().message);
  }
}

sys::Task<void> Snapshots::run(Shared entry) {
  const auto made = co_await make(entry);
  remove_copy(path_of(*entry));
  entry->over = true;
  if (!made && entry->desired) {
    runtime_.log.warn("snapshot {} of {}: {}", entry->wanted.id, entry->wanted.instance, made.error().message);
    entry->image.reset();
    say(*entry, SnapshotPhase::failed, made.error().message);
  }
  if (!entry->desired) context_.changed();  // set() comes again, and forgets it
}

sys::Task<Result<>> Snapshots::make(Shared entry) {
  const auto base = co_await base_of(entry);
  if (!base) co_return pass(base);
  auto disk = co_await disk_of(entry);
  if (!disk) co_return pass(disk);
  const auto* instance = instances_.find(entry->wanted.instance);
  if (!instance) co_return fail(Errc::not_found, "{} is not on this host any more", entry->wanted.instance);
  auto path = instance->directory() + "/disk.qcow2";
  const auto& spec = instance->record().spec;
  entry->disk_bytes = std::max(std::uint64_t{spec.disk_gib} << 30U, base->recipe.virtual_size_bytes);
  if (disk->machine) {
    path = path_of(*entry);
    const auto copied = co_await copy(entry, disk->machine, &*base, path);
    if (!copied) co_return copied;
    if (!entry->desired) co_return not_wanted();
  }
  const auto stored = co_await store(entry, &*base, path);
  if (!stored) co_return stored;
  *disk = {};
  remove_copy(path_of(*entry));
  co_return co_await send(entry);
}

// Waits for it where it is still on its way to this host.
sys::Task<Result<image::Image>> Snapshots::base_of(Shared entry) {
  for (auto retry = kFirstRetry; entry->desired; retry = std::min(retry * 2, kLastRetry)) {
    const auto* instance = instances_.find(entry->wanted.instance);
    if (!instance) co_return fail(Errc::not_found, "{} is not on this host", entry->wanted.instance);
    auto base = context_.images.find(instance->record().spec.image_sha256);
    if (base || base.error().code != Errc::unavailable) co_return base;
    say(*entry, SnapshotPhase::asked, base.error().message);
    co_await runtime_.clock.sleep_for(retry);
  }
  co_return not_wanted();
}

// ---- copying

// QEMU stops a guest whose writes meet a full disk: so that is looked at before.
Result<> Snapshots::check_room(const std::string& disk) const {
  const auto overlay = runtime_.page_files.open(disk);
  if (!overlay) return {};  // QEMU will say it
  const auto need = (*overlay)->used_bytes() + kKeepFree_bytes;
  const auto free = runtime_.page_files.free_bytes(directory_);
  if (!free) return pass(free);
  if (*free >= need) return {};
  return fail(Errc::exhausted, "the host lacks room for a copy of the disk: it takes {} MiB, and {} MiB are free",
              need >> 20U, *free >> 20U);
}

// An agent that has just begun has not adopted its QEMUs yet; one that is being started is waited for.
sys::Task<Result<Snapshots::Disk>> Snapshots::disk_of(Shared entry) {
  const auto deadline = runtime_.clock.now() + kAdoptLimit;
  while (entry->desired) {
    auto* instance = instances_.find(entry->wanted.instance);
    if (!instance) co_return fail(Errc::not_found, "{} is not on this host any more", entry->wanted.instance);
    auto machine = instance->machine();
    if (machine && !has_ended(machine->state())) co_return Disk{std::move(machine), nullptr};
    if (instance->stopped()) {
      auto held = co_await instance->hold_disk();
      if (held) co_return Disk{nullptr, std::move(*held)};
      if (held.error().code != Errc::conflict) co_return pass(held);
      if (runtime_.clock.now() > deadline) co_return pass(held);
    }
    if (runtime_.clock.now() > deadline) {
      co_return fail(Errc::conflict, "{} neither runs nor is stopped", entry->wanted.instance);
    }
    co_await runtime_.clock.sleep_for(kFirstRetry);
  }
  co_return not_wanted();
}

sys::Task<Result<>> Snapshots::copy(Shared entry, std::shared_ptr<hypervisor::Machine> machine,
                                    const image::Image* base, std::string path) {
  const auto* instance = instances_.find(entry->wanted.instance);
  if (!instance) co_return fail(Errc::not_found, "{} is not on this host any more", entry->wanted.instance);
  if (standing_(entry->wanted.instance) != migrate::Standing::may_run) {
    co_return fail(Errc::conflict, "{} moves: try again where it is then", entry->wanted.instance);
  }
  const auto room = check_room(instance->directory() + "/disk.qcow2");
  if (!room) co_return room;
  const auto made = context_.images.create_overlay(*base, path, entry->disk_bytes, instance->record().uid);
  if (!made) co_return made;
  say(*entry, SnapshotPhase::copying);
  auto copied = co_await machine->start_snapshot(path);
  if (copied) copied = co_await machine->wait_snapshot();
  const auto ended = co_await machine->end_snapshot();
  if (!copied) co_return copied;
  co_return ended;
}

// ---- storing

sys::Task<Result<>> Snapshots::store(Shared entry, const image::Image* base, std::string path) {
  say(*entry, SnapshotPhase::storing);
  auto& files = runtime_.page_files;
  const auto content = image::OverlayContent::open(files, path, base->disk_path, base->recipe.format);
  if (!content) co_return pass(content);
  if ((*content)->bytes() != entry->disk_bytes) {  // QEMU's own, and so the guest's who has broken it
    co_return fail(Errc::io, "the copy is of {} bytes, and the disk has {}", (*content)->bytes(), entry->disk_bytes);
  }
  image::ImportSource source;
  image::ImportFile disk{image::Role::disk, path, "qcow2"};
  disk.open = [&files, path, base]() -> Result<std::unique_ptr<image::Content>> {
    auto opened = image::OverlayContent::open(files, path, base->disk_path, base->recipe.format);
    if (!opened) return pass(opened);
    return std::move(*opened);
  };
  source.files.push_back(std::move(disk));
  if (!base->kernel_path.empty()) source.files.push_back({image::Role::kernel, base->kernel_path, "raw"});
  if (!base->initrd_path.empty()) source.files.push_back({image::Role::initrd, base->initrd_path, "raw"});
  source.cmdline = base->recipe.cmdline;

  image::ImportOptions options;
  auto& images = context_.images.repository();
  const auto* instance = instances_.find(entry->wanted.instance);
  auto below = instance ? images.open(instance->record().spec.image_sha256, "a snapshot on it")
                        : Result<image::Lease>(fail(Errc::not_found, "it has gone"));
  if (below) {
    options.known = known_in(*below, content->get());
    options.digest = digest_in(*below, content->get());
  }
  auto importing = image::import_image(runtime_, images, std::move(source), std::move(options));
  const auto id = co_await std::move(importing);
  if (!id) co_return pass(id);
  auto lease = images.open(*id, "a snapshot");
  if (!lease) co_return pass(lease);
  entry->image = std::move(*lease);
  co_return Result<>{};
}

// ---- sending

// Again and again: a cloud that can't be reached will be.
sys::Task<Result<>> Snapshots::send(Shared entry) {
  OwnCloud target(cloud_);
  for (auto retry = kFirstRetry; entry->desired; retry = std::min(retry * 2, kLastRetry)) {
    say(*entry, SnapshotPhase::sending, entry->report.problem);
    wire::ImageOffer offer{image::print_manifest(entry->image->manifest()), ""};
    std::function<void(const image::ShipmentProgress&)> on_progress = [](const image::ShipmentProgress&) {};
    auto looking =
        image::siblings_of(runtime_.executor, context_.images.repository(), entry->image->id(), *entry->image);
    auto siblings = co_await std::move(looking);
    auto shipment = image::ship(runtime_.executor, *entry->image, std::move(offer), target, std::move(on_progress),
                                std::move(siblings), image::kShipmentOfHost);
    const auto sent = co_await std::move(shipment);
    if (sent) {
      entry->report.image = entry->image->id();
      say(*entry, SnapshotPhase::stored);
      co_return Result<>{};
    }
    const auto code = sent.error().code;
    const bool passes = code == Errc::unavailable || code == Errc::timed_out || code == Errc::closed;
    if (!passes) co_return pass(sent);
    say(*entry, SnapshotPhase::sending, sent.error().message);
    co_await runtime_.clock.sleep_for(retry);
  }
  co_return not_wanted();
}

}  // namespace godwit::agent
