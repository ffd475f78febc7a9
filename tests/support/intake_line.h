// The API of a store of images without HTTP, for one caller.
#pragma once

#include "image/intake.h"
#include "image/shipment.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace godwit::testing {

// Breaks after so many calls.
class IntakeLine final : public image::ShipmentTarget {
 public:
  IntakeLine(image::Intake& intake, image::IntakeCaller caller) : intake_(intake), caller_(std::move(caller)) {}
  int breaks_after{1'000'000};
  std::uint64_t bytes{0};
  std::uint64_t longest{0};                               // body
  std::function<void(const std::string& path)> before{};  // each call
  bool knows_prefixes{true};
  std::size_t siblings_named{0};  // to be compressed against
  bool remembers{true};
  std::vector<std::string> said;  // answers, where it does

  sys::Task<Result<std::string>> call(std::string method, std::string path, std::string body) override {
    if (breaks_after-- <= 0) co_return fail(Errc::unavailable, "the line is cut");
    if (before) before(path);
    bytes += body.size();
    longest = std::max<std::uint64_t>(longest, body.size());
    auto answered = answer(method, path, body);
    if (remembers) said.push_back(answered ? *answered : answered.error().message);
    co_return answered;
  }

 private:
  template <class T>
  static Result<std::string> told(const Result<T>& answer) {
    if (!answer) return pass(answer);
    return wire::encode(*answer);
  }
  Result<std::string> answer(const std::string& method, const std::string& path, const std::string& body) {
    if (path == "/v1/image-contents") return told(intake_.offer(caller_, wire::decode<wire::ImageOffer>(body).value()));
    const auto id = path.substr(std::string("/v1/image-contents/").size(), 64);
    if (method == "GET") return told(intake_.look(caller_, id));
    if (path.ends_with("/known")) return intake_.known(caller_, id, as_bytes(body));
    if (path.ends_with("/prefixes") && !knows_prefixes) return fail(Errc::not_found, "there is nothing at {}", path);
    if (path.ends_with("/prefixes")) siblings_named += body.size() / image::kDigest_bytes;
    if (path.ends_with("/prefixes")) return intake_.prefixes(caller_, id, as_bytes(body));
    if (path.ends_with("/parcels")) return told(intake_.take(caller_, id, as_bytes(body)));
    const auto first = std::stoull(path.substr(path.rfind('/') + 1));
    const auto listed = intake_.add_to_list(caller_, id, first, as_bytes(body));
    if (!listed) return pass(listed);
    return std::string("{}");
  }

  image::Intake& intake_;
  image::IntakeCaller caller_;
};

}  // namespace godwit::testing
