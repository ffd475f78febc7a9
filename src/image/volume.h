// All that comes with an image as one run of blocks: the disk, the kernel and initrd that boot it (which lie in memory
// as in their files, long after they were unpacked), and the kernel unpacked.
#pragma once

#include "content/blocks.h"
#include "sys/page_file.h"

#include <memory>
#include <string>
#include <vector>

namespace godwit::image {

struct VolumeFile {
  std::string path;
  std::string format;  // "raw" or "qcow2"
};

// Two hosts with the same files have the same blocks, in the same order. Kernels among the raw files are unpacked to
// `unpack_directory`, which is there; one that can't be is only left as it is. `files` need not outlive the answer.
// Errors: those of open_blocks(), with the path.
[[nodiscard]] Result<std::unique_ptr<content::Blocks>> open_volume(sys::PageFiles& files,
                                                                   const std::vector<VolumeFile>& parts,
                                                                   const std::string& unpack_directory);

}  // namespace godwit::image
