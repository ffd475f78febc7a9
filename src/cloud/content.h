// The cloud's part in its content directory: which hosts share it, and who is given which tenant's key.
// docs/protocols/directory.md.
#pragma once

#include "cloud/core.h"

namespace godwit::cloud {

// A host that says nothing for this long shares the directory no more. Much longer than kHostSilence: when one goes,
// what it was the owner of moves to others.
constexpr Seconds kSiblingSilence{60};
constexpr std::int64_t kMostSiblings = 1024;

// What the newest report of `host` says about content. True when others may see a difference.
[[nodiscard]] bool apply_content_report(Sql& sql, const HostRow& host);

// Where hosts give images to each other, by name.
struct ImageGiver {
  std::string certificate_name;
  std::string ip;
  std::uint16_t port{0};

  bool operator==(const ImageGiver&) const = default;
};
[[nodiscard]] std::vector<ImageGiver> image_givers(Sql& sql, Core& core);

// Fills in `siblings` and `content_keys`. A tenant's key is made when it is first needed, and given to hosts that hold
// or expect an instance of the tenant, for as long as they do and as long after as they hold content of it.
void add_content(Sql& sql, Core& core, const std::string& host, wire::DesiredState& desired);

}  // namespace godwit::cloud
