// Taking up an image as a directory has it.
#include "image/stored_image.h"

#include <algorithm>

namespace godwit::image {
namespace {

constexpr std::string_view kListName = "pieces";
constexpr std::string_view kBlocksName = "blocks";
constexpr std::string_view kHereName = "here";
constexpr std::size_t kListPart = 8192;  // pieces of a list that are read at once

}  // namespace

StoredImage::StoredImage(const Parts& parts, std::string directory, ImageId id, Manifest manifest, Owner owner)
    : page_files_(parts.files),
      directory_(std::move(directory)),
      id_(std::move(id)),
      manifest_(std::move(manifest)),
      owner_(std::move(owner)),
      count_(pieces_of(manifest_)),
      zero_(count_),
      touched_(count_),
      here_(count_),
      digester_(parts.digester),
      settled_(parts.executor) {}

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
  std::vector<PieceDigest> list(count());
  const auto bytes = std::as_writable_bytes(std::span(list));
  constexpr std::size_t kPart = kListPart * kDigest_bytes;
  ListCheck check(manifest_);
  for (std::size_t at = 0; at < bytes.size(); at += kPart) {
    const auto part = bytes.subspan(at, std::min(kPart, bytes.size() - at));
    if (auto read = list_file_.file->read_at(at, part); !read) return read;
    if (!check.add(part)) return {};
  }
  take_list(std::move(list));
  has_list_ = true;
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

}  // namespace godwit::image
