// Rapports on disk, beside the pages that they number: the next agent goes on with them. Pure.
// Format: docs/formats/content-store.md.
#pragma once

#include "migrate/rapport.h"

#include <memory>
#include <string>
#include <vector>

namespace godwit::migrate {

struct NamedRapport {
  std::string tenant;
  std::string peer;
  std::shared_ptr<Rapport> rapport;
};

inline constexpr std::size_t kRapportFile_bytes = 32UL << 20U;  // of more, the last ones are left out

[[nodiscard]] ByteVector pack(const std::vector<NamedRapport>& rapports);
// Of each, domain is not set, and what it says of pages is to be held against the store. Errors: protocol.
[[nodiscard]] Result<std::vector<NamedRapport>> parse_rapports(ByteView bytes);

}  // namespace godwit::migrate
