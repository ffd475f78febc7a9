#include "tunnel/images.h"

#include "crypto/digest.h"
#include "image/volume.h"

#include <algorithm>
#include <array>

namespace godwit::tunnel {
namespace {

constexpr std::size_t kStep_bytes = 1024UL * 1024;
constexpr std::size_t kDigest_digits = 64;
constexpr char kBetween = '+';

Result<std::string> digest_of(sys::PageFiles& files, const std::string& path) {
  const auto file = files.open(path);
  if (!file) return pass(file);
  crypto::Sha256 digest;
  ByteVector buffer(kStep_bytes);
  const auto size = (*file)->size();
  for (std::uint64_t at = 0; at < size; at += kStep_bytes) {
    const auto part = std::span(buffer).first(std::min<std::uint64_t>(kStep_bytes, size - at));
    const auto read = (*file)->read_at(at, part);
    if (!read) return pass(read);
    digest.update(part);
  }
  return to_hex(digest.finish());
}

Result<std::string> format_of(sys::PageFiles& files, const std::string& path) {
  const auto file = files.open(path);
  if (!file) return pass(file);
  constexpr std::string_view kQcow2 = "QFI\xfb";
  std::array<std::byte, kQcow2.size()> magic{};
  if ((*file)->size() < magic.size()) return "raw";
  const auto read = (*file)->read_at(0, magic);
  if (!read) return pass(read);
  return as_text(magic) == kQcow2 ? "qcow2" : "raw";
}

}  // namespace

Result<Images> Images::open(sys::PageFiles& files, const std::vector<std::string>& paths) {
  if (paths.size() > kImages)
    return fail(Errc::exhausted, "--image: {} files, where {} are allowed", paths.size(), kImages);
  Images images(files);
  for (const auto& path : paths) {
    const auto digest = digest_of(files, path);
    if (!digest) return fail(digest, "--image " + path);
    images.paths_.emplace(*digest, path);
  }
  return images;
}

std::vector<std::string> Images::digests() const {
  std::vector<std::string> all;
  all.reserve(paths_.size());
  for (const auto& [digest, path] : paths_) all.push_back(digest);
  return all;
}

std::string Images::joined(const std::vector<std::string>& digests) {
  std::string name;
  for (const auto& each : digests) {
    if (!name.empty()) name += kBetween;
    name += each;
  }
  return name;
}

content::Library Images::library(std::string unpack_directory) const {
  return content::Library([this, directory = std::move(unpack_directory)](const std::string& name) {
    return open_joined(name, directory);
  });
}

Result<std::unique_ptr<content::Blocks>> Images::open_joined(const std::string& name,
                                                             const std::string& unpack_directory) const {
  std::vector<image::VolumeFile> files;
  for (std::size_t at = 0; at < name.size(); at += kDigest_digits + 1) {
    const auto found = paths_.find(name.substr(at, kDigest_digits));
    if (found == paths_.end()) return fail(Errc::not_found, "image {}: not here", name.substr(at, kDigest_digits));
    const auto format = format_of(*files_, found->second);
    if (!format) return pass(format);
    files.push_back({found->second, *format});
  }
  return image::open_volume(*files_, files, unpack_directory);
}

bool is_digest(std::string_view text) {
  return text.size() == kDigest_digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::vector<std::string> common(const std::vector<std::string>& wanted, const std::vector<std::string>& here) {
  std::vector<std::string> both;
  for (const auto& each : wanted) {
    if (std::ranges::find(here, each) != here.end()) both.push_back(each);
  }
  return both;
}

}  // namespace godwit::tunnel
