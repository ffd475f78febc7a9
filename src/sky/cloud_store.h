// A cloud's store of images, as one of its users.
#pragma once

#include "image/send_rate.h"
#include "image/shipment.h"
#include "sky/cloud_client.h"

namespace godwit::sky {

// What is said to it counts in `rate`, and what is more than words waits for it. Borrowed references outlive the store.
class CloudStore final : public image::ShipmentTarget {
 public:
  CloudStore(CloudClient client, sys::Clock& clock, image::SendRate& rate)
      : client_(std::move(client)), clock_(clock), rate_(rate) {}
  sys::Task<Result<std::string>> call(std::string method, std::string path, std::string body) override {
    if (body.size() <= kWords_bytes) {
      rate_.take_anyway(clock_.now(), body.size());
    } else {
      while (const auto again = rate_.take(clock_.now(), body.size())) co_await clock_.sleep_until(*again);
    }
    auto calling = client_.image_call(std::move(method), std::move(path), std::move(body));
    co_return co_await std::move(calling);
  }

 private:
  static constexpr std::size_t kWords_bytes = 65'536;  // questions, and what an image is called

  CloudClient client_;
  sys::Clock& clock_;
  image::SendRate& rate_;
};

}  // namespace godwit::sky
