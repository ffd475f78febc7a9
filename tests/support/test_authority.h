// CAs and host certificates for tests, valid now.
#pragma once

#include "base/assert.h"
#include "crypto/identity.h"
#include "support/counting_random.h"
#include "sys/stream.h"

#include <chrono>
#include <map>
#include <string>
#include <utility>

namespace godwit::testing {

struct TestIdentity {
  std::string certificate_pem;
  std::string key_pem;
};

class TestAuthority {
 public:
  explicit TestAuthority(std::string cloud)
      : cloud_(std::move(cloud)),
        key_(crypto::Key::generate().value()),
        pem_(crypto::make_authority(key_, cloud_, validity(false), random_).value()) {}

  [[nodiscard]] sys::TrustedCa trusted_as(std::string cloud) const { return {std::move(cloud), pem_}; }
  [[nodiscard]] sys::TrustedCa trusted() const { return {cloud_, pem_}; }

  [[nodiscard]] TestIdentity issue(const std::string& name, bool expired = false) {
    const auto key = crypto::Key::generate().value();
    const auto request = crypto::make_request(key, name).value();
    return {crypto::sign_request(key_, pem_, request, name, validity(expired), random_).value(), key.to_pem()};
  }

 private:
  static crypto::Validity validity(bool expired) {
    const auto now = std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
    const auto day = std::chrono::hours(24);
    return expired ? crypto::Validity{now - 2 * day, now - day} : crypto::Validity{now - day, now + day};
  }

  CountingRandom random_;
  std::string cloud_;
  crypto::Key key_;
  std::string pem_;
};

}  // namespace godwit::testing
