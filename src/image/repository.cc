#include "image/repository.h"

#include "base/id.h"
#include "image/repository_entry.h"

#include <algorithm>

namespace godwit::image {
namespace {

constexpr std::string_view kManifestName = "manifest.json";
constexpr std::string_view kSignatureName = "signature";
constexpr std::size_t kSignature_bytes = 512;
constexpr std::size_t kLeastDigits = 6;  // of an id that is not said in full

}  // namespace

// What a lease shares: when its last copy goes, the image may.
class Repository::Lent {
 public:
  Lent(std::shared_ptr<Entry> entry, std::shared_ptr<StoredImage> lent, const std::string& user, Purpose purpose,
       sys::Clock& clock)
      : image(std::move(lent)),
        entry_(std::move(entry)),
        user_(entry_->users.insert(user)),
        purpose_(purpose),
        clock_(clock) {}
  ~Lent() {
    Entry::take(*image, entry_->status);
    if (purpose_ == Purpose::use) entry_->status.last_used = clock_.wall_now();
    entry_->users.erase(user_);
  }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;

  const std::shared_ptr<StoredImage> image;

 private:
  std::shared_ptr<Entry> entry_;
  std::multiset<std::string>::iterator user_;
  Purpose purpose_;
  sys::Clock& clock_;
};

Repository::Repository(sys::Runtime& runtime, std::string directory, RepositoryLimits limits)
    : runtime_(runtime),
      directory_(std::move(directory)),
      limits_(limits),
      work_(runtime.executor),
      whole_(runtime.executor),
      gate_(runtime.executor) {}

Repository::~Repository() = default;

std::string Repository::file_of(const ImageId& id, std::string_view name) const {
  return fmt::format("{}/{}", path_of(id), name);
}

// ---- taking up

Result<> Repository::start() {
  const auto context = "images in " + directory_;
  if (auto made = runtime_.files.make_directories(directory_, kImageDirectoryMode, 0); !made)
    return fail(made, context);
  if (auto made = runtime_.page_files.make_directory(directory_, kImageDirectoryMode); !made)
    return fail(made, context);
  auto lock = runtime_.page_files.lock_directory(directory_);
  if (!lock) return fail(lock, context);
  lock_ = std::move(*lock);
  const auto names = runtime_.files.list(directory_);
  if (!names) return fail(names, context);
  for (const auto& name : *names) {
    if (is_id(kScratchPrefix, name)) (void)remove_files(name);
    if (!is_image_id(name)) continue;
    if (entries_.size() == kImagesLimit) return fail(Errc::exhausted, "{}: more than {}", context, kImagesLimit);
    if (auto taken = take_up(name); !taken)
      runtime_.log.warn("{}: {}: left out: {}", context, name, taken.error().message);
  }
  gate_.spawn(keep_settled());
  gate_.spawn(keep_shared());
  return {};
}

Result<> Repository::take_up(const ImageId& id) {
  const auto text = runtime_.files.read(file_of(id, kManifestName), kManifest_bytes);
  if (!text && text.error().code == Errc::not_found) return remove_files(id);  // it was being made, or removed
  if (!text) return pass(text);
  auto manifest = parse_manifest(*text);
  if (!manifest) return pass(manifest);
  if (id_of(*text) != id) return fail(Errc::not_authentic, "its manifest is another image's");
  auto entry = std::make_shared<Entry>();
  entry->status.id = id;
  entry->status.manifest = std::move(*manifest);
  entry->manifest = *text;
  entry->shared = runtime_.files.exists(file_of(id, kSharedName));
  if (auto taken = take_up_users(*entry); !taken) return taken;
  const auto image = open_image(*entry);
  if (!image) return pass(image);
  Entry::take(**image, entry->status);
  entries_[id] = std::move(entry);
  return {};
}

sys::Task<void> Repository::stop() {
  co_await gate_.close();
  end_sharing();
  while (!unsettled_.empty()) {
    const auto image = unsettled_.begin()->second;
    unsettled_.erase(unsettled_.begin());
    auto settled = co_await StoredImage::settle(image);
    if (!settled) runtime_.log.warn("{}", settled.error().message);
  }
  lock_.reset();
}

// ---- giving

Result<std::shared_ptr<Repository::Entry>> Repository::entry(const ImageId& id) const {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return fail(Errc::not_found, "image {}: not in {}", ami_of(id), directory_);
  return found->second;
}

Result<std::shared_ptr<StoredImage>> Repository::open_image(Entry& entry) {
  if (auto image = entry.open.lock()) return image;
  const auto& id = entry.status.id;
  StoredImage::Owner owner{[this, id](std::uint64_t bytes) { return make_room(id, bytes); },
                           [this, id] { note_change(id); }};
  auto image = StoredImage::open({runtime_.executor, runtime_.page_files, digester_}, path_of(id), id,
                                 entry.status.manifest, std::move(owner));
  if (image) entry.open = *image;
  return image;
}

Result<Lease> Repository::lend(const std::shared_ptr<Entry>& entry, const std::string& user, Purpose purpose) {
  auto image = open_image(*entry);
  if (!image) return pass(image);
  if (purpose == Purpose::use) tell_use(*entry);
  const auto lent = std::make_shared<Lent>(entry, std::move(*image), user, purpose, runtime_.clock);
  return Lease(lent, lent->image.get());
}

Result<Lease> Repository::open(const ImageId& id, const std::string& user, Purpose purpose) {
  const auto found = entry(id);
  if (!found) return pass(found);
  return lend(*found, user, purpose);
}

Result<Lease> Repository::begin(const std::string& manifest, const ByteVector& signature, const std::string& user) {
  auto parsed = parse_manifest(manifest);
  if (!parsed) return pass(parsed);
  if (signature.size() > kSignature_bytes) return fail(Errc::invalid_argument, "image: a signature too long");
  const auto id = id_of(manifest);
  if (const auto found = entries_.find(id); found != entries_.end()) {
    if (auto signed_now = write_signature(id, signature); !signed_now) return fail(signed_now, "image " + ami_of(id));
    return lend(found->second, user, Purpose::use);
  }
  if (entries_.size() == kImagesLimit) {
    return fail(Errc::exhausted, "images in {}: more than {} (remove some)", directory_, kImagesLimit);
  }
  auto entry = std::make_shared<Entry>();
  entry->status.id = id;
  entry->status.manifest = std::move(*parsed);
  entry->manifest = manifest;
  const auto least = pieces_of(entry->status.manifest) * kDigest_bytes + kPiece_bytes;  // the rest is in the list
  if (auto room = make_room(id, least); !room) return fail(room, "image " + ami_of(id));
  auto begun = runtime_.files.make_directories(path_of(id), kImageDirectoryMode, 0);
  if (begun) begun = runtime_.page_files.make_directory(path_of(id), kImageDirectoryMode);
  if (!begun) return fail(begun, "image " + ami_of(id));
  const auto image = open_image(*entry);
  if (image) begun = write_begin(id, manifest, signature);
  if (!image || !begun) {
    (void)remove_files(id);
    return image ? fail(begun, "image " + ami_of(id)) : pass(image);
  }
  Entry::take(**image, entry->status);
  entries_[id] = entry;
  return lend(entry, user, Purpose::use);
}

// One that is there stays, until a newer one comes.
Result<> Repository::write_signature(const ImageId& id, const ByteVector& signature) {
  if (signature.empty()) return {};
  return runtime_.files.write_atomic(file_of(id, kSignatureName), as_text(signature), kImageFileMode);
}

// The manifest comes last: with it the image is there. Its files are by then, so one sync of the directory is enough.
Result<> Repository::write_begin(const ImageId& id, const std::string& manifest, const ByteVector& signature) {
  if (auto written = write_signature(id, signature); !written) return written;
  if (auto written = runtime_.files.write_atomic(file_of(id, kManifestName), manifest, kImageFileMode); !written) {
    return written;
  }
  return runtime_.files.sync_file(directory_);
}

Result<std::string> Repository::manifest_of(const ImageId& id) {
  const auto found = entry(id);
  if (!found) return pass(found);
  return (*found)->manifest;
}

Result<ByteVector> Repository::signature_of(const ImageId& id) {
  const auto found = entry(id);
  if (!found) return pass(found);
  const auto text = runtime_.files.read(file_of(id, kSignatureName), kSignature_bytes);
  if (!text && text.error().code == Errc::not_found) return ByteVector();
  if (!text) return pass(text);
  const auto bytes = as_bytes(*text);
  return ByteVector(bytes.begin(), bytes.end());
}

std::vector<ImageStatus> Repository::list() const {
  std::vector<ImageStatus> all;
  all.reserve(entries_.size());
  for (const auto& [id, each] : entries_) all.push_back(each->look());
  return all;
}

std::optional<ImageStatus> Repository::find(const ImageId& id) const {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return std::nullopt;
  return found->second->look();
}

Result<ImageId> Repository::resolve(std::string_view name) const {
  auto digits = name;
  if (digits.starts_with("ami-")) digits.remove_prefix(4);
  if (digits.size() < kLeastDigits) {
    return fail(Errc::invalid_argument, "image \"{:.64}\": an id, or its first {} digits at least", name, kLeastDigits);
  }
  const auto first = entries_.lower_bound(ImageId(digits));
  if (first == entries_.end() || !first->first.starts_with(digits)) {
    return fail(Errc::not_found, "image \"{:.64}\": not in {}", name, directory_);
  }
  if (const auto next = std::next(first); next != entries_.end() && next->first.starts_with(digits)) {
    return fail(Errc::invalid_argument, "image \"{:.64}\": {} and {} begin so", name, first->first, next->first);
  }
  return first->first;
}

// ---- removing

Result<> Repository::remove(const ImageId& id) {
  const auto found = entry(id);
  if (!found) return pass(found);
  if ((*found)->in_use()) end_sharing();  // which may be all that uses it
  if ((*found)->in_use()) {
    const auto users = (*found)->look().users;
    return fail(Errc::conflict, "remove image {}: {} uses it{}", ami_of(id), users.front(),
                users.size() > 1 ? fmt::format(", and {} more", users.size() - 1) : "");
  }
  unsettled_.erase(id);
  entries_.erase(id);
  return remove_files(id);
}

// The manifest goes first: without it, what is left after a crash goes at the next start.
Result<> Repository::remove_files(const ImageId& id) {
  auto gone = runtime_.files.remove(file_of(id, kManifestName));
  if (gone && runtime_.files.exists(path_of(id))) gone = runtime_.files.sync_file(path_of(id));
  for (const auto* const name : {"disk", "kernel", "initrd", "pieces", "blocks", "here", "source", "raw"}) {
    if (gone) gone = runtime_.page_files.remove(file_of(id, name));
  }
  if (gone) gone = runtime_.files.remove_tree(path_of(id));
  if (!gone) return fail(gone, "remove image " + ami_of(id));
  return {};
}

// ---- for good

sys::Task<Result<>> Repository::settle(Lease image) { return StoredImage::settle(std::move(image)); }

void Repository::note_change(const ImageId& id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  const bool first = unsettled_.empty();
  if (auto image = found->second->open.lock()) unsettled_.try_emplace(id, std::move(image));
  if (first || much_is_unsettled()) work_.notify();
}

bool Repository::much_is_unsettled() const {
  return std::ranges::any_of(unsettled_,
                             [](const auto& each) { return each.second->unsettled_bytes() >= kSettle_bytes; });
}

sys::Task<void> Repository::keep_settled() {
  for (;;) {
    while (unsettled_.empty()) co_await work_.wait();
    const auto deadline = runtime_.clock.now() + kSettleEvery;
    while (runtime_.clock.now() < deadline && !much_is_unsettled()) {
      co_await work_.wait_until(runtime_.clock, deadline);
    }
    const auto images = unsettled_;
    bool failed = false;
    for (const auto& [id, image] : images) {
      auto settled = co_await StoredImage::settle(image);
      if (!settled) runtime_.log.warn("{}: tried again in {} ms", settled.error().message, kSettleEvery.count());
      failed = failed || !settled;
      const auto now = unsettled_.find(id);
      if (now != unsettled_.end() && now->second == image && !image->needs_settling()) unsettled_.erase(now);
    }
    whole_.notify();
    if (failed) co_await runtime_.clock.sleep_for(kSettleEvery);
  }
}

}  // namespace godwit::image
