#include "image/volume.h"

#include "content/joined_blocks.h"
#include "image/kernel_blocks.h"
#include "image/qcow2_blocks.h"

namespace godwit::image {

Result<std::unique_ptr<content::Blocks>> open_volume(sys::PageFiles& files, const std::vector<VolumeFile>& parts,
                                                     const std::string& unpack_directory) {
  std::vector<std::unique_ptr<content::Blocks>> all;
  std::vector<std::unique_ptr<content::Blocks>> kernels;
  for (const auto& each : parts) {
    auto blocks = open_blocks(files, each.path, each.format);
    if (!blocks) return fail(blocks, each.path);
    all.push_back(std::move(*blocks));
    if (each.format != "raw") continue;
    // An open file lives on when the next one takes its name.
    auto kernel = open_kernel_blocks(files, each.path, unpack_directory + "/kernel");
    if (kernel) kernels.push_back(std::move(*kernel));
  }
  for (auto& each : kernels) all.push_back(std::move(each));
  return std::make_unique<content::JoinedBlocks>(std::move(all));
}

}  // namespace godwit::image
