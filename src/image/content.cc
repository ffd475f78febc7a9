#include "image/content.h"

#include "image/pieces.h"
#include "image/qcow2_blocks.h"
#include "image/qcow2_header.h"

#include <algorithm>

namespace godwit::image {
namespace {

constexpr std::size_t kStart_bytes = 512;  // of a file, in which its format shows

class RawContent final : public Content {
 public:
  explicit RawContent(std::unique_ptr<sys::PageFile> file) : file_(std::move(file)), bytes_(file_->size()) {}
  [[nodiscard]] std::uint64_t bytes() const override { return bytes_; }
  [[nodiscard]] Result<> read(std::uint64_t offset, ByteSpan into) const override {
    return file_->read_at(offset, into);
  }
  [[nodiscard]] bool is_hole(std::uint64_t) const override { return false; }  // unknown: read() gives the zeros

 private:
  std::unique_ptr<sys::PageFile> file_;
  std::uint64_t bytes_;
};

class BlocksContent final : public Content {
 public:
  explicit BlocksContent(std::unique_ptr<content::Blocks> blocks) : blocks_(std::move(blocks)) {}
  [[nodiscard]] std::uint64_t bytes() const override { return blocks_->count() * kPage_bytes; }
  [[nodiscard]] Result<> read(std::uint64_t offset, ByteSpan into) const override {
    return blocks_->read(offset / kPage_bytes, into);
  }
  [[nodiscard]] bool is_hole(std::uint64_t offset) const override {
    const auto first = offset / kPage_bytes;
    const auto end = std::min(first + kPiece_bytes / kPage_bytes, blocks_->count());
    for (auto block = first; block < end; ++block) {
      if (!blocks_->is_hole(block)) return false;
    }
    return true;
  }

 private:
  std::unique_ptr<content::Blocks> blocks_;
};

Result<ByteVector> start_of(const sys::PageFile& file, std::size_t most) {
  ByteVector start(std::min<std::uint64_t>(file.size(), most));
  if (auto read = file.read_at(0, start); !read) return pass(read);
  return start;
}

// Its last sectors too, which blocks of 4 KiB would leave out.
Result<> check_whole_blocks(sys::PageFiles& files, const std::string& path) {
  const auto file = files.open(path);
  if (!file) return pass(file);
  const auto start = start_of(**file, kQcow2HeaderBytes);
  if (!start) return pass(start);
  const auto header = read_qcow2_header(*start, (*file)->size());
  if (!header) return fail(header, fmt::format("read {} as qcow2", path));
  if (header->disk_bytes % kPage_bytes != 0) return fail(Errc::unsupported, "{}: a disk of no whole blocks", path);
  return {};
}

bool has_at(ByteView start, std::size_t at, std::string_view magic) {
  return start.size() >= at + magic.size() && as_text(start.subspan(at, magic.size())) == magic;
}

}  // namespace

Result<std::string> format_of(sys::PageFiles& files, const std::string& path) {
  const auto file = files.open(path);
  if (!file) return pass(file);
  const auto start = start_of(**file, kStart_bytes);
  if (!start) return pass(start);
  constexpr std::size_t kVdiMagicAt = 0x40;
  struct Magic {
    const char* format;
    std::size_t at;
    std::string_view bytes;
  };
  for (const auto& each : {Magic{"qcow2", 0, "QFI\xfb"}, Magic{"vmdk", 0, "KDMV"}, Magic{"vhdx", 0, "vhdxfile"},
                           Magic{"vpc", 0, "conectix"}, Magic{"vdi", kVdiMagicAt, "\x7f\x10\xda\xbe"}}) {
    if (has_at(*start, each.at, each.bytes)) return each.format;
  }
  return "raw";
}

Result<std::unique_ptr<Content>> open_content(sys::PageFiles& files, const std::string& path,
                                              const std::string& format) {
  if (format == "raw") {
    auto file = files.open(path);
    if (!file) return pass(file);
    return std::make_unique<RawContent>(std::move(*file));
  }
  if (format != "qcow2") return fail(Errc::unsupported, "{}: {} is converted before it is read", path, format);
  if (auto whole = check_whole_blocks(files, path); !whole) return pass(whole);
  auto blocks = open_blocks(files, path, format);
  if (!blocks) return pass(blocks);
  return std::make_unique<BlocksContent>(std::move(*blocks));
}

}  // namespace godwit::image
