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
    if (limits_.evict && id != but && !each->in_use() && each->look().complete()) all.push_back(each);
  }
  std::ranges::sort(all, {}, [](const auto& each) { return each->status.last_used; });
  return all;
}

// Nobody goes where that would not be enough.
Result<> Repository::make_room(const ImageId& id, std::uint64_t need) {
  const auto own = entries_.find(id);
  const auto others = less(need_bytes(), own == entries_.end() ? 0 : own->second->look().need_bytes);
  const auto free = runtime_.page_files.free_bytes(directory_);
  if (!free) return pass(free);
  const auto here =
      own == entries_.end() ? 0 : less(own->second->look().pieces, own->second->look().missing) * kPiece_bytes;
  const auto wanted = less(need, here);  // of the disk
  const auto on_disk = less(*free, limits_.keep_free_bytes + owed_bytes(id));
  const auto allowed = less(limits_.bytes, others);
  std::uint64_t freed = 0;
  std::vector<std::shared_ptr<Entry>> going;
  for (const auto& each : evictable(id)) {
    if (need <= allowed + freed && wanted <= on_disk + freed) break;
    freed += each->status.need_bytes;
    going.push_back(each);
  }
  if (need > allowed + freed || wanted > on_disk + freed) {
    const bool by_limit = need > allowed + freed;
    return fail(Errc::exhausted, "needs {}, and {} has room for {}{}: remove images{}", gib(by_limit ? need : wanted),
                directory_, gib((by_limit ? allowed : on_disk) + freed), by_limit ? " within its limit" : "",
                by_limit ? ", or raise the limit" : ", or give it more disk");
  }
  for (const auto& each : going) {
    runtime_.log.info("image {}: makes room for {}", ami_of(each->status.id), ami_of(id));
    if (auto removed = remove(each->status.id); !removed) return removed;
  }
  return {};
}

}  // namespace godwit::image
