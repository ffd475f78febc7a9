#include "image/stored_image.h"

#include "base/assert.h"
#include "base/zero.h"

#include <algorithm>

namespace godwit::image {
namespace {

constexpr std::string_view kListName = "pieces";
constexpr std::string_view kBlocksName = "blocks";
constexpr std::string_view kHereName = "here";
constexpr std::size_t kListPart = 8192;  // pieces of a list that are read at once

bool is_zeros(ByteView bytes) { return bytes.empty() || is_zero(bytes); }  // also of nothing

}  // namespace

StoredImage::StoredImage(const Parts& parts, std::string directory, ImageId id, Manifest manifest, Owner owner)
    : page_files_(parts.files),
      directory_(std::move(directory)),
      id_(std::move(id)),
      manifest_(std::move(manifest)),
      owner_(std::move(owner)),
      list_(pieces_of(manifest_)),
      zero_(list_.size()),
      touched_(list_.size()),
      here_(list_.size()),
      digester_(parts.digester),
      settled_(parts.executor) {}

std::string StoredImage::path(Role role) const {
  GODWIT_ASSERT(file_of(manifest_, role));
  return fmt::format("{}/{}", directory_, to_string(role));
}

// ---- opening

Result<std::shared_ptr<StoredImage>> StoredImage::open(Parts parts, std::string directory, ImageId id,
                                                       Manifest manifest, Owner owner) {
  const auto context = fmt::format("image {}", ami_of(id));
  std::shared_ptr<StoredImage> image(
      new StoredImage(parts, std::move(directory), std::move(id), std::move(manifest), std::move(owner)));
  if (auto opened = image->open_files(); !opened) return fail(opened, context);
  return image;
}

Result<> StoredImage::open_files() {
  bool all = true;
  bool any = false;
  for (const auto& each : manifest_.files) {
    const auto there = open_file(to_string(each.role), each.bytes, files_.emplace_back());
    if (!there) return pass(there);
    all = all && *there;
    any = any || *there;
  }
  const auto list = open_file(kListName, count() * kDigest_bytes, list_file_);
  if (!list) return pass(list);
  const auto blocks = open_file(kBlocksName, count() * kPieceBlocks_bytes, blocks_file_);
  if (!blocks) return pass(blocks);
  // What was written and not settled may be there.
  if (any) touched_.assign(count(), true);
  if (auto taken = take_up_list(); !taken) return taken;
  // Without one of the files what is said of them all counts for nothing.
  if (!all) {
    if (auto removed = page_files_.remove(fmt::format("{}/{}", directory_, kHereName)); !removed) return removed;
  }
  return take_up_here();
}

Result<bool> StoredImage::open_file(std::string_view name, std::uint64_t bytes, File& into) {
  const auto path = fmt::format("{}/{}", directory_, name);
  auto found = page_files_.reopen(path);
  if (found && (*found)->size() == bytes) {
    into.file = std::move(*found);
    return true;
  }
  auto made = page_files_.create(path, kImageFileMode);
  if (!made) return pass(made);
  if (auto sized = (*made)->resize(bytes); !sized) return pass(sized);
  into = {std::move(*made), true};
  return false;
}

// Any list that has the manifest's roots is the right one, whoever wrote it and however far.
Result<> StoredImage::take_up_list() {
  ByteVector list(count() * kDigest_bytes);
  constexpr std::size_t kPart = kListPart * kDigest_bytes;
  for (std::size_t at = 0; at < list.size(); at += kPart) {
    const auto part = ByteSpan(list).subspan(at, std::min(kPart, list.size() - at));
    if (auto read = list_file_.file->read_at(at, part); !read) return read;
  }
  if (check_list(manifest_, list)) take_list(list);
  return {};
}

Result<> StoredImage::take_up_here() {
  const auto path = fmt::format("{}/{}", directory_, kHereName);
  const auto bytes = HereMap::file_bytes(count());
  auto found = page_files_.reopen(path);
  if (!found || (*found)->size() != bytes) {
    auto made = page_files_.create(path, kImageFileMode);
    if (!made) return pass(made);
    here_file_ = std::move(*made);
    return here_file_->resize(bytes);
  }
  ByteVector file(bytes);
  if (auto read = (*found)->read_at(0, file); !read) return read;
  here_file_ = std::move(*found);
  here_ = HereMap::parse(file, count());
  for (std::uint64_t piece = 0; has_list_ && piece < count(); ++piece) {
    if (zero_[piece]) here_.set(piece, false);  // it is here without being named
  }
  return {};
}

// ---- the list

void StoredImage::take_list(ByteView list) {
  solid_ = 0;
  for (std::uint64_t piece = 0; piece < count(); ++piece) {
    std::ranges::copy(list.subspan(piece * kDigest_bytes, kDigest_bytes), list_[piece].begin());
    zero_[piece] = list_[piece] == zero_piece();
    if (!zero_[piece]) ++solid_;
  }
  has_list_ = true;
}

Result<> StoredImage::set_list(ByteView list) {
  if (has_list_) return {};
  const auto context = fmt::format("image {}", ami_of(id_));
  if (auto good = check_list(manifest_, list); !good) return fail(good, context);
  take_list(list);
  has_list_ = false;  // until it is clear that there is room
  if (auto admitted = owner_.admit(need_bytes()); !admitted) {
    solid_ = 0;
    return fail(admitted, context);
  }
  if (auto written = list_file_.file->write_at(0, list); !written) return fail(written, context);
  list_file_.dirty = true;
  has_list_ = true;
  return {};
}

std::uint64_t StoredImage::need_bytes() const {
  return solid_ * (kPiece_bytes + kPieceBlocks_bytes) + count() * kDigest_bytes + HereMap::file_bytes(count());
}

std::uint64_t StoredImage::used_bytes() const {
  std::uint64_t used = list_file_.file->used_bytes() + blocks_file_.file->used_bytes() + here_file_->used_bytes();
  for (const auto& each : files_) used += each.file->used_bytes();
  return used;
}

// ---- pieces

Result<> StoredImage::read_piece(std::uint64_t piece, ByteSpan into) const {
  const auto place = place_of(manifest_, piece);
  std::ranges::fill(into.subspan(place.bytes), std::byte{0});
  return files_[place.file].file->read_at(place.offset, into.first(place.bytes));
}

Result<> StoredImage::read(std::uint64_t piece, ByteSpan into) {
  GODWIT_ASSERT(into.size() == kPiece_bytes && piece < count());
  if (!has(piece)) return fail(Errc::not_found, "image {}: piece {} is not here", ami_of(id_), piece);
  if (zero_[piece]) {
    std::ranges::fill(into, std::byte{0});
    return {};
  }
  if (auto read = read_piece(piece, into); !read) return read;
  if (digester_.digest(into) == list_[piece]) return {};
  say_bad(piece);
  return fail(Errc::not_authentic, "image {}: piece {} is not what was written: the disk has altered it", ami_of(id_),
              piece);
}

Result<> StoredImage::put(std::uint64_t piece, ByteView bytes) {
  GODWIT_ASSERT(bytes.size() == kPiece_bytes && has_list_ && piece < count());
  if (has(piece)) return {};
  std::array<std::byte, kPieceBlocks_bytes> blocks;
  const auto place = place_of(manifest_, piece);
  if (digester_.digest(bytes, blocks) != list_[piece] || !is_zeros(bytes.subspan(place.bytes))) {
    return fail(Errc::not_authentic, "image {}: piece {} has another digest", ami_of(id_), piece);
  }
  if (auto written = write_piece(piece, place, bytes); !written) return fail(written, "image " + ami_of(id_));
  blocks_file_.dirty = true;
  if (auto told = blocks_file_.file->write_at(piece * kPieceBlocks_bytes, blocks); !told) {
    return fail(told, "image " + ami_of(id_));
  }
  say_here(piece);
  return {};
}

// Blocks of zeros stay holes where nothing was written before.
Result<> StoredImage::write_piece(std::uint64_t piece, const PiecePlace& place, ByteView bytes) {
  auto& file = files_[place.file];
  file.dirty = true;
  const bool may_skip = !touched_[piece];
  touched_[piece] = true;
  bytes = bytes.first(place.bytes);
  if (!may_skip) return file.file->write_at(place.offset, bytes);
  std::size_t run = 0;  // where what is not yet written begins
  for (std::size_t at = 0; at < bytes.size(); at += kPage_bytes) {
    const auto end = std::min(at + kPage_bytes, bytes.size());
    if (!is_zeros(bytes.subspan(at, end - at))) continue;
    if (auto written = file.file->write_at(place.offset + run, bytes.subspan(run, at - run)); !written) return written;
    run = end;
  }
  return file.file->write_at(place.offset + run, bytes.subspan(run));
}

void StoredImage::say_bad(std::uint64_t piece) {
  here_.set(piece, false);
  owner_.changed();
}

void StoredImage::say_here(std::uint64_t piece) {
  here_.set(piece, true);
  fresh_.push_back(piece);
  owner_.changed();
}

Result<> StoredImage::read_blocks(std::uint64_t piece, ByteSpan into) {
  GODWIT_ASSERT(into.size() == kPieceBlocks_bytes);
  if (!has(piece)) return fail(Errc::not_found, "image {}: piece {} is not here", ami_of(id_), piece);
  const auto told = blocks_file_.file->read_at(piece * kPieceBlocks_bytes, into);
  if (told && !zero_[piece] && piece_of_blocks(into) == list_[piece]) return {};
  ByteVector bytes(kPiece_bytes);
  if (auto read = this->read(piece, bytes); !read) return read;
  (void)digester_.digest(bytes, into);
  return {};
}

Result<bool> StoredImage::audit(std::uint64_t piece) {
  GODWIT_ASSERT(has_list_);
  ByteVector bytes(kPiece_bytes);
  if (auto read = read_piece(piece, bytes); !read) return pass(read);
  if (zero_[piece]) {
    if (is_zeros(bytes)) return true;
    const auto place = place_of(manifest_, piece);
    files_[place.file].dirty = true;
    if (auto cleared = files_[place.file].file->punch(place.offset, place.bytes); !cleared) return pass(cleared);
    owner_.changed();
    return false;
  }
  std::array<std::byte, kPieceBlocks_bytes> blocks;
  const bool right = digester_.digest(bytes, blocks) == list_[piece];
  if (right == here_.has(piece)) return right;
  if (!right) {
    say_bad(piece);
    return false;
  }
  blocks_file_.dirty = true;
  if (auto told = blocks_file_.file->write_at(piece * kPieceBlocks_bytes, blocks); !told) return pass(told);
  files_[place_of(manifest_, piece).file].dirty = true;  // it may have been written just before a crash
  say_here(piece);
  return true;
}

// ---- for good

namespace {

class Flag {
 public:
  Flag(bool& flag, sys::Signal& cleared) : flag_(flag), cleared_(cleared) { flag_ = true; }
  ~Flag() {
    flag_ = false;
    cleared_.notify();
  }
  Flag(const Flag&) = delete;
  Flag& operator=(const Flag&) = delete;

