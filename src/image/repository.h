// The images of one host, or of one cloud, by content: DIRECTORY/IMAGE_ID/. Whole ones and those on their way.
// Format, and what a crash leaves: docs/formats/image.md.
#pragma once

#include "image/stored_image.h"
#include "sys/runtime.h"

#include <map>
#include <optional>
#include <set>

namespace godwit::image {

struct RepositoryLimits {
  std::uint64_t bytes{1ULL << 50U};            // that all images may have on disk, together
  std::uint64_t keep_free_bytes{1ULL << 30U};  // of the file system: for others
  // Whole images that nobody uses make room for others, those that were not used for longest first. Where the
  // repository is the one place that has them: false.
  bool evict{false};
};

// Directories of this name and 17 digits are of imports that are under way, and go at the next start.
inline constexpr std::string_view kScratchPrefix = "import";
inline constexpr std::size_t kImagesLimit = 4096;   // of one repository
inline constexpr std::size_t kHoldersLimit = 4096;  // of one image
inline constexpr Seconds kLastUseGrain{60};         // last use is told on disk no more often

// While any copy of it lives the image stays, whoever removes it or needs room.
using Lease = std::shared_ptr<StoredImage>;

// Whether a lease counts as use of the image, when it is asked which was not used for longest.
enum class Purpose : std::uint8_t { use, look };

struct ImageStatus {
  ImageId id;
  Manifest manifest;
  bool has_list{false};
  std::uint64_t pieces{0};   // that hold anything; 0 without the list
  std::uint64_t missing{0};  // of them
  std::uint64_t need_bytes{0};
  WallTime last_used;
  std::vector<std::string> users;  // leases and holders, by name

  [[nodiscard]] bool complete() const { return has_list && missing == 0; }
};

// An actor on one strand. Outlives the leases that it gave. One process a directory.
class Repository final {
 public:
  Repository(sys::Runtime& runtime, std::string directory, RepositoryLimits limits = {});
  ~Repository();
  Repository(const Repository&) = delete;
  Repository& operator=(const Repository&) = delete;

  // Takes up what is there, and removes what a crash left half made. Before anything else. Errors:
  // conflict (another process has it), io.
  [[nodiscard]] Result<> start();
  // What is here is on disk, and said to be, when it returns. Another process may have the directory then.
  [[nodiscard]] sys::Task<void> stop();

  // The image that the manifest says, new or as it is here. `signature`: crypto/image_record.h, or nothing; who calls
  // has checked it. `user`: for whom, as people read it ("transfer from b1").
  // Errors: invalid_argument (no manifest), exhausted (no room, or too many images), io.
  [[nodiscard]] Result<Lease> begin(const std::string& manifest, const ByteVector& signature, const std::string& user);
  // Errors: not_found, io.
  [[nodiscard]] Result<Lease> open(const ImageId& id, const std::string& user, Purpose purpose = Purpose::use);
  // The text that is signed, and the signature; empty: none. Errors: not_found, io.
  [[nodiscard]] Result<std::string> manifest_of(const ImageId& id);
  [[nodiscard]] Result<ByteVector> signature_of(const ImageId& id);

  [[nodiscard]] std::vector<ImageStatus> list() const;
  [[nodiscard]] std::optional<ImageStatus> find(const ImageId& id) const;
  // Of a whole id, an "ami-…", or digits that one image's id alone begins with. Errors: not_found, invalid_argument.
  [[nodiscard]] Result<ImageId> resolve(std::string_view name) const;

  // Likewise for those that outlive this process, as an instance's disk does: a name ("i-…", a DNS label), which is on
  // disk when it returns. Errors: not_found, invalid_argument, exhausted, io.
  [[nodiscard]] Result<> hold(const ImageId& id, const std::string& holder);
  [[nodiscard]] Result<> let_go(const ImageId& id, const std::string& holder);
  // All that are not named hold no image any more: what a crash left of them.
  [[nodiscard]] Result<> hold_only(const std::set<std::string>& holders);

  // Errors: not_found; conflict (somebody uses it: it says who); io.
  [[nodiscard]] Result<> remove(const ImageId& id);
  // What is here of the image is on disk, and said to be. Errors: exhausted, io.
  [[nodiscard]] sys::Task<Result<>> settle(Lease image);

  // Blocks of whole images are being looked for that others have too (docs/formats/image.md, "shared").
  [[nodiscard]] bool is_sharing() const { return sharing_ != nullptr || next_to_share() != nullptr; }

  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] std::uint64_t need_bytes() const;  // of all images
  // That an image may need which is not here yet, with what may be removed for it.
  [[nodiscard]] std::uint64_t room_bytes() const;
  [[nodiscard]] std::uint64_t largest_bytes() const;  // that an image has which is here

 private:
  struct Entry;
  class Lent;
  using Entries = std::map<ImageId, std::shared_ptr<Entry>>;

  [[nodiscard]] std::string path_of(const ImageId& id) const { return directory_ + "/" + id; }
  [[nodiscard]] std::string file_of(const ImageId& id, std::string_view name) const;
  [[nodiscard]] Result<> take_up(const ImageId& id);
  [[nodiscard]] Result<std::shared_ptr<Entry>> entry(const ImageId& id) const;
  [[nodiscard]] Result<Lease> lend(const std::shared_ptr<Entry>& entry, const std::string& user, Purpose purpose);
  [[nodiscard]] Result<std::shared_ptr<StoredImage>> open_image(Entry& entry);
  [[nodiscard]] Result<> write_signature(const ImageId& id, const ByteVector& signature);
  [[nodiscard]] Result<> write_begin(const ImageId& id, const std::string& manifest, const ByteVector& signature);
  [[nodiscard]] Result<> remove_files(const ImageId& id);
  void note_change(const ImageId& id);
  [[nodiscard]] bool much_is_unsettled() const;
  [[nodiscard]] sys::Task<void> keep_settled();

  // repository_sharing.cc
  struct Sharing;
  [[nodiscard]] Result<bool> can_share();
  [[nodiscard]] std::shared_ptr<Entry> next_to_share() const;  // nullptr: nothing is left to do
  [[nodiscard]] Result<> begin_sharing(const std::shared_ptr<Entry>& entry);
  [[nodiscard]] Result<bool> share_more();
  void end_sharing();  // what it leased is free; it begins again later
  [[nodiscard]] sys::Task<void> keep_shared();

  // repository_users.cc
  [[nodiscard]] Result<> take_up_users(Entry& entry);
  [[nodiscard]] Result<> write_holders(const Entry& entry);
  void tell_use(Entry& entry);

  // repository_space.cc
  [[nodiscard]] Result<> make_room(const ImageId& id, std::uint64_t need_bytes);
  [[nodiscard]] std::vector<std::shared_ptr<Entry>> evictable(const ImageId& but) const;
  [[nodiscard]] std::uint64_t owed_bytes(const ImageId& but) const;
  struct Room {
    std::uint64_t by_limit{0};
    std::uint64_t on_disk{0};
  };
  [[nodiscard]] Result<Room> room_for(const ImageId& id) const;

  sys::Runtime& runtime_;
  std::string directory_;
  RepositoryLimits limits_;
  std::unique_ptr<sys::DirectoryLock> lock_;
  PieceDigester digester_;
  Entries entries_;
  std::map<ImageId, std::shared_ptr<StoredImage>> unsettled_;
  std::shared_ptr<Sharing> sharing_;  // under way; ours alone
  std::optional<bool> can_share_;     // once it is known
  sys::Signal work_;
  sys::Signal whole_;  // an image may have become
  sys::Gate gate_;
};

}  // namespace godwit::image
