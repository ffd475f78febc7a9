// How pages come from siblings: questions to all owners at once, then to all holders, within one deadline.
#pragma once

#include "siblings/holder.h"
#include "siblings/link.h"
#include "siblings/owner.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace godwit::siblings {

inline constexpr Millis kBringLimit{500};   // the whole
inline constexpr Millis kOwnersLimit{150};  // of which for the owners

using Links = std::map<std::string, std::shared_ptr<Link>>;

// What a bringing works with; lives as long as any of them.
struct Sources {
  sys::Runtime& runtime;
  const std::string& self;
  Holder& holder;
  const Owner& owner;
  const content::Ring& ring;
  const Links& links;
};

// As content::Siblings::bring; `sources` outlives it.
[[nodiscard]] sys::Task<std::vector<content::PageId>> bring_pages(const Sources& sources, std::string tenant,
                                                                  std::vector<PageDigest> digests);
// As content::Siblings::bring_alike.
[[nodiscard]] sys::Task<std::vector<content::PageId>> bring_alike(const Sources& sources, std::string tenant,
                                                                  std::vector<Sketch> sketches);

}  // namespace godwit::siblings
