// Values that very many members share, each kept once, for as long as somebody has it. Pure.
#pragma once

#include <memory>
#include <unordered_set>

namespace godwit::overlay {

// Hash is a function object of T. One strand.
template <class T, class Hash>
class Interned {
 public:
  using Shared = std::shared_ptr<const T>;

  [[nodiscard]] Shared keep(const T& value) {
    const auto found = kept_.find(value);
    if (found != kept_.end()) return *found;
    if (kept_.size() >= sweep_at_) {
      std::erase_if(kept_, [](const Shared& each) { return each.use_count() == 1; });
      sweep_at_ = kLeastSweep + 2 * kept_.size();
    }
    return *kept_.insert(std::make_shared<const T>(value)).first;
  }
  [[nodiscard]] std::size_t size() const { return kept_.size(); }

 private:
  static constexpr std::size_t kLeastSweep = 64;

  struct HashOf {
    using is_transparent = void;
    std::size_t operator()(const T& value) const { return Hash{}(value); }
    std::size_t operator()(const Shared& value) const { return Hash{}(*value); }
  };
  struct Same {
    using is_transparent = void;
    static const T* at(const T& value) { return &value; }
    static const T* at(const Shared& value) { return value.get(); }
    bool operator()(const auto& a, const auto& b) const { return *at(a) == *at(b); }
  };

  std::unordered_set<Shared, HashOf, Same> kept_;
  std::size_t sweep_at_{kLeastSweep};
};

}  // namespace godwit::overlay
