#include "wire/memory_reader.h"

#include "wire/memory_stream.h"
#include "wire/multifd_stream.h"

#include <algorithm>
#include <array>

namespace godwit::wire {
namespace {

constexpr std::uint32_t kMainMagic = 0x5145564d;  // "QEVM"
constexpr std::uint32_t kMultifdMagic = 0x11223344;

void cover_all(ByteView bytes, std::vector<Stretch>& stretches) {
  while (!bytes.empty()) {
    const auto part = static_cast<std::uint32_t>(std::min<std::size_t>(bytes.size(), UINT32_MAX));
    add_stretch(stretches, {.size_bytes = part});
    bytes = bytes.subspan(part);
  }
}

class MemoryReader final : public StretchReader {
 public:
  void feed(ByteView bytes, std::vector<Stretch>& stretches) override {
    if (!chosen_ && !is_other_) bytes = choose(bytes, stretches);
    if (chosen_) {
      chosen_->feed(bytes, stretches);
    } else {
      cover_all(bytes, stretches);
    }
  }

 private:
  // Returns what the chosen reader has yet to read; the magic, where an earlier feed began it, is covered here.
  ByteView choose(ByteView bytes, std::vector<Stretch>& stretches) {
    const auto before = magic_bytes_;
    const auto taken = std::min(magic_.size() - before, bytes.size());
    std::copy_n(bytes.begin(), taken, magic_.begin() + static_cast<std::ptrdiff_t>(before));
    magic_bytes_ += taken;
    if (magic_bytes_ == magic_.size()) {
      const auto magic = load_be32(magic_);
      if (magic == kMainMagic) chosen_ = std::make_unique<MemoryStream>();
      if (magic == kMultifdMagic) chosen_ = std::make_unique<MultifdStream>();
      is_other_ = !chosen_;
      if (before == 0) return bytes;
    }
    cover_all(bytes.first(taken), stretches);
    std::vector<Stretch> covered;
    if (chosen_) chosen_->feed(magic_, covered);
    return bytes.subspan(taken);
  }

  std::array<std::byte, 4> magic_{};
  std::size_t magic_bytes_{0};
  bool is_other_{false};
  std::unique_ptr<StretchReader> chosen_;
};

}  // namespace

std::unique_ptr<StretchReader> read_memory() { return std::make_unique<MemoryReader>(); }

}  // namespace godwit::wire
