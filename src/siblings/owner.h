// What this agent knows as an owner of digests: which sibling, or this host itself, says that it holds each. Lossy:
// what does not fit pushes out the oldest. Nobody is believed for more than this: who asks checks what it gets.
#pragma once

#include "content/directory.h"
#include "siblings/messages.h"

#include <map>
#include <string>
#include <vector>

namespace godwit::siblings {

// Memory: 9 bytes an entry, of which a page has one for its digest and two for its sketch.
inline constexpr std::uint64_t kMostOwned = 1ULL << 20U;
inline constexpr std::uint64_t kMostLikenesses = content::kSuperFeatures * kMostOwned;

class Owner final {
 public:
  Owner() : table_(kMostOwned), likenesses_(kMostLikenesses) {}

  // A process of `holder` is there: what an earlier one has said is forgotten. Cost: a pass over all then.
  void meet(const std::string& holder, Incarnation incarnation);
  void depart(const std::string& holder);

  // Nothing happens where `holder` was not met.
  void tell(const std::string& holder, const std::vector<PageDigest>& digests);
  void withdraw(const std::string& holder, const std::vector<PageDigest>& digests);
  void tell_alike(const std::string& holder, const std::vector<SketchTag>& tags);
  // Empty: nobody that is known.
  [[nodiscard]] const std::string& holder_of(const PageDigest& digest) const;
  [[nodiscard]] const std::string& holder_of(SketchTag tag) const;

  [[nodiscard]] std::uint64_t size() const { return table_.size(); }
  [[nodiscard]] std::uint64_t bytes() const { return table_.bytes() + likenesses_.bytes(); }

 private:
  struct Host {
    content::HostNumber number;
    Incarnation incarnation;
  };
  [[nodiscard]] content::HostNumber free_number() const;
  [[nodiscard]] const std::string& name_of(content::HostNumber number) const;

  content::OwnerTable table_;
  content::OwnerTable likenesses_;
  std::map<std::string, Host> hosts_;
  std::map<content::HostNumber, std::string> names_;
};

}  // namespace godwit::siblings
