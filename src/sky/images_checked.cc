// Audits of the images that are kept here and at clouds.
#include "sky/images.h"

#include <algorithm>

namespace godwit::sky {
namespace {

constexpr Seconds kCheckEvery{60};

std::uint64_t ms_of(WallTime time) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<Millis>(time.time_since_epoch()).count());
}

}  // namespace

sys::Task<Result<wire::SkyImageCheck>> Images::check(std::string name, bool begins) {
  auto* entry = find(name);
  if (!entry || entry->record.id.empty()) co_return no_image(name);
  if (begins) {
    const auto begun = begin_check(*entry);
    if (!begun) co_return pass(begun);
  }
  wire::SkyImageCheck out{name, {}};
  out.clouds.push_back(own_check(*entry));
  const auto clouds = entry->record.clouds;
  for (const auto& cloud : clouds) {
    auto said = co_await check_at(cloud, name, begins);
    if (!said) said = wire::CloudImageCheck{cloud, "", 0, {}, said.error().message};
    out.clouds.push_back(std::move(*said));
  }
  co_return out;
}

Result<> Images::begin_check(Entry& entry) {
  const auto now = ms_of(runtime_.clock.wall_now());
  if (entry.record.check + static_cast<std::uint64_t>(Millis{kCheckEvery}.count()) > now) return {};
  auto record = entry.record;
  record.check = now;
  const auto saved = store_.save(record);
  if (!saved) return saved;
  entry.record = std::move(record);
  want_checks();
  return {};
}

void Images::want_checks() {
  std::map<image::ImageId, std::uint64_t> numbers;
  for (const auto& [name, entry] : entries_) {
    const auto& record = entry.record;
    if (record.check > 0) numbers[record.id] = std::max(numbers[record.id], record.check);
  }
  checks_.want(std::move(numbers));
}

void Images::end_check(const image::ImageId& id) {
  const auto stored = repository_.find(id);
  if (stored && !stored->complete()) gate_.spawn(mend(id));
  changed_();
}

wire::CloudImageCheck Images::own_check(const Entry& entry) const {
  const auto& id = entry.record.id;
  wire::PlaceCheck place{"", true, {}};
  for (auto& each : checks_.list()) {
    if (each.sha256 == id) place.check = std::move(each);
  }
  const auto& found = place.check;
  if (found.done && found.problem.empty() && found.repaired < found.bad && clouds_with(id).empty()) {
    place.check.problem = fmt::format("{} of its pieces are bad, and no cloud has it (godwit image add: once more)",
                                      found.bad - found.repaired);
  }
  return {"", id, entry.record.check, {std::move(place)}, ""};
}

sys::Task<Result<wire::CloudImageCheck>> Images::check_at(std::string cloud, std::string name, bool begins) {
  const auto client = accounts_.client(cloud);
  if (!client) co_return pass(client);
  co_return co_await client->check_image(name, begins);
}

}  // namespace godwit::sky
