#include "image/incoming_list.h"

namespace godwit::image {

Result<> IncomingList::add(std::uint64_t first, ByteView part) {
  const auto digests = part.size() / kDigest_bytes;
  if (part.empty() || part.size() % kDigest_bytes != 0 || digests > kListPartPieces) {
    return fail(Errc::invalid_argument, "piece list: a part of {} bytes, where 1 to {} digests of {} are taken",
                part.size(), kListPartPieces, kDigest_bytes);
  }
  if (first > count()) {
    return fail(Errc::conflict, "piece list: digest {} comes before digest {} (ask what is there, and go on from it)",
                first, count());
  }
  const auto known = count() - first;
  if (known >= digests) return {};
  const auto fresh = part.subspan(known * kDigest_bytes);
  if (auto good = check_.add(fresh); !good) return good;
  append(list_, fresh);
  return {};
}

}  // namespace godwit::image
