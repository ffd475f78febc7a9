// An image for tests: drawn content, with zeros among it, and its manifest and list.
#pragma once

#include "base/assert.h"
#include "image/manifest.h"

#include <random>
#include <vector>

namespace godwit::testing {

struct SampleFile {
  image::Role role{image::Role::disk};
  ByteVector bytes;
};

struct SampleImage {
  std::vector<SampleFile> files;
  image::Manifest manifest;
  std::string text;  // of the manifest
  image::ImageId id;
  ByteVector list;
  std::vector<ByteVector> pieces;

  [[nodiscard]] const ByteVector& file(image::Role role) const {
    for (const auto& each : files) {
      if (each.role == role) return each.bytes;
    }
    const bool it_has_such_a_file = false;
    GODWIT_ASSERT(it_has_such_a_file);
    return files.front().bytes;
  }
};

inline void draw(std::mt19937_64& random, ByteSpan into) {
  for (auto& each : into) each = static_cast<std::byte>(random());
}

// Of pieces that are zeros, that are full, and of which some blocks are zeros.
inline ByteVector drawn_file(std::mt19937_64& random, std::size_t bytes) {
  ByteVector out(bytes);
  for (std::size_t at = 0; at < bytes; at += kPage_bytes) {
    const auto kind = at / image::kPiece_bytes % 4;
    if (kind == 1 || (kind == 2 && random() % 2 == 0)) continue;
    draw(random, ByteSpan(out).subspan(at, std::min(kPage_bytes, bytes - at)));
  }
  return out;
}

inline SampleImage image_of(std::vector<SampleFile> files, std::string cmdline = {}) {
  SampleImage image;
  image.files = std::move(files);
  image.manifest.cmdline = std::move(cmdline);
  image::PieceDigester digester;
  for (const auto& file : image.files) {
    ByteVector list;
    for (std::size_t at = 0; at < file.bytes.size(); at += image::kPiece_bytes) {
      const auto part = ByteView(file.bytes).subspan(at, std::min(image::kPiece_bytes, file.bytes.size() - at));
      ByteVector piece(part.begin(), part.end());
      piece.resize(image::kPiece_bytes);
      append(list, digester.digest(piece));
      image.pieces.push_back(std::move(piece));
    }
    image.manifest.files.push_back({file.role, file.bytes.size(), to_hex(image::root_of(file.bytes.size(), list))});
    append(image.list, list);
  }
  image.text = image::print_manifest(image.manifest);
  image.id = image::id_of(image.text);
  return image;
}

// Another image for another seed: a disk of so many pieces, a kernel and an initrd whose last pieces are not whole.
inline SampleImage sample_image(std::uint64_t seed, std::size_t disk_pieces = 9) {
  std::mt19937_64 random(seed);
  auto disk = drawn_file(random, disk_pieces * image::kPiece_bytes - 512);
  auto kernel = drawn_file(random, image::kPiece_bytes + 77);
  auto initrd = drawn_file(random, 1000);
  return image_of({{image::Role::disk, std::move(disk)},
                   {image::Role::kernel, std::move(kernel)},
                   {image::Role::initrd, std::move(initrd)}},
                  "root=/dev/vda");
}

}  // namespace godwit::testing
