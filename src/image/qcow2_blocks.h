// The blocks of an image file as a guest sees them, read from the file itself: raw, or qcow2 (QEMU's
// docs/interop/qcow2.txt), version 2 or 3, without backing file, external data file, encryption or extended L2 entries.
// The file is somebody else's: every size and offset in it is checked, and what is kept of it is bounded.
#pragma once

#include "content/blocks.h"
#include "sys/page_file.h"

#include <memory>
#include <string>

namespace godwit::image {

// `format`: "raw" or "qcow2". `files` need not outlive the answer. One strand. Whole blocks only: where the disk is no
// multiple of 4 KiB, its end is not in it. Blocks of compressed clusters are Errc::unsupported to read, as everything
// about them would have to be trusted to zlib for an image that a build can convert.
// Errors: not_found, io; unsupported (a feature that is named); invalid_argument (no qcow2, or a broken one; another
// format).
[[nodiscard]] Result<std::unique_ptr<content::Blocks>> open_blocks(sys::PageFiles& files, const std::string& path,
                                                                   const std::string& format);

// Likewise, of a qcow2 that is on something else, of which nothing is read: the backing file that it names is not
// looked at, and what it lacks reads as zeros.
class OverlayBlocks : public content::Blocks {
 public:
  // The overlay says what the block is, and not what it is on. Errors: those of read().
  [[nodiscard]] virtual Result<bool> has(std::uint64_t block) const = 0;
};
[[nodiscard]] Result<std::unique_ptr<OverlayBlocks>> open_overlay_blocks(sys::PageFiles& files,
                                                                         const std::string& path);

}  // namespace godwit::image
