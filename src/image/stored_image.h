// One image in a repository, whole or on its way: its files as a guest sees them, sparse, and what is known of their
// pieces. Format, and what a crash leaves: docs/formats/image.md.
#pragma once

#include "image/here_map.h"
#include "image/manifest.h"
#include "image/recipe.h"
#include "sys/page_file.h"
#include "sys/task.h"

#include <functional>
#include <memory>

namespace godwit::image {

// What is put is on disk for good, and told so, after that many bytes or that time, whichever is first: no more than
// that is fetched again after a crash.
inline constexpr std::uint64_t kSettle_bytes = 64ULL << 20U;
inline constexpr Millis kSettleEvery{1000};

inline constexpr unsigned kImageFileMode = 0644;  // QEMU runs as a uid of the instance's own
inline constexpr unsigned kImageDirectoryMode = 0711;

// One owner, the repository, and those to whom it gave it. One strand.
class StoredImage final : public Pieces {
 public:
  // What the repository does for it.
  struct Owner {
    // Before the list is taken: so much will lie on disk when all is here. Errors: exhausted.
    std::function<Result<>(std::uint64_t bytes)> admit;
    std::function<void()> changed;  // something is to be settled
  };
  // Borrowed: they outlive it.
  struct Parts {
    sys::Executor executor;
    sys::PageFiles& files;
    PieceDigester& digester;
  };
  // `directory` is there. Files that are missing or of another size are made anew, and then nothing is here.
  // Errors: exhausted, io.
  [[nodiscard]] static Result<std::shared_ptr<StoredImage>> open(Parts parts, std::string directory, ImageId id,
                                                                 Manifest manifest, Owner owner);

  [[nodiscard]] const ImageId& id() const { return id_; }
  [[nodiscard]] const Manifest& manifest() const { return manifest_; }
  // Of a file that it has: raw, and whole when the image is complete().
  [[nodiscard]] std::string path(Role role) const;
  // What a hypervisor needs of it: its files as they lie here.
  [[nodiscard]] Image as_image() const;

  [[nodiscard]] std::uint64_t count() const override { return count_; }
  [[nodiscard]] bool has_list() const override { return has_list_; }
  // Errors: beside those of the seam exhausted (there is no room for what the list names).
  [[nodiscard]] Result<> set_list(ByteView list) override;
  [[nodiscard]] const PieceDigest& digest(std::uint64_t piece) const override { return list_[piece]; }
  [[nodiscard]] bool has(std::uint64_t piece) const override { return has_list_ && (zero_[piece] || here_.has(piece)); }
  [[nodiscard]] bool is_zero(std::uint64_t piece) const override { return zero_[piece]; }
  [[nodiscard]] Result<> read(std::uint64_t piece, ByteSpan into) override;
  [[nodiscard]] Result<> put(std::uint64_t piece, ByteView bytes) override { return put(piece, bytes, {}); }

  // A block of another image of the same repository, which is here: block n of piece n / 16.
  struct Known {
    StoredImage* image{nullptr};  // nullptr: none
    std::uint64_t block{0};
  };
  // Likewise; blocks of it that are `known` to be elsewhere (one for each, or none at all) share their space with those
  // where the file system can do that.
  [[nodiscard]] Result<> put(std::uint64_t piece, ByteView bytes, std::span<const Known> known);

  // Blocks of a piece that is here, which are `known` to be the same elsewhere: likewise. False: the file system can't.
  // Errors: io.
  [[nodiscard]] Result<bool> share(std::uint64_t piece, std::span<const Known> known);

  [[nodiscard]] bool complete() const { return has_list_ && missing() == 0; }
  // Pieces that hold anything, and those of them that are not here. Only with the list.
  [[nodiscard]] std::uint64_t solid() const { return solid_; }
  [[nodiscard]] std::uint64_t missing() const { return solid_ - here_.count(); }
  // Of disk, when all is here: pieces that hold anything, and what is told of them.
  [[nodiscard]] std::uint64_t need_bytes() const { return need_bytes(count_, solid_); }
  [[nodiscard]] static std::uint64_t need_bytes(std::uint64_t pieces, std::uint64_t solid);
  [[nodiscard]] std::uint64_t used_bytes() const;  // of disk, as the file system has it
  [[nodiscard]] std::uint64_t unsettled_bytes() const { return fresh_.size() * kPiece_bytes; }
  [[nodiscard]] bool needs_settling() const { return here_.has_changed(); }

  // The digests of the blocks of a piece that is here; `into`: kPieceBlocks_bytes. Errors: those of read().
  [[nodiscard]] Result<> read_blocks(std::uint64_t piece, ByteSpan into);
  // As the disk has it: nobody has checked it. `into`: 4 KiB. Errors: io.
  [[nodiscard]] Result<> read_block(std::uint64_t block, ByteSpan into) const;
  // A piece that is here, checked, at its offset in a copy of its file. Errors: those of read() and of writing.
  [[nodiscard]] Result<> copy_to(std::uint64_t piece, sys::PageFile& into);
  // Looks at a piece, whether or not it is said to be here, and says from now on what is true. False: it is bad, or not
  // here. Errors: io.
  [[nodiscard]] Result<bool> audit(std::uint64_t piece);
  // What is here by now is on disk, and said to be, when it returns; a call during another one waits for that.
  // Errors: exhausted, io; what
  // could not be written is not here any more.
  [[nodiscard]] static sys::Task<Result<>> settle(std::shared_ptr<StoredImage> self);

 private:
  struct File {
    std::unique_ptr<sys::PageFile> file;
    bool dirty{false};  // since its last sync
  };
  StoredImage(const Parts& parts, std::string directory, ImageId id, Manifest manifest, Owner owner);

  [[nodiscard]] Result<> open_files();
  // True: it was there, of that size. Else it is now.
  [[nodiscard]] Result<bool> open_file(std::string_view name, std::uint64_t bytes, File& into);
  [[nodiscard]] Result<> take_up_list();
  [[nodiscard]] Result<> take_up_here();
  void take_list(std::vector<PieceDigest> list);
  [[nodiscard]] Result<> write_piece(std::uint64_t piece, const PiecePlace& place, ByteView bytes,
                                     std::span<const Known> known);
  [[nodiscard]] Result<bool> share_run(sys::PageFile& into, std::uint64_t offset, const Known& known,
                                       std::uint64_t blocks);
  [[nodiscard]] Result<> read_piece(std::uint64_t piece, ByteSpan into) const;
  void say_bad(std::uint64_t piece);
  void say_here(std::uint64_t piece);
  class Attempt;
  [[nodiscard]] static sys::Task<Result<>> sync_data(std::shared_ptr<StoredImage> self);
  [[nodiscard]] static sys::Task<Result<>> settle_once(std::shared_ptr<StoredImage> self);

  sys::PageFiles& page_files_;
  std::string directory_;
  ImageId id_;
  Manifest manifest_;
  Owner owner_;
  std::vector<File> files_;  // as the manifest has them
  File list_file_;
  File blocks_file_;
  std::unique_ptr<sys::PageFile> here_file_;
  bool has_list_{false};
  std::uint64_t count_{0};         // of pieces
  std::vector<PieceDigest> list_;  // of count_, or empty
  std::vector<bool> zero_;
  std::vector<bool> touched_;  // its place on disk may hold something though it is not here
  std::uint64_t solid_{0};
  HereMap here_;
  std::vector<std::uint64_t> fresh_;  // pieces that came since the last settling began
  PieceDigester& digester_;
  bool shares_{true};  // until the file system says that it can't
  bool settling_{false};
  sys::Signal settled_;
};

}  // namespace godwit::image
