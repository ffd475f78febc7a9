// How much an encoder tries: more while the link is what is waited for, less while it is the CPU. Pure.
#pragma once

#include "base/time.h"
#include "migrate/batch_encoder.h"

#include <optional>

namespace godwit::migrate {

class Pace {
 public:
  // With `fixed` it always says that.
  explicit Pace(std::optional<Effort> fixed = std::nullopt) : fixed_(fixed) {}
  // Of one batch: what it took to encode, and to be taken by the link.
  void note(Nanos encoding, Nanos writing);
  [[nodiscard]] Effort effort() const;

 private:
  std::optional<Effort> fixed_;
  int step_{5};
  double encoding_ms_{0};
  double writing_ms_{0};
  int batches_{0};
};

}  // namespace godwit::migrate
