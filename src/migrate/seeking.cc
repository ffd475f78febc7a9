#include "migrate/seeking.h"

namespace godwit::migrate {
namespace {

// A sketch and its answer are 9 bytes, and where they are of use they save 1.6 KB of a page, in guests' memory: below
// one of 50 the time that it takes is not worth it. Of about the last 2,048 that were sought.
constexpr double kWorth = 0.02;
constexpr double kForget = 1.0 / 2048;

}  // namespace

std::optional<CloudKey> Seeking::key() const {
  const bool similar = !departure_.effort || departure_.effort->similar;
  if (departure_.frames_version < 2 || departure_.siblings == nullptr || !similar) return std::nullopt;
  return departure_.siblings->key_of(departure_.tenant);
}

void Seeking::begin(const ShrinkWelcome& welcome) {
  if (welcome.key) connection_ = welcome.connection + 1;
}

void Seeking::consider(const Page& at, ByteView page) {
  if (connection_ == 0 || worth_ == 0 || considered_.size() == content::kSeekLimit) return;
  const auto sketch = content::sketch_of(page);
  if (sketch == content::Sketch{} || encoder_.has_like(sketch, at.place)) return;
  considered_.push_back(at);
  sketches_.push_back(sketch);
}

ByteVector Seeking::seek() {
  if (considered_.empty()) return {};
  sought_.push_back(std::exchange(considered_, {}));
  return pack_sketches(std::exchange(sketches_, {}));
}

Result<std::vector<content::PageDigest>> Seeking::answered(ByteView alike) {
  if (sought_.empty()) return fail(Errc::protocol, "the destination answers what was not sought");
  const auto pages = std::move(sought_.front());
  sought_.pop_front();
  const auto alikes = parse_alikes(alike, pages.size());
  if (!alikes) return pass(alikes);
  std::vector<content::PageDigest> digests;
  std::vector<Awaited> awaited;
  for (std::size_t at = 0; at < pages.size(); ++at) {
    if (!(*alikes)[at]) {
      note(false);
      continue;
    }
    const auto& page = *(*alikes)[at];
    digests.push_back(page.digest);
    awaited.push_back({pages[at], page.is_new ? std::optional(number_++) : std::nullopt});
  }
  if (!awaited.empty()) awaited_.push_back(std::move(awaited));
  return digests;
}

void Seeking::brought(std::span<const content::PageId> ids) {
  if (awaited_.empty()) return;
  const auto awaited = std::move(awaited_.front());
  awaited_.pop_front();
  auto& rapport = *departure_.rapport;
  for (std::size_t at = 0; at < awaited.size(); ++at) {
    const auto id = at < ids.size() ? ids[at] : 0;
    note(id != 0);
    if (id == 0) continue;
    const auto& number = awaited[at].number;
    if (number && !rapport.theirs.of(id)) rapport.theirs.add({connection_, *number}, id, 1);
    departure_.places.set(awaited[at].page.place, id, departure_.memory);
  }
  rapport.settle(departure_.store, departure_.memory);
}

std::optional<Seeking::Page> Seeking::first() const {
  if (!awaited_.empty()) return awaited_.front().front().page;  // answered before those that are open
  if (!sought_.empty()) return sought_.front().front();
  return std::nullopt;
}

void Seeking::note(bool found) {
  worth_ += ((found ? 1.0 : 0.0) - worth_) * kForget;
  if (worth_ < kWorth) worth_ = 0;
}

}  // namespace godwit::migrate
