#include "image/stored_image.h"

#include "base/assert.h"
#include "base/zero.h"

#include <algorithm>

namespace godwit::image {
namespace {

bool is_zeros(ByteView bytes) { return bytes.empty() || is_zero(bytes); }  // also of nothing

}  // namespace

std::string StoredImage::path(Role role) const {
  GODWIT_ASSERT(file_of(manifest_, role));
  return fmt::format("{}/{}", directory_, to_string(role));
}

Image StoredImage::as_image() const {
  Image image;
  image.recipe.cmdline = manifest_.cmdline;
  if (const auto* disk = file_of(manifest_, Role::disk)) {
    image.recipe.format = "raw";
    image.recipe.virtual_size_bytes = disk->bytes;
    image.disk_path = path(Role::disk);
  }
  if (file_of(manifest_, Role::kernel)) image.kernel_path = path(Role::kernel);
  if (file_of(manifest_, Role::initrd)) image.initrd_path = path(Role::initrd);
  return image;
}

// ---- the list

void StoredImage::take_list(std::vector<PieceDigest> list) {
  list_ = std::move(list);
  solid_ = 0;
  for (std::uint64_t piece = 0; piece < count(); ++piece) {
    zero_[piece] = list_[piece] == zero_piece();
    if (!zero_[piece]) ++solid_;
  }
}

Result<> StoredImage::set_list(ByteView list) {
  if (has_list_) return {};
  const auto context = fmt::format("image {}", ami_of(id_));
  if (auto good = check_list(manifest_, list); !good) return fail(good, context);
  std::vector<PieceDigest> digests(count());
  std::ranges::copy(list, std::as_writable_bytes(std::span(digests)).begin());
  take_list(std::move(digests));
  if (auto admitted = owner_.admit(need_bytes()); !admitted) {
    solid_ = 0;
    list_ = {};
    return fail(admitted, context);
  }
  if (auto written = list_file_.file->write_at(0, list); !written) return fail(written, context);
  list_file_.dirty = true;
  has_list_ = true;
  return {};
}

std::uint64_t StoredImage::need_bytes(std::uint64_t pieces, std::uint64_t solid) {
  return solid * (kPiece_bytes + kPieceBlocks_bytes) + pieces * kDigest_bytes + HereMap::file_bytes(pieces);
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

Result<> StoredImage::put(std::uint64_t piece, ByteView bytes, std::span<const Known> known) {
  GODWIT_ASSERT(bytes.size() == kPiece_bytes && has_list_ && piece < count());
  GODWIT_ASSERT(known.empty() || known.size() == kPiece_blocks);
  if (has(piece)) return {};
  std::array<std::byte, kPieceBlocks_bytes> blocks;
  const auto place = place_of(manifest_, piece);
  if (digester_.digest(bytes, blocks) != list_[piece] || !is_zeros(bytes.subspan(place.bytes))) {
    return fail(Errc::not_authentic, "image {}: piece {} has another digest", ami_of(id_), piece);
  }
  if (auto written = write_piece(piece, place, bytes, known); !written) return fail(written, "image " + ami_of(id_));
  blocks_file_.dirty = true;
  if (auto told = blocks_file_.file->write_at(piece * kPieceBlocks_bytes, blocks); !told) {
    return fail(told, "image " + ami_of(id_));
  }
  say_here(piece);
  return {};
}

namespace {

enum class Way : std::uint8_t { skip, share, write };

// In the same piece, and so in the same file.
bool follows(const StoredImage::Known& after, const StoredImage::Known& before) {
  return after.image == before.image && after.block == before.block + 1 && after.block % kPiece_blocks != 0;
}

}  // namespace

// In runs of blocks that go one way. Blocks of zeros stay holes where nothing was written before.
Result<> StoredImage::write_piece(std::uint64_t piece, const PiecePlace& place, ByteView bytes,
                                  std::span<const Known> known) {
  auto& file = files_[place.file];
  file.dirty = true;
  const bool is_hole = !touched_[piece];
  touched_[piece] = true;
  bytes = bytes.first(place.bytes);
  const auto blocks = (bytes.size() + kPage_bytes - 1) / kPage_bytes;
  const auto part = [&](std::size_t from, std::size_t end) {
    return bytes.subspan(from * kPage_bytes, std::min(end * kPage_bytes, bytes.size()) - from * kPage_bytes);
  };
  const auto way_of = [&](std::size_t block) {
    const auto content = part(block, block + 1);
    if (is_hole && is_zeros(content)) return Way::skip;
    const bool may = shares_ && !known.empty() && known[block].image && content.size() == kPage_bytes;
    return may ? Way::share : Way::write;
  };
  for (std::size_t from = 0; from < blocks;) {
    auto way = way_of(from);
    auto end = from + 1;
    while (end < blocks && way_of(end) == way && (way != Way::share || follows(known[end], known[end - 1]))) ++end;
    const auto offset = place.offset + from * kPage_bytes;
    if (way == Way::share) {
      const auto shared = share_run(*file.file, offset, known[from], end - from);
      if (!shared || !*shared) way = Way::write;
    }
    if (way == Way::write) {
      if (auto written = file.file->write_at(offset, part(from, end)); !written) return written;
    }
    from = end;
  }
  return {};
}

// `blocks` of one piece of the other image.
Result<bool> StoredImage::share_run(sys::PageFile& into, std::uint64_t offset, const Known& known,
                                    std::uint64_t blocks) {
  const auto& other = *known.image;
  const auto place = place_of(other.manifest_, known.block / kPiece_blocks);
  const auto within = known.block % kPiece_blocks * kPage_bytes;
  const auto size = blocks * kPage_bytes;
  if (within + size > place.bytes) return false;
  auto shared = into.share_from(*other.files_[place.file].file, place.offset + within, offset, size);
  if (!shared || !*shared) shares_ = false;
  return shared;
}

Result<bool> StoredImage::share(std::uint64_t piece, std::span<const Known> known) {
  GODWIT_ASSERT(known.size() == kPiece_blocks && has(piece));
  const auto place = place_of(manifest_, piece);
  auto& file = files_[place.file];
  const auto blocks = place.bytes / kPage_bytes;  // whole ones
  for (std::size_t from = 0; from < blocks && shares_;) {
    auto end = from + 1;
    while (end < blocks && known[from].image && follows(known[end], known[end - 1])) ++end;
    if (known[from].image) {
      const auto shared = share_run(*file.file, place.offset + from * kPage_bytes, known[from], end - from);
      if (!shared) return shared;
    }
    from = end;
  }
  return shares_;
}

Result<> StoredImage::read_block(std::uint64_t block, ByteSpan into) const {
  GODWIT_ASSERT(into.size() == kPage_bytes && block / kPiece_blocks < count());
  const auto place = place_of(manifest_, block / kPiece_blocks);
  const auto within = block % kPiece_blocks * kPage_bytes;
  const auto there = place.bytes > within ? std::min(place.bytes - within, kPage_bytes) : 0;
  std::ranges::fill(into.subspan(there), std::byte{0});
  return files_[place.file].file->read_at(place.offset + within, into.first(there));
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

Result<> StoredImage::copy_to(std::uint64_t piece, sys::PageFile& into) {
  ByteVector bytes(kPiece_bytes);
  if (auto read = this->read(piece, bytes); !read) return read;
  const auto place = place_of(manifest_, piece);
  return into.copy_from(*files_[place.file].file, place.offset, place.offset, place.bytes);
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
  if (!right) {
    if (here_.has(piece)) say_bad(piece);
    return false;
  }
  std::array<std::byte, kPieceBlocks_bytes> told;
  if (!blocks_file_.file->read_at(piece * kPieceBlocks_bytes, told) || told != blocks) {
    blocks_file_.dirty = true;
    if (auto tell = blocks_file_.file->write_at(piece * kPieceBlocks_bytes, blocks); !tell) return pass(tell);
  }
  if (here_.has(piece)) return true;
  files_[place_of(manifest_, piece).file].dirty = true;  // it may have been written just before a crash
  say_here(piece);
  return true;
}

}  // namespace godwit::image
