// In which order boots read the images of this cloud: as its hosts have said it, for its hosts. A host can make another
// one's boots slow with it, and nothing else.
#pragma once

#include "cloud/core.h"

namespace godwit::cloud {

inline constexpr std::size_t kBootOrdersPerReport = 64;

// Errors: invalid_argument.
[[nodiscard]] Result<> check_boot_orders(const std::vector<wire::BootOrder>& said);
// Of contents that have a name here the longest is kept: what cuts one short is that its disk server ended, or its
// image was whole. True: a new one. Call inside a writing transaction, like the next.
[[nodiscard]] bool note_boot_orders(Sql& sql, const std::vector<wire::BootOrder>& said);
// Those of contents that have no name any more go.
void drop_boot_orders(Sql& sql);
// For images that an instance is to begin with at that host, and that are not there.
void add_boot_orders(Sql& sql, const HostRow& host, wire::DesiredState& desired);

}  // namespace godwit::cloud
