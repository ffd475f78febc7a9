// The pages of a guest that runs here, kept as content while it runs: what comes to this cloud and is equal, or like
// them, need not cross again. A page is kept when two looks in a row have found the same: what changes all the time is
// of no use to others.
#pragma once

#include "content/library.h"
#include "content/store.h"
#include "hypervisor/guest_memory.h"

#include <memory>
#include <vector>

namespace godwit::agent {

class GuestScan final {
 public:
  // `memory`: of its QEMU. `image`: its disk's, whose blocks need not be kept, if it is one of `images`. Both outlive
  // it, and so does `store`. 2 bytes of memory a page of the guest; of more than 64 GiB only the first.
  GuestScan(std::unique_ptr<sys::PageFile> memory, std::vector<hypervisor::MemoryRange> ranges, content::Store& store,
            content::Domain domain, content::Library& images, const std::string& image);

  // First reads the image. Then looks at the next pages, begins again after the last; how many were kept. What it reads
  // may change meanwhile: what is kept is a copy. Errors: io (the process is gone).
  [[nodiscard]] Result<std::size_t> advance(std::size_t pages);

 private:
  [[nodiscard]] bool look(ByteView page, std::uint16_t& last);

  std::unique_ptr<sys::PageFile> memory_;
  std::vector<hypervisor::MemoryRange> ranges_;
  content::Store& store_;
  content::Domain domain_;
  content::Library& images_;
  std::shared_ptr<content::Library::Volume> image_;  // nullptr: none
  std::vector<std::uint16_t> seen_;  // of each page, a part of its fingerprint at the last look; 0: none
  std::size_t range_{0};
  std::uint64_t at_{0};    // within the range
  std::size_t number_{0};  // of the page, over all ranges
};

}  // namespace godwit::agent
