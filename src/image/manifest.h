// What an image is: its files by what they are for, each by size and root, and the kernel's command line. Its digest is
// the image's identity. Pure. Format: docs/formats/image.md.
#pragma once

#include "image/piece_tree.h"
#include "wire/json.h"

#include <optional>
#include <string>
#include <vector>

namespace godwit::image {

// In the order in which an image has them.
BOOST_DEFINE_ENUM_CLASS(Role, disk, kernel, initrd)
[[nodiscard]] std::string_view to_string(Role role);

inline constexpr std::size_t kManifest_bytes = 4096;  // no longer one is read
inline constexpr std::size_t kCmdline_bytes = 2048;   // what Linux takes on x86 (COMMAND_LINE_SIZE)
inline constexpr std::uint32_t kManifestVersion = 1;

// Values.
struct ManifestFile {
  Role role{Role::disk};
  std::uint64_t bytes{0};  // as a guest sees them: a disk's are a multiple of 512
  std::string root;        // in hex

  bool operator==(const ManifestFile&) const = default;
};
BOOST_DESCRIBE_STRUCT(ManifestFile, (), (role, bytes, root))

struct Manifest {
  std::uint32_t version{kManifestVersion};
  std::vector<ManifestFile> files;
  std::string cmdline;  // empty where there is no kernel

  bool operator==(const Manifest&) const = default;
};
BOOST_DESCRIBE_STRUCT(Manifest, (), (version, files, cmdline))

// Of a manifest's text: 64 hex digits.
using ImageId = std::string;
[[nodiscard]] bool is_image_id(std::string_view text);
[[nodiscard]] ImageId id_of(std::string_view manifest_text);
// As users see it: "ami-" and its first 17 digits.
[[nodiscard]] std::string ami_of(std::string_view id);

// The one text that says it. `manifest` must be one that check() takes.
[[nodiscard]] std::string print_manifest(const Manifest& manifest);
// Roles in order and each at most once, sizes and roots that can be, printable ASCII. Errors: invalid_argument;
// unsupported (another version).
[[nodiscard]] Result<> check(const Manifest& manifest);
// For any text. Only the text that print_manifest() gives is taken. Errors: those of check().
[[nodiscard]] Result<Manifest> parse_manifest(std::string_view text);

[[nodiscard]] std::uint64_t pieces_of(const Manifest& manifest);
[[nodiscard]] std::uint64_t bytes_of(const Manifest& manifest);  // of its files, as guests see them
// nullptr: it has none.
[[nodiscard]] const ManifestFile* file_of(const Manifest& manifest, Role role);
// The digests of all pieces are those whose roots the manifest has. Errors: invalid_argument (not so many),
// not_authentic.
[[nodiscard]] Result<> check_list(const Manifest& manifest, ByteView list);

// The same, of a list that comes in parts, in order: each file's digests are checked with its last one.
class ListCheck {
 public:
  explicit ListCheck(const Manifest& manifest);
  // `digests`: the next ones. Errors: those of check_list(), after which nothing more is to be added.
  [[nodiscard]] Result<> add(ByteView digests);
  [[nodiscard]] std::uint64_t count() const { return count_; }  // of digests that have come
  [[nodiscard]] bool complete() const { return file_ == files_.size(); }

 private:
  std::vector<ManifestFile> files_;
  std::size_t file_{0};       // whose digests come next
  std::uint64_t missing_{0};  // of them
  std::optional<RootDigest> root_;
  std::uint64_t count_{0};
};

// Where a piece of an image is: in the file with that index, from `offset` on; `bytes` of it are the file's, the rest
// is zeros.
struct PiecePlace {
  std::size_t file{0};
  std::uint64_t offset{0};
  std::size_t bytes{0};
};
// `piece` < pieces_of(manifest).
[[nodiscard]] PiecePlace place_of(const Manifest& manifest, std::uint64_t piece);

}  // namespace godwit::image
