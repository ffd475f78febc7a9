// What the other hosts of this host's cloud hold of a tenant's content: the content directory, as one host uses it.
// Each digest has an owner among the cloud's agents, who knows a host that holds the page (content/directory.h); the
// page comes from there over the LAN. Lost, late or wrong answers cost ratio only: what is brought was checked by its
// digest.
#pragma once

#include "content/digest.h"
#include "content/sketch.h"
#include "content/store.h"
#include "sys/task.h"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace godwit::content {

inline constexpr std::size_t kLookupLimit = 4096;  // digests in one question
inline constexpr std::size_t kSeekLimit = 1024;    // sketches

class Siblings {
 public:
  virtual ~Siblings() = default;
  // The 32 bytes under which this cloud digests the tenant's pages; nothing where it has no such key: then nothing can
  // be looked up. A secret: it goes to those only who may learn which of the tenant's content this cloud holds.
  [[nodiscard]] virtual std::optional<std::array<std::byte, 32>> key_of(const std::string& tenant) const = 0;
  // Whether a lookup has a chance: some host of this cloud, this one too, holds content of the tenant.
  [[nodiscard]] virtual bool may_know(const std::string& tenant) const = 0;
  // For each of at most kLookupLimit digests, in their order, the page in this host's own store, which holds it from
  // now on like any other (pin it first); 0 where no host was found to hold it in time. Ends within a second.
  [[nodiscard]] virtual sys::Task<std::vector<PageId>> bring(std::string tenant, std::vector<PageDigest> digests) = 0;
  // The same for pages that are like others: for each of at most kSeekLimit sketches one that shares a super-feature
  // with it, as far as a host was found to hold one. A good guess, never a promise.
  [[nodiscard]] virtual sys::Task<std::vector<PageId>> bring_alike(std::string tenant,
                                                                   std::vector<Sketch> sketches) = 0;
};

}  // namespace godwit::content
