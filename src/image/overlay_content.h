// The disk of an instance as its guest sees it, read from an overlay (or a copy of one) and the image that it is on.
#pragma once

#include "image/content.h"
#include "image/qcow2_blocks.h"

#include <memory>
#include <string>

namespace godwit::image {

class OverlayContent final : public Content {
 public:
  // `overlay`: a qcow2, which a guest's hypervisor wrote: every size and offset in it is checked, and the backing file
  // that it names is not looked at. `base`: "raw" or "qcow2", ours; shorter than the overlay, it is followed by zeros.
  // `files` need not outlive the answer. Errors: those of open_blocks() and open_content().
  [[nodiscard]] static Result<std::unique_ptr<OverlayContent>> open(sys::PageFiles& files, const std::string& overlay,
                                                                    const std::string& base,
                                                                    const std::string& base_format);
  [[nodiscard]] std::uint64_t bytes() const override;
  [[nodiscard]] Result<> read(std::uint64_t offset, ByteSpan into) const override;
  [[nodiscard]] bool is_hole(std::uint64_t offset) const override;
  // The 4 KiB from `offset` on, a multiple of that, are the base's: they were never written to.
  [[nodiscard]] bool is_of_base(std::uint64_t offset) const;
  [[nodiscard]] std::uint64_t base_bytes() const { return base_->bytes(); }

 private:
  OverlayContent(std::unique_ptr<OverlayBlocks> overlay, std::unique_ptr<Content> base)
      : overlay_(std::move(overlay)), base_(std::move(base)) {}

  std::unique_ptr<OverlayBlocks> overlay_;
  std::unique_ptr<Content> base_;
};

}  // namespace godwit::image
