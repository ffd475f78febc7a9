// Memory that many share and none has more of than it was given. Pure; one strand.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>

namespace godwit::migrate {

class Budget final {
 public:
  explicit Budget(std::size_t bytes) : free_(bytes), reserve_(bytes / 4) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  // What one has of it: given back with the share, which the budget outlives.
  class Share {
   public:
    Share() = default;
    Share(Share&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Share() {
      if (budget_ != nullptr) budget_->free_ += bytes_;
    }
    // To have so many in all. More than before only where a quarter of the whole is left then, for newcomers; false:
    // nothing has changed.
    [[nodiscard]] bool hold(std::size_t bytes) {
      if (budget_ == nullptr) return bytes <= bytes_;
      if (bytes > bytes_ && bytes - bytes_ > budget_->spare_bytes()) return false;
      budget_->free_ += bytes_;
      budget_->free_ -= bytes;
      bytes_ = bytes;
      return true;
    }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

   private:
    friend class Budget;
    Share(Budget& budget, std::size_t bytes) : budget_(&budget), bytes_(bytes) {}
    Budget* budget_{nullptr};
    std::size_t bytes_{0};
  };

  // Of a newcomer, from the last quarter too. Nothing where so much is not free.
  [[nodiscard]] std::optional<Share> admit(std::size_t bytes) {
    if (bytes > free_) return std::nullopt;
    free_ -= bytes;
    return Share(*this, bytes);
  }
  [[nodiscard]] std::size_t free_bytes() const { return free_; }
  // By how much shares may grow.
  [[nodiscard]] std::size_t spare_bytes() const { return free_ > reserve_ ? free_ - reserve_ : 0; }

 private:
  std::size_t free_;
  std::size_t reserve_;
};

}  // namespace godwit::migrate
