// Watches of sky's API: JSON lines, one whenever what is watched has changed, until it can change no more.
#pragma once

#include "sky/sky.h"
#include "sys/http.h"

#include <string>
#include <vector>

namespace godwit::api {

// An empty line is sent when nothing has changed for this long, so that both ends know of each other.
constexpr Seconds kWatchHeartbeat{15};

// `clock` and `sky` outlive the response. Lines of wire::ClusterView; the last one says `deleted`, where it is.
[[nodiscard]] sys::HttpResponse watch_cluster(sys::Clock& clock, sky::Sky& sky, std::string name);

// Lines of wire::MigrationReport, until each of `ids` is final, or has been owned for 15 s.
[[nodiscard]] sys::HttpResponse watch_migrations(sys::Clock& clock, sky::Sky& sky, std::vector<std::string> ids);

}  // namespace godwit::api
