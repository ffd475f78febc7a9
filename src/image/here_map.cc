#include "image/here_map.h"

#include "content/store.h"

#include <algorithm>

namespace godwit::image {
namespace {

constexpr std::uint32_t kMagic = 0x47574948;  // "GWIH"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kBits_bytes = HereMap::kSector_bytes - 8;

// With the sector's number, so that no sector is taken for another.
std::uint64_t check_of(std::uint64_t number, ByteView bits) {
  ByteVector said;
  said.reserve(8 + kBits_bytes);
  append_be64(said, number);
  append(said, bits);
  return content::fingerprint_of(said);
}

bool is_nothing(ByteView bytes) {
  return std::ranges::all_of(bytes, [](std::byte each) { return each == std::byte{0}; });
}

}  // namespace

HereMap::HereMap(std::uint64_t pieces) : bits_(pieces) { changed_.insert(0); }

std::uint64_t HereMap::file_bytes(std::uint64_t pieces) {
  return (1 + (pieces + kSectorPieces - 1) / kSectorPieces) * kSector_bytes;
}

HereMap HereMap::parse(ByteView file, std::uint64_t pieces) {
  HereMap map(pieces);
  const auto head = map.head();
  if (file.size() != file_bytes(pieces) || !std::ranges::equal(file.first(kSector_bytes), head.bytes)) {
    map.damaged_ = 1;
    return map;
  }
  map.changed_.clear();
  for (std::uint64_t number = 1; number < file.size() / kSector_bytes; ++number) {
    map.take(file.subspan(number * kSector_bytes, kSector_bytes), number);
  }
  return map;
}

void HereMap::take(ByteView sector, std::uint64_t number) {
  if (is_nothing(sector)) return;  // never written
  const auto bits = sector.first(kBits_bytes);
  const auto first = (number - 1) * kSectorPieces;
  const auto bit = [&](std::uint64_t i) { return (bits[i / 8] & std::byte{1} << (i % 8)) != std::byte{0}; };
  bool good = load_be64(sector.subspan(kBits_bytes)) == check_of(number, bits);
  for (auto i = std::min(kSectorPieces, bits_.size() - first); good && i < kSectorPieces; ++i) good = !bit(i);
  if (!good) {
    ++damaged_;
    changed_.insert(number);
    return;
  }
  for (std::uint64_t i = 0; i < kSectorPieces && first + i < bits_.size(); ++i) {
    bits_[first + i] = bit(i);
    if (bit(i)) ++count_;
  }
}

void HereMap::set(std::uint64_t piece, bool here) {
  if (bits_[piece] == here) return;
  bits_[piece] = here;
  count_ = here ? count_ + 1 : count_ - 1;
  changed_.insert(1 + piece / kSectorPieces);
}

HereMap::Sector HereMap::head() const {
  ByteVector fields;
  append_be32(fields, kMagic);
  append_be32(fields, kVersion);
  append_be64(fields, bits_.size());
  append_be64(fields, content::fingerprint_of(fields));
  Sector out;
  std::ranges::copy(fields, out.bytes.begin());
  return out;
}

HereMap::Sector HereMap::sector(std::uint64_t number) const {
  if (number == 0) return head();
  Sector out;
  out.number = number;
  const auto first = (number - 1) * kSectorPieces;
  for (std::uint64_t i = 0; i < kSectorPieces && first + i < bits_.size(); ++i) {
    if (bits_[first + i]) out.bytes[i / 8] |= std::byte{1} << (i % 8);
  }
  const ByteSpan bytes(out.bytes);
  store_be64(bytes.subspan(kBits_bytes), check_of(number, bytes.first(kBits_bytes)));
  return out;
}

std::vector<HereMap::Sector> HereMap::take_changed() {
  std::vector<Sector> out;
  out.reserve(changed_.size());
  for (const auto number : changed_) out.push_back(sector(number));
  changed_.clear();
  return out;
}

void HereMap::give_back(const std::vector<Sector>& sectors) {
  for (const auto& each : sectors) changed_.insert(each.number);
}

}  // namespace godwit::image
