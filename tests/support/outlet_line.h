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
  Result<std::string> answer(const std::string& method, const std::string& path, const std::string& body) {
    const auto id = path.substr(std::string("/v1/image-contents/").size(), 64);
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
