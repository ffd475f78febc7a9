// Takes an image into a repository from files that somebody has: what `godwit image add` does.
#pragma once

#include "image/content.h"
#include "image/conversion.h"
#include "image/repository.h"

#include <array>
#include <functional>
#include <memory>
#include <optional>

namespace godwit::image {

struct ImportFile {
  Role role{Role::disk};
  std::string path;
  std::string format;  // "raw", "qcow2", "vmdk", "vdi", "vhdx", "vpc"; empty: by how the file begins
  // Opens it in place of the above, which only name it then.
  std::function<Result<std::unique_ptr<Content>>()> open{};
};
// Of the 16 blocks of a piece of the disk, where each is in other images of the repository, if that is known.
using PieceKnown = std::array<StoredImage::Known, kPiece_blocks>;
struct ImportSource {
  std::vector<ImportFile> files;  // by role, in order
  std::string cmdline;
};

// `path`: a directory with a recipe (image/recipe.h), else the file of a disk. Errors: those of read_recipe().
[[nodiscard]] Result<ImportSource> source_of(sys::Files& files, const std::string& path);

struct ImportOptions {
  ConversionLimits conversion{};
  // What a cloud signs; without it the image has no signature.
  std::function<Result<ByteVector>(const Digest& manifest)> sign{};
  // The digest of a piece of the disk whose bytes are those of a piece of another image: the first reading is spared.
  std::function<std::optional<PieceDigest>(std::uint64_t piece)> digest{};
  // What shares its space with other images, where the file system can do that.
  std::function<PieceKnown(std::uint64_t piece)> known{};
  // Of the bytes that are looked at, twice.
  std::function<void(std::uint64_t done, std::uint64_t all)> progress{};
};

// Reads everything once to learn the image's id, and once more to keep it: so nothing of it is in the repository that
// its manifest doesn't name, and an image that is there already costs no space meanwhile. The strand goes on between
// pieces. Where it fails, what was not here before isn't afterwards. Errors: not_found, io, unsupported,
// invalid_argument; exhausted (there is no room); conflict (a file has changed meanwhile).
[[nodiscard]] sys::Task<Result<ImageId>> import_image(sys::Runtime& runtime, Repository& images, ImportSource source,
                                                      ImportOptions options);

}  // namespace godwit::image
