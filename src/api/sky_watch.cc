#include "api/sky_watch.h"

#include <map>
#include <memory>
#include <optional>
#include <set>

namespace godwit::api {
namespace {

// A destination has the instance, but its source can't be reached to say that it has cleaned up: nobody waits for that.
constexpr Seconds kCleanupPatience{15};

// What is to be said now: empty when nothing is new, nothing when all has been said.
using Say = std::function<std::optional<std::string>()>;

sys::Task<Result<std::string>> next_lines(sys::Clock& clock, sky::Sky& sky, std::shared_ptr<Say> say) {
  const auto heartbeat = clock.now() + kWatchHeartbeat;
  while (true) {
    const auto seen = sky.version();
    auto lines = (*say)();
    if (!lines) co_return std::string();
    if (!lines->empty()) co_return std::move(*lines);
    if (clock.now() >= heartbeat) co_return std::string("\n");
    co_await sky.wait_change(seen, heartbeat);
  }
}

sys::HttpResponse stream(sys::Clock& clock, sky::Sky& sky, Say say) {
  sys::HttpResponse response;
  response.headers["content-type"] = "application/x-ndjson";
  // Shared: HttpResponse copies its function, and all copies say the same things once.
  const auto shared = std::make_shared<Say>(std::move(say));
  response.next_chunk = [&clock, &sky, shared] { return next_lines(clock, sky, shared); };
  return response;
}

// What was said of each migration, and since when it has been at its destination.
struct MigrationWatch {
  sys::Clock& clock;
  sky::Sky& sky;
  std::vector<std::string> ids;
  std::map<std::string, std::string> last{};
  std::map<std::string, TimePoint> arrived{};
  std::set<std::string> ended{};

  void note_end(const std::string& id, const Result<wire::MigrationReport>& report) {
    if (!report || wire::is_final(report->phase)) ended.insert(id);
    if (!report || report->phase != wire::MigrationPhase::owned) return;
    const auto since = arrived.try_emplace(id, clock.now()).first->second;
    if (clock.now() - since >= kCleanupPatience) ended.insert(id);
  }

  std::optional<std::string> say() {
    if (ended.size() == ids.size()) return std::nullopt;
    std::string lines;
    for (const auto& id : ids) {
      const auto report = sky.migration(id);
      note_end(id, report);
      if (!report) continue;
      auto line = wire::encode(*report) + "\n";
      if (line == last[id]) continue;
      lines += line;
      last[id] = std::move(line);
    }
    if (lines.empty() && ended.size() == ids.size()) return std::nullopt;
    return lines;
  }
};

wire::ClusterView deleted(const std::string& name) {
  wire::ClusterView view;
  view.name = name;
  view.state = wire::ClusterState::deleted;
  return view;
}

}  // namespace

sys::HttpResponse watch_cluster(sys::Clock& clock, sky::Sky& sky, std::string name) {
  auto say = [&sky, name = std::move(name), last = std::string(),
              over = false]() mutable -> std::optional<std::string> {
    if (over) return std::nullopt;
    const auto view = sky.cluster(name);
    over = !view;
    auto line = wire::encode(view ? *view : deleted(name)) + "\n";
    if (line == last) return "";
    last = line;
    return line;
  };
  return stream(clock, sky, std::move(say));
}

sys::HttpResponse watch_migrations(sys::Clock& clock, sky::Sky& sky, std::vector<std::string> ids) {
  const auto watch = std::make_shared<MigrationWatch>(MigrationWatch{clock, sky, std::move(ids)});
  auto say = [watch] { return watch->say(); };
  return stream(clock, sky, std::move(say));
}

}  // namespace godwit::api
