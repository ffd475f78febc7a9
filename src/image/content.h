// A file of an image as a guest sees it, read from what somebody else made: raw, or a qcow2 that this build can read.
#pragma once

#include "sys/page_file.h"

#include <memory>
#include <string>

namespace godwit::image {

// One strand. The file may change while it is read: then what is read is whatever it was.
class Content {
 public:
  virtual ~Content() = default;
  [[nodiscard]] virtual std::uint64_t bytes() const = 0;
  // `offset`: a multiple of 4 KiB; all of `into` is within the content. Errors: io; unsupported (a compressed cluster).
  [[nodiscard]] virtual Result<> read(std::uint64_t offset, ByteSpan into) const = 0;
  // The 64 KiB from `offset` on are zeros, as is known without reading them.
  [[nodiscard]] virtual bool is_hole(std::uint64_t offset) const = 0;
};

// By how it begins: "qcow2", "vmdk", "vdi", "vhdx", "vpc", else "raw". Errors: not_found, io.
[[nodiscard]] Result<std::string> format_of(sys::PageFiles& files, const std::string& path);

// `files` need not outlive the answer. Errors: those of open_blocks(); unsupported (a format that has to be converted).
[[nodiscard]] Result<std::unique_ptr<Content>> open_content(sys::PageFiles& files, const std::string& path,
                                                            const std::string& format);

}  // namespace godwit::image
