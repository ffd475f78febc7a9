#include "cli/image_check_views.h"

#include "cli/table.h"
#include "cli/text.h"

#include <algorithm>

namespace godwit::cli {
namespace {

bool is_ended(const wire::CloudImageCheck& cloud, const wire::PlaceCheck& place) {
  return place.check.done && place.check.number >= cloud.number;
}

bool is_settled_at(const wire::CloudImageCheck& cloud, const wire::PlaceCheck& place) {
  if (!place.alive) return true;
  return is_ended(cloud, place) && (!place.check.problem.empty() || place.check.repaired == place.check.bad);
}

std::string state_of(const wire::CloudImageCheck& cloud, const wire::PlaceCheck& place) {
  const auto& check = place.check;
  if (!place.alive) return "is silent";
  if (!is_ended(cloud, place)) {
    if (check.number < cloud.number || check.of == 0) return "waits";
    return fmt::format("{:.0f}%", 100 * static_cast<double>(check.pieces) / static_cast<double>(check.of));
  }
  if (!check.problem.empty()) return "failed";
  if (check.bad == 0) return "as it should be";
  return check.repaired == check.bad ? "repaired" : "is being repaired";
}

std::string place_name(const wire::PlaceCheck& place) { return place.host.empty() ? "store" : place.host; }

// Without a name: what sky keeps itself.
std::string cloud_name(const wire::CloudImageCheck& cloud) { return cloud.cloud.empty() ? "sky" : cloud.cloud; }

}  // namespace

std::string checks_text(const wire::SkyImageChecks& checks) {
  Table table({{"IMAGE"},
               {"CLOUD"},
               {"WHERE"},
               {"PIECES", Align::right},
               {"BAD", Align::right},
               {"REPAIRED", Align::right},
               {"STATE"}});
  for (const auto& image : checks.images) {
    for (const auto& cloud : image.clouds) {
      for (const auto& place : cloud.places) {
        const bool ended = is_ended(cloud, place);
        const auto number = [&](std::uint64_t value) { return ended ? std::to_string(value) : std::string("-"); };
        table.add({image.name, cloud_name(cloud), place_name(place), number(place.check.pieces),
                   number(place.check.bad), number(place.check.repaired), state_of(cloud, place)});
      }
      if (!cloud.problem.empty()) table.add({image.name, cloud.cloud, "-", "-", "-", "-", "says nothing"});
    }
  }
  if (table.empty()) return "No images. `godwit image add` takes one in.\n";
  return table.text();
}

bool is_settled(const wire::SkyImageCheck& check) {
  return std::ranges::all_of(check.clouds, [](const wire::CloudImageCheck& cloud) {
    return std::ranges::all_of(cloud.places, [&](const auto& place) { return is_settled_at(cloud, place); });
  });
}

std::string problems_of(const wire::SkyImageCheck& check) {
  std::string out;
  const auto add = [&](const std::string& text) { out += (out.empty() ? "" : "; ") + text; };
  for (const auto& cloud : check.clouds) {
    if (!cloud.problem.empty()) add(cloud.problem);
    for (const auto& place : cloud.places) {
      const auto where = fmt::format("{} of {}", place_name(place), cloud_name(cloud));
      if (!place.alive) {
        add(where + " is silent");
      } else if (!is_ended(cloud, place)) {
        add(where + " has not looked yet");
      } else if (!place.check.problem.empty()) {
        add(where + ": " + place.check.problem);
      } else if (place.check.repaired < place.check.bad) {
        add(fmt::format("{} has {} bad pieces that have not come again yet", where,
                        place.check.bad - place.check.repaired));
      }
    }
  }
  return printable(out);
}

}  // namespace godwit::cli
