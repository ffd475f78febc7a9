#include "migrate/answers.h"

#include <algorithm>
#include <map>

namespace godwit::migrate {

std::optional<CloudKey> Answers::begin(const std::optional<CloudKey>& theirs) {
  auto& arrivals = arrivals_;
  if (arrivals.siblings == nullptr || !arrivals.siblings->may_know(arrivals.tenant)) return std::nullopt;
  const auto key = arrivals.siblings->key_of(arrivals.tenant);
  if (!key) return std::nullopt;
  connection_ = ++arrivals.rapport->last_connection;
  if (theirs) {
    source_key_.emplace(*theirs);
    ++arrivals.rapport->last_connection;  // connection_ + 1: of what is alike
  }
  first_ = arrivals.store.next();
  return key;
}

sys::Task<Result<ByteVector>> Answers::answer(ByteVector asked) {
  std::vector<content::PageDigest> digests(asked.size() / sizeof(content::PageDigest));
  const bool in_order = connection_ != 0 && !digests.empty() && digests.size() <= content::kLookupLimit &&
                        digests.size() * sizeof(content::PageDigest) == asked.size();
  if (!in_order) co_return fail(Errc::protocol, "the source asks what makes no sense");
  for (std::size_t at = 0; at < digests.size(); ++at) {
    const auto digest = ByteView(asked).subspan(at * sizeof(content::PageDigest), sizeof(content::PageDigest));
    std::ranges::copy(digest, digests[at].begin());
  }
  ByteVector held((digests.size() + 7) / 8);
  const auto found = co_await arrivals_.siblings->bring(arrivals_.tenant, std::move(digests));
  for (std::size_t at = 0; at < found.size() && at / 8 < held.size(); ++at) {
    const auto id = found[at] == 0 ? 0 : keep(found[at]);
    if (id == 0) continue;
    arrivals_.rapport->mine.add({connection_, numbers_++}, id, 1);
    held[at / 8] |= std::byte{1} << (at % 8);
  }
  arrivals_.rapport->settle(arrivals_.store, arrivals_.memory);
  co_return held;
}

sys::Task<Result<ByteVector>> Answers::answer_alike(ByteVector sought) {
  auto sketches = parse_sketches(sought);
  if (!source_key_ || !sketches) co_return fail(Errc::protocol, "the source seeks what makes no sense");
  Alikes alikes(sketches->size());
  const auto found = co_await arrivals_.siblings->bring_alike(arrivals_.tenant, std::move(*sketches));
  auto& rapport = *arrivals_.rapport;
  std::map<content::PageId, content::PageId> kept;
  ByteVector page(kPage_bytes);
  for (std::size_t at = 0; at < std::min(found.size(), alikes.size()); ++at) {
    if (found[at] == 0) continue;
    // What crossed before goes by the number that it has: the source knows it, or can't use it.
    auto id = kept.contains(found[at]) ? kept.at(found[at]) : found[at];
    const bool is_new = !rapport.mine.of(id) && !rapport.theirs.of(id);
    if (is_new) id = kept[found[at]] = keep(id);
    if (id == 0 || !arrivals_.store.read(rapport.domain, id, page)) continue;
    if (is_new) rapport.mine.add({connection_ + 1, alike_numbers_++}, id, 1);
    alikes[at] = AlikePage{source_key_->digest(page), is_new};
  }
  rapport.settle(arrivals_.store, arrivals_.memory);
  co_return pack(alikes);
}

// The page where it stays, under an id that no other number has; 0: it is gone.
content::PageId Answers::keep(content::PageId id) {
  auto& arrivals = arrivals_;
  const auto& rapport = *arrivals.rapport;
  if (id >= first_ && !rapport.mine.of(id) && !rapport.theirs.of(id)) return id;
  std::array<std::byte, kPage_bytes> page{};
  if (!arrivals.store.read(rapport.domain, id, page)) return 0;
  const auto kept = arrivals.store.append(rapport.domain, page, content::fingerprint_of(page));
  return kept ? *kept : 0;
}

void Answers::taken() {
  if (connection_ != 0) arrivals_.rapport->acknowledged[connection_] = numbers_;
}

}  // namespace godwit::migrate
