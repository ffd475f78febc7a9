// Several files as one run of blocks: all that comes with an image, so that whatever of it lies in memory is known.
#pragma once

#include "content/blocks.h"

#include <memory>
#include <vector>

namespace godwit::content {

class JoinedBlocks final : public Blocks {
 public:
  explicit JoinedBlocks(std::vector<std::unique_ptr<Blocks>> parts) : parts_(std::move(parts)) {}
  [[nodiscard]] std::uint64_t count() const override;
  [[nodiscard]] Result<> read(std::uint64_t block, ByteSpan into) const override;
  [[nodiscard]] bool is_hole(std::uint64_t block) const override;

 private:
  // Moves `block` to where it is in its part; nullptr: in none.
  [[nodiscard]] const Blocks* part_of(std::uint64_t& block) const;

  std::vector<std::unique_ptr<Blocks>> parts_;
};

}  // namespace godwit::content
