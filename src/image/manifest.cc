#include "image/manifest.h"

#include "base/assert.h"

#include <algorithm>

namespace godwit::image {
namespace {

constexpr std::size_t kAmiDigits = 17;
constexpr std::uint64_t kSector_bytes = 512;

bool is_hex(std::string_view text, std::size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char each) { return each >= ' ' && each <= '~'; });
}

Result<> check_file(const ManifestFile& file) {
  const auto bad = [&](std::string_view rule) {
    return fail(Errc::invalid_argument, "manifest: the {} {}", to_string(file.role), rule);
  };
  if (file.bytes == 0) return bad("is empty");
  if (file.bytes > kPiecesLimit * kPiece_bytes) return bad("is larger than 1 TiB");
  if (file.role == Role::disk && file.bytes % kSector_bytes != 0) return bad("is no multiple of 512 bytes");
  if (!is_hex(file.root, 2 * kDigest_bytes)) return bad("has a root that is no 64 hex digits");
  return {};
}

}  // namespace

std::string_view to_string(Role role) { return boost::describe::enum_to_string(role, "unknown"); }

bool is_image_id(std::string_view text) { return is_hex(text, 2 * kDigest_bytes); }

ImageId id_of(std::string_view manifest_text) { return crypto::sha256_hex(as_bytes(manifest_text)); }

std::string ami_of(std::string_view id) { return fmt::format("ami-{}", id.substr(0, kAmiDigits)); }

std::string print_manifest(const Manifest& manifest) { return wire::encode(manifest); }

Result<> check(const Manifest& manifest) {
  const auto bad = [](std::string_view rule) { return fail(Errc::invalid_argument, "manifest: {}", rule); };
  if (manifest.version != kManifestVersion) {
    return fail(Errc::unsupported, "manifest: version {} (this build reads {})", manifest.version, kManifestVersion);
  }
  if (manifest.files.empty()) return bad("has no files");
  for (std::size_t i = 0; i < manifest.files.size(); ++i) {
    if (i > 0 && manifest.files[i].role <= manifest.files[i - 1].role) {
      return bad("has a role twice, or roles in another order than disk, kernel, initrd");
    }
    if (auto good = check_file(manifest.files[i]); !good) return good;
  }
  if (pieces_of(manifest) > kPiecesLimit) return bad("has more than 1 TiB in all");
  if (manifest.cmdline.size() > kCmdline_bytes || !is_printable(manifest.cmdline)) {
    return bad("has a command line of more than 2,048 characters, or of others than printable ASCII");
  }
  const bool boots = file_of(manifest, Role::kernel) != nullptr;
  if (!boots && (!manifest.cmdline.empty() || file_of(manifest, Role::initrd))) {
    return bad("has an initrd or a command line, and no kernel");
  }
  return {};
}

Result<Manifest> parse_manifest(std::string_view text) {
  auto manifest = wire::decode<Manifest>(text, kManifest_bytes);
  if (!manifest) return fail(manifest, "manifest");
  if (auto good = check(*manifest); !good) return pass(good);
  if (print_manifest(*manifest) != text) {
    return fail(Errc::invalid_argument, "manifest: not spelled as docs/formats/image.md says");
  }
  return manifest;
}

std::uint64_t bytes_of(const Manifest& manifest) {
  std::uint64_t bytes = 0;
  for (const auto& file : manifest.files) bytes += file.bytes;
  return bytes;
}

std::uint64_t pieces_of(const Manifest& manifest) {
  std::uint64_t pieces = 0;
  for (const auto& each : manifest.files) pieces += pieces_of(each.bytes);
  return pieces;
}

const ManifestFile* file_of(const Manifest& manifest, Role role) {
  const auto found = std::ranges::find(manifest.files, role, &ManifestFile::role);
  return found == manifest.files.end() ? nullptr : &*found;
}

Result<> check_list(const Manifest& manifest, ByteView list) {
  if (list.size() != pieces_of(manifest) * kDigest_bytes) {
    return fail(Errc::invalid_argument, "piece list: {} bytes, where the manifest has {} pieces", list.size(),
                pieces_of(manifest));
  }
  return ListCheck(manifest).add(list);
}

ListCheck::ListCheck(const Manifest& manifest) : files_(manifest.files) {}

Result<> ListCheck::add(ByteView digests) {
  if (digests.size() % kDigest_bytes != 0) {
    return fail(Errc::invalid_argument, "piece list: a part of {} bytes", digests.size());
  }
  auto due = root_ ? missing_ : 0;
  for (auto file = file_ + (root_ ? 1U : 0U); file < files_.size(); ++file) due += pieces_of(files_[file].bytes);
  if (digests.size() / kDigest_bytes > due) {
    return fail(Errc::invalid_argument, "piece list: {} digests, where {} are due", digests.size() / kDigest_bytes,
                due);
  }
  while (!digests.empty()) {
    const auto& file = files_[file_];
    if (!root_) {
      root_.emplace(file.bytes);
      missing_ = pieces_of(file.bytes);
    }
    const auto part = digests.first(std::min<std::uint64_t>(digests.size(), missing_ * kDigest_bytes));
    digests = digests.subspan(part.size());
    root_->add(part);
    missing_ -= part.size() / kDigest_bytes;
    count_ += part.size() / kDigest_bytes;
    if (missing_ > 0) continue;
    if (to_hex(root_->finish()) != file.root) {
      return fail(Errc::not_authentic, "piece list: the {}'s has not the manifest's root", to_string(file.role));
    }
    root_.reset();
    ++file_;
  }
  return {};
}

PiecePlace place_of(const Manifest& manifest, std::uint64_t piece) {
  for (std::size_t file = 0; file < manifest.files.size(); ++file) {
    const auto bytes = manifest.files[file].bytes;
    const auto pieces = pieces_of(bytes);
    if (piece < pieces) {
      const auto offset = piece * kPiece_bytes;
      return {file, offset, static_cast<std::size_t>(std::min<std::uint64_t>(kPiece_bytes, bytes - offset))};
    }
    piece -= pieces;
  }
  const bool the_image_has_that_piece = false;
  GODWIT_ASSERT(the_image_has_that_piece);
  return {};
}

}  // namespace godwit::image
