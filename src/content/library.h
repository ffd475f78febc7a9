// The images of this host as content: each is opened and indexed when a migration first has a use for it.
#pragma once

#include "content/image_index.h"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace godwit::content {

// Of memory, for the indexes of all images. What lies behind the limit is not found.
inline constexpr std::size_t kImageIndexes_bytes = 48UL << 20U;

class Library final {
 public:
  // Errors of `open`: not_found where the host has no such image.
  using Open = std::function<Result<std::unique_ptr<Blocks>>(const std::string& sha256)>;
  explicit Library(Open open, std::size_t limit_bytes = kImageIndexes_bytes)
      : open_(std::move(open)), limit_bytes_(limit_bytes) {}

  struct Volume {
    std::unique_ptr<Blocks> blocks;
    std::unique_ptr<ImageIndex> index;
    bool whole{false};  // every block is in the index
  };
  // nullptr where there is none. Shared with those that use it. An index has 8 to 10 bytes a block. Where the limit is
  // reached, those that nobody uses make room: their indexes are made again when somebody does.
  [[nodiscard]] std::shared_ptr<Volume> find(const std::string& sha256) {
    if (sha256.empty()) return nullptr;
    if (index_bytes() >= limit_bytes_)
      std::erase_if(volumes_, [](const auto& each) { return each.second.use_count() == 1; });
    auto& volume = volumes_[sha256];
    if (volume) return volume;
    auto blocks = open_(sha256);
    if (!blocks) {
      volumes_.erase(sha256);
      return nullptr;
    }
    volume = std::make_shared<Volume>();
    volume->blocks = std::move(*blocks);
    volume->index = std::make_unique<ImageIndex>(*volume->blocks);
    return volume;
  }

  // Of memory, all indexes.
  [[nodiscard]] std::uint64_t index_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& [sha256, volume] : volumes_) bytes += volume->index->bytes();
    return bytes;
  }
  // Indexes `blocks` more of the volume; what can't be read is never found. False: all of it is, or there is no memory
  // for more, now.
  [[nodiscard]] bool index_more(Volume& volume, std::uint64_t blocks) const {
    if (volume.whole || index_bytes() >= limit_bytes_) return false;
    const auto more = volume.index->advance(blocks);
    volume.whole = !more || !*more;
    return !volume.whole;
  }

 private:
  Open open_;
  std::size_t limit_bytes_;
  std::map<std::string, std::shared_ptr<Volume>> volumes_;
};

}  // namespace godwit::content
