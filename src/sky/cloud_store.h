// A cloud's store of images, as one of its users.
#pragma once

#include "image/shipment.h"
#include "sky/cloud_client.h"

namespace godwit::sky {

class CloudStore final : public image::ShipmentTarget {
 public:
  explicit CloudStore(CloudClient client) : client_(std::move(client)) {}
  sys::Task<Result<std::string>> call(std::string method, std::string path, std::string body) override {
    return client_.image_call(std::move(method), std::move(path), std::move(body));
  }

 private:
  CloudClient client_;
};

}  // namespace godwit::sky
