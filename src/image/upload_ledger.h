// How far those who bring images to a store have come: whoever has shown all of an image has it, and nobody gets one by
// its id. docs/decisions/possession.md
#pragma once

#include "image/manifest.h"
#include "image/piece_set.h"

#include <span>

namespace godwit::image {

// One caller's, of one image.
struct Upload {
  bool has_list{false};  // they have sent all of it
  PieceSet shown;        // pieces of which they have sent every byte, or named it by a block that they may use
};

// It outlives the process. One strand.
class UploadLedger {
 public:
  virtual ~UploadLedger() = default;
  // Where it is under way it stays as it is. Errors: exhausted (they may keep no more), io.
  [[nodiscard]] virtual Result<> begin(const std::string& who, const ImageId& id, std::uint64_t pieces) = 0;
  // Errors of this and the others: not_found (they have not begun it), io.
  [[nodiscard]] virtual Result<Upload> find(const std::string& who, const ImageId& id) = 0;
  // The image takes so many bytes of the store's disk. Errors: exhausted.
  [[nodiscard]] virtual Result<> list_shown(const std::string& who, const ImageId& id, std::uint64_t need_bytes) = 0;
  // `shown` has all of them; `fresh` are new.
  [[nodiscard]] virtual Result<> pieces_shown(const std::string& who, const ImageId& id, const PieceSet& shown,
                                              std::span<const std::uint64_t> fresh) = 0;
};

}  // namespace godwit::image
