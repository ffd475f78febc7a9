#include "migrate/answers.h"

namespace godwit::migrate {

std::optional<std::array<std::byte, 32>> Answers::begin() {
  auto& arrivals = arrivals_;
  if (arrivals.siblings == nullptr || !arrivals.siblings->may_know(arrivals.tenant)) return std::nullopt;
  const auto key = arrivals.siblings->key_of(arrivals.tenant);
  if (!key) return std::nullopt;
  connection_ = ++arrivals.rapport->last_connection;
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
