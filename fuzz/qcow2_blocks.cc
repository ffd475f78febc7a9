// A qcow2 file that somebody else made, read block by block.
// Input: the file, which is repeated up to 512 KiB, so that its tables point to something.
#include "image/qcow2_blocks.h"

#include "base/assert.h"
#include "sim/page_files.h"
#include "support/input.h"

#include <algorithm>

namespace {

using namespace godwit;

constexpr std::uint64_t kFile_bytes = 512UL * 1024;
constexpr std::uint64_t kRead_blocks = 64;

void read_some(const content::Blocks& blocks, std::uint64_t from) {
  ByteVector read(3 * kPage_bytes, std::byte{0xa5});
  for (std::uint64_t block = from; block < blocks.count() && block < from + kRead_blocks; ++block) {
    const auto into = ByteSpan(read).first(kPage_bytes);
    const bool hole = blocks.is_hole(block);
    const auto done = blocks.read(block, into);
    if (hole) GODWIT_ASSERT(done && into[0] == std::byte{0} && into[kPage_bytes - 1] == std::byte{0});
    (void)blocks.read(block, read);  // over a cluster's border, perhaps over the end
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  if (input.empty()) return 0;
  ByteVector file;
  while (file.size() < kFile_bytes) append(file, input.bytes());
  file.resize(kFile_bytes);
  sim::PageFiles files;
  files.put("/image", file);
  // As the copy of an overlay, which may name another file: what it does not have reads as zeros.
  if (const auto overlay = image::open_overlay_blocks(files, "/image")) {
    read_some(**overlay, 0);
    for (std::uint64_t block = 0; block < std::min((*overlay)->count(), kRead_blocks); ++block) {
      const auto has = (*overlay)->has(block);
      if (has && !*has) GODWIT_ASSERT((*overlay)->is_hole(block));
    }
  }
  const auto blocks = image::open_blocks(files, "/image", "qcow2");
  if (!blocks) return 0;
  read_some(**blocks, 0);
  read_some(**blocks, (*blocks)->count() / 2);
  if ((*blocks)->count() > kRead_blocks) read_some(**blocks, (*blocks)->count() - kRead_blocks);
  return 0;
}