 private:
  bool& flag_;
  sys::Signal& cleared_;
};

}  // namespace

sys::Task<Result<>> StoredImage::settle(std::shared_ptr<StoredImage> self) {
  while (self->settling_) co_await self->settled_.wait();
  const Flag settling(self->settling_, self->settled_);
  auto settled = co_await settle_once(self);
  co_return settled;
}

// What of an image is to be told by one settling. Where that ends early, it is still to be told.
class StoredImage::Attempt {
 public:
  explicit Attempt(StoredImage& of)
      : of_(of), sectors_(of.here_.take_changed()), fresh_(std::exchange(of.fresh_, {})) {}
  ~Attempt() {
    if (done_) return;
    of_.here_.give_back(sectors_);
    of_.fresh_.insert(of_.fresh_.end(), fresh_.begin(), fresh_.end());
    for (auto& each : of_.files_) each.dirty = true;
    of_.list_file_.dirty = of_.blocks_file_.dirty = true;
  }
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  [[nodiscard]] const std::vector<HereMap::Sector>& sectors() const { return sectors_; }
  void succeed() { done_ = true; }
  // After a failed sync nobody knows what the disk has of what was written, and asking again would not tell
  // (fsync(2): it reports an error once).
  void lose() {
    for (const auto piece : fresh_) of_.here_.set(piece, false);
    fresh_.clear();
  }

