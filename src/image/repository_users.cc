// Who uses an image, and when it was used last: what outlives the process.
#include "base/id.h"
#include "image/repository_entry.h"

namespace godwit::image {
namespace {

constexpr std::string_view kUsedName = "used.json";
constexpr std::string_view kHoldersName = "holders.json";
constexpr std::size_t kUsed_bytes = 128;
constexpr std::size_t kHolders_bytes = kHoldersLimit * 72;

struct Used {
  std::uint64_t unix_seconds{0};
};
BOOST_DESCRIBE_STRUCT(Used, (), (unix_seconds))

struct Holders {
  std::vector<std::string> holders;
};
BOOST_DESCRIBE_STRUCT(Holders, (), (holders))

std::uint64_t seconds_of(WallTime time) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<Seconds>(time.time_since_epoch()).count());
}

}  // namespace

Result<> Repository::take_up_users(Entry& entry) {
  const auto& id = entry.status.id;
  if (const auto used = runtime_.files.read(file_of(id, kUsedName), kUsed_bytes)) {
    const auto read = wire::decode<Used>(*used, kUsed_bytes);
    constexpr std::uint64_t kLastSecond = 253'402'300'799;  // of the year 9999
    if (read && read->unix_seconds <= kLastSecond) entry.status.last_used = WallTime(Seconds(read->unix_seconds));
  }
  const auto held = runtime_.files.read(file_of(id, kHoldersName), kHolders_bytes);
  if (!held && held.error().code != Errc::not_found) return pass(held);
  if (held) {
    // Who can't be read may be there: better an image too many than one too few.
    auto holders = wire::decode<Holders>(*held, kHolders_bytes);
    if (!holders) holders = Holders{{"somebody (holders.json can't be read)"}};
    entry.holders.insert(holders->holders.begin(), holders->holders.end());
  }
  return {};
}

void Repository::tell_use(Entry& entry) {
  const auto now = runtime_.clock.wall_now();
  entry.status.last_used = now;
  if (now < entry.last_told + kLastUseGrain) return;
  entry.last_told = now;
  const auto text = wire::encode(Used{seconds_of(now)});
  const auto told = runtime_.files.write_atomic(file_of(entry.status.id, kUsedName), text, kImageFileMode);
  if (!told)
    runtime_.log.warn("image {}: {}", ami_of(entry.status.id), told.error().message);  // only an order of going
}

Result<> Repository::write_holders(const Entry& entry) {
  const Holders said{{entry.holders.begin(), entry.holders.end()}};
  return runtime_.files.write_atomic(file_of(entry.status.id, kHoldersName), wire::encode(said), kImageFileMode);
}

Result<> Repository::hold(const ImageId& id, const std::string& holder) {
  const auto found = entry(id);
  if (!found) return pass(found);
  auto& of = **found;
  if (of.holders.contains(holder)) return {};
  if (!is_label(holder)) {
    return fail(Errc::invalid_argument, "hold image {}: \"{:.64}\" is no name of a holder", ami_of(id), holder);
  }
  if (of.holders.size() >= kHoldersLimit) {
    return fail(Errc::exhausted, "hold image {}: {} hold it already", ami_of(id), kHoldersLimit);
  }
  of.holders.insert(holder);
  auto written = write_holders(of);
  if (written) return {};
  of.holders.erase(holder);
  return fail(written, "hold image " + ami_of(id));
}

Result<> Repository::let_go(const ImageId& id, const std::string& holder) {
  const auto found = entry(id);
  if (!found) return pass(found);
  if ((*found)->holders.erase(holder) == 0) return {};
  (*found)->status.last_used = runtime_.clock.wall_now();
  return write_holders(**found);
}

Result<> Repository::hold_only(const std::set<std::string>& holders) {
  for (const auto& [id, each] : entries_) {
    if (std::erase_if(each->holders, [&](const auto& name) { return !holders.contains(name); }) == 0) continue;
    if (auto written = write_holders(*each); !written) return written;
  }
  return {};
}

}  // namespace godwit::image
