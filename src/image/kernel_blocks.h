// The kernel of an image as it lies in a guest's memory: a bzImage's payload, unpacked.
#pragma once

#include "content/blocks.h"
#include "sys/page_file.h"

#include <memory>
#include <string>

namespace godwit::image {

// `kernel_path`: a bzImage (Linux's Documentation/arch/x86/boot.rst, protocol 2.08 or later). It is unpacked as its
// blocks are read, in order, into a file that had the name `unpacked_path`. `files` need not outlive the answer. One
// strand. The file is somebody else's: at most 64 MiB are unpacked to at most 512 MiB. Errors: not_found, io;
// unsupported (no such kernel, or packed otherwise than by gzip, lz4, xz or zstd).
[[nodiscard]] Result<std::unique_ptr<content::Blocks>> open_kernel_blocks(sys::PageFiles& files,
                                                                          const std::string& kernel_path,
                                                                          const std::string& unpacked_path);

}  // namespace godwit::image
