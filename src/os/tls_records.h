// Where in a TLS record a stream of encrypted bytes stands. For os/tls_connection.cc.
#pragma once

#include "base/bytes.h"

#include <algorithm>
#include <array>

namespace godwit::os {

// A record is 5 bytes, of which the last two are the length (big-endian) of what follows (RFC 8446, section 5.1).
// Nothing of it can be decrypted before its last byte has come, so a reader need not be woken sooner.
class TlsRecords {
 public:
  // `bytes` came next. Any bytes: what a peer makes up gives a wrong number below, never more than 64 KiB.
  void pass(ByteView bytes) {
    while (!bytes.empty()) {
      const auto of_body = std::min(left_, bytes.size());
      left_ -= of_body;
      bytes = bytes.subspan(of_body);
      if (bytes.empty()) break;
      head_[head_bytes_++] = bytes.front();
      bytes = bytes.subspan(1);
      if (head_bytes_ < head_.size()) continue;
      head_bytes_ = 0;
      left_ = std::to_integer<std::size_t>(head_[3]) << 8U | std::to_integer<std::size_t>(head_[4]);
    }
  }

  // Bytes that must still come before anything can be read: at least 1.
  [[nodiscard]] std::size_t missing() const {
    if (left_ > 0) return left_;
    return head_bytes_ > 0 ? head_.size() - head_bytes_ : 1;
  }

 private:
  std::array<std::byte, 5> head_{};
  std::size_t head_bytes_{0};
  std::size_t left_{0};  // of the body
};

}  // namespace godwit::os
