// A ledger of uploads without a database, and without limits.
#pragma once

#include "image/upload_ledger.h"

#include <map>
#include <utility>

namespace godwit::testing {

class UploadsInMemory final : public image::UploadLedger {
 public:
  Result<> begin(const std::string& who, const image::ImageId& id, std::uint64_t pieces) override {
    all_.try_emplace({who, id}, image::Upload{false, image::PieceSet(pieces)});
    return {};
  }
  Result<image::Upload> find(const std::string& who, const image::ImageId& id) override {
    const auto found = all_.find({who, id});
    if (found == all_.end()) return fail(Errc::not_found, "{} brings no image {}", who, id);
    return found->second;
  }
  Result<> list_shown(const std::string& who, const image::ImageId& id, std::uint64_t) override {
    all_.at({who, id}).has_list = true;
    return {};
  }
  Result<> pieces_shown(const std::string& who, const image::ImageId& id, const image::PieceSet& shown,
                        std::span<const std::uint64_t>) override {
    all_.at({who, id}).shown = shown;
    return {};
  }

 private:
  std::map<std::pair<std::string, image::ImageId>, image::Upload> all_;
};

}  // namespace godwit::testing
