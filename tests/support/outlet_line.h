// A store's API as image/retrieval.h calls it, without HTTP.
#pragma once

#include "image/outlet.h"
#include "image/shipment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

namespace godwit::testing {

// Breaks after so many calls.
class OutletLine final : public image::ShipmentTarget {
 public:
  explicit OutletLine(image::Outlet& outlet) : outlet_(outlet) {}
  int breaks_after{1'000'000};
  std::uint64_t bytes{0};
  std::uint64_t longest{0};  // of the answers
  int list_parts{0};
  int differences{0};
  bool knows_prefixes{true};
  image::MayUse may_use{};  // by what it says, the store has it whole
  std::function<void(const std::string& path, std::string& answer)> spoil{};

  sys::Task<Result<std::string>> call(std::string method, std::string path, std::string body) override {
    if (breaks_after-- <= 0) co_return fail(Errc::unavailable, "the line is cut");
    auto told = answer(method, path, body);
    if (told && spoil) spoil(path, *told);
    if (told) bytes += told->size();
    if (told) longest = std::max<std::uint64_t>(longest, told->size());
    co_return told;
  }

 private:
  // As image/intake.h answers it.
  [[nodiscard]] std::string shared_of(const std::string& ids) const {
    std::string out;
    for (std::size_t at = 0; at < ids.size(); at += image::kDigest_bytes) {
      const auto id = to_hex(as_bytes(ids).subspan(at, image::kDigest_bytes));
      out += may_use && may_use(id) ? '\1' : '\0';
    }
    return out;
  }
  Result<std::string> answer(const std::string& method, const std::string& path, const std::string& body) {
    const auto id = path.substr(std::string("/v1/image-contents/").size(), 64);
    if (path.ends_with("/prefixes") && knows_prefixes) return shared_of(body);
    if (path.ends_with("/prefixes")) return fail(Errc::not_found, "there is nothing at {}", path);
    if (path.ends_with("/sketches")) return outlet_.sketches(id, as_bytes(body));
    if (path.ends_with("/differences")) ++differences;
    if (path.ends_with("/differences")) return outlet_.differences(id, as_bytes(body), may_use);
    if (path.ends_with("/tags")) return outlet_.tags(id, as_bytes(body));
    if (path.ends_with("/pieces")) return outlet_.parcel(id, as_bytes(body));
    EXPECT_EQ(method, "GET");
    if (const auto at = path.find("/list/"); at != std::string::npos) {
      ++list_parts;
      return outlet_.list(id, std::stoull(path.substr(at + 6)));
    }
    const auto offer = outlet_.offer(id);
    if (!offer) return pass(offer);
    return wire::encode(*offer);
  }

  image::Outlet& outlet_;
};

}  // namespace godwit::testing