 private:
  StoredImage& of_;
  std::vector<HereMap::Sector> sectors_;
  std::vector<std::uint64_t> fresh_;
  bool done_{false};
};

// First the pieces, then the word that they are here: of those that were when it began.
sys::Task<Result<>> StoredImage::settle_once(std::shared_ptr<StoredImage> self) {
  Attempt attempt(*self);
  auto done = co_await sync_data(self);
  if (!done) {
    attempt.lose();
    co_return fail(done, "image " + ami_of(self->id_));
  }
  for (const auto& each : attempt.sectors()) {
    if (done) done = self->here_file_->write_at(each.number * HereMap::kSector_bytes, each.bytes);
  }
  if (done && !attempt.sectors().empty()) done = co_await self->here_file_->sync();
  if (!done) co_return fail(done, "image " + ami_of(self->id_));
  attempt.succeed();
  co_return Result<>{};
}

sys::Task<Result<>> StoredImage::sync_data(std::shared_ptr<StoredImage> self) {
  std::vector<File*> files{&self->list_file_, &self->blocks_file_};
  for (auto& each : self->files_) files.push_back(&each);
  for (auto* const each : files) {
    if (!each->dirty) continue;
    each->dirty = false;
    auto synced = co_await each->file->sync();
    if (!synced) co_return synced;
  }
  co_return Result<>{};
}

}  // namespace godwit::image
