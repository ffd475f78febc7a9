// What this agent knows as an owner of digests: which sibling, or this host itself, says that it holds each. Lossy:
// what does not fit pushes out the oldest. Nobody is believed for more than this: who asks checks what it gets.
#pragma once

#include "content/directory.h"
#include "siblings/messages.h"

#include <map>
#include <string>
#include <vector>

namespace godwit::siblings {

// Memory: 24 bytes an entry.
inline constexpr std::uint64_t kMostOwned = 1ULL << 20U;

class Owner final {
 public:
  Owner() : table_(kMostOwned) {}

  // A process of `holder` is there: what an earlier one has said is forgotten. Cost: a pass over all then.
  void meet(const std::string& holder, Incarnation incarnation);
  void depart(const std::string& holder);

  // Nothing happens where `holder` was not met.
  void tell(const std::string& holder, const std::vector<PageDigest>& digests);
  void withdraw(const std::string& holder, const std::vector<PageDigest>& digests);
  // Empty: nobody that is known.
  [[nodiscard]] const std::string& holder_of(const PageDigest& digest) const;

  [[nodiscard]] std::uint64_t size() const { return table_.size(); }
  [[nodiscard]] std::uint64_t bytes() const { return table_.bytes(); }

 private:
  struct Host {
    content::HostNumber number;
    Incarnation incarnation;
  };
  [[nodiscard]] content::HostNumber free_number() const;

  content::OwnerTable table_;
  std::map<std::string, Host> hosts_;
  std::map<content::HostNumber, std::string> names_;
};

}  // namespace godwit::siblings
