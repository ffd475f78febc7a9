// Room on disk: known before it is needed, and made where images may go.
#include "image/repository_entry.h"

#include <algorithm>

namespace godwit::image {
namespace {

std::string gib(std::uint64_t bytes) { return fmt::format("{:.2f} GiB", static_cast<double>(bytes) / (1ULL << 30U)); }

std::uint64_t less(std::uint64_t from, std::uint64_t what) { return from > what ? from - what : 0; }

}  // namespace

std::uint64_t Repository::need_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [id, each] : entries_) sum += each->look().need_bytes;
  return sum;
}

// What others, that are on their way, will still write.
std::uint64_t Repository::owed_bytes(const ImageId& but) const {
  std::uint64_t sum = 0;
  for (const auto& [id, each] : entries_) {
    if (id != but) sum += each->look().missing * kPiece_bytes;
  }
  return sum;
}

// Whole images that nobody uses, those that were not used for longest first.
std::vector<std::shared_ptr<Repository::Entry>> Repository::evictable(const ImageId& but) const {
  std::vector<std::shared_ptr<Entry>> all;
  for (const auto& [id, each] : entries_) {
    if (limits_.evict && id != but && !each->in_use() && each->is_whole()) all.push_back(each);
  }
  std::ranges::sort(all, {}, [](const auto& each) { return each->status.last_used; });
  return all;
}

// Without removing anything.
Result<Repository::Room> Repository::room_for(const ImageId& id) const {
  const auto own = find(id);
  const auto free = runtime_.page_files.free_bytes(directory_);
  if (!free) return pass(free);
  return Room{less(limits_.bytes, less(need_bytes(), own ? own->need_bytes : 0)),
              less(*free, limits_.keep_free_bytes + owed_bytes(id))};
}

std::uint64_t Repository::room_bytes() const {
  const auto room = room_for({});
  if (!room) return 0;
  std::uint64_t sum = std::min(room->by_limit, room->on_disk);
  for (const auto& each : evictable({})) sum += each->status.need_bytes;
  return sum;
}

std::uint64_t Repository::largest_bytes() const {
  std::uint64_t most = 0;
  for (const auto& [id, each] : entries_) most = std::max(most, each->look().need_bytes);
  return most;
}

// Nobody goes where that would not be enough.
Result<> Repository::make_room(const ImageId& id, std::uint64_t need) {
  const auto room = room_for(id);
  if (!room) return pass(room);
  const auto own = find(id);
  const auto wanted = less(need, own ? less(own->pieces, own->missing) * kPiece_bytes : 0);  // of the disk
  std::uint64_t freed = 0;
  end_sharing();  // it uses images that may go
  const auto enough = [&] { return need <= room->by_limit + freed && wanted <= room->on_disk + freed; };
  std::vector<std::shared_ptr<Entry>> going;
  for (const auto& each : evictable(id)) {
    if (enough()) break;
    freed += each->status.need_bytes;
    going.push_back(each);
  }
  if (!enough()) {
    const bool by_limit = need > room->by_limit + freed;
    return fail(Errc::exhausted, "needs {}, and {} has room for {}{}: remove images, or {}",
                gib(by_limit ? need : wanted), directory_, gib((by_limit ? room->by_limit : room->on_disk) + freed),
                by_limit ? " within its limit" : "", by_limit ? "raise the limit" : "give it more disk");
  }
  for (const auto& each : going) {
    runtime_.log.info("image {}: makes room for {}", ami_of(each->status.id), ami_of(id));
    if (auto removed = remove(each->status.id); !removed) return removed;
  }
  return {};
}

}  // namespace godwit::image
