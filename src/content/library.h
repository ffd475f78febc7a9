// The images of this host as content: each is opened and indexed when a migration first has a use for it.
#pragma once

#include "content/image_index.h"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace godwit::content {

class Library final {
 public:
  // Errors of `open`: not_found where the host has no such image.
  using Open = std::function<Result<std::unique_ptr<Blocks>>(const std::string& sha256)>;
  explicit Library(Open open) : open_(std::move(open)) {}

  struct Volume {
    std::unique_ptr<Blocks> blocks;
    std::unique_ptr<ImageIndex> index;
    bool whole{false};  // every block is in the index
  };
  // nullptr where there is none. Shared with the migrations that use it. An index has 8 to 10 bytes a block.
  [[nodiscard]] std::shared_ptr<Volume> find(const std::string& sha256) {
    if (sha256.empty()) return nullptr;
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
  // Those that nobody uses; their indexes are made again when somebody does.
  void drop_unused() {
    std::erase_if(volumes_, [](const auto& each) { return each.second.use_count() == 1; });
  }

 private:
  Open open_;
  std::map<std::string, std::shared_ptr<Volume>> volumes_;
};

}  // namespace godwit::content
