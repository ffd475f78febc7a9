// What every wire::StretchReader must keep to, whatever it reads.
#pragma once

#include "wire/stretches.h"

#include <algorithm>
#include <compare>
#include <functional>
#include <numeric>

namespace godwit::testing {

struct Reading {
  std::vector<wire::Stretch> stretches;  // of all feeds, pieces joined
  bool keeps_rules{true};                // each feed was covered exactly, by stretches that may be
};

struct Page {
  std::size_t at_byte{0};
  std::uint32_t size_bytes{0};
  std::uint64_t place{0};
  auto operator<=>(const Page&) const = default;
};

inline bool may_be(const wire::Stretch& stretch) {
  switch (stretch.kind) {
    case wire::StretchKind::other: return stretch.size_bytes > 0 && stretch.place == 0;
    case wire::StretchKind::counter: return stretch.size_bytes == 8 && stretch.place == 0;
    case wire::StretchKind::page:
      return stretch.size_bytes > 0 && stretch.size_bytes <= kPage_bytes && stretch.place != 0;
  }
  return false;
}

// `next_size` says how many bytes each feed has; at least one.
inline Reading read_in_pieces(wire::StretchReader& reader, ByteView bytes,
                              const std::function<std::size_t()>& next_size) {
  Reading out;
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(std::max<std::size_t>(next_size(), 1), bytes.size()));
    std::vector<wire::Stretch> fed;
    reader.feed(piece, fed);
    std::size_t covered_bytes = 0;
    for (const auto& stretch : fed) {
      covered_bytes += stretch.size_bytes;
      out.keeps_rules = out.keeps_rules && may_be(stretch);
      wire::add_stretch(out.stretches, stretch);
    }
    out.keeps_rules = out.keeps_rules && covered_bytes == piece.size();
    bytes = bytes.subspan(piece.size());
  }
  return out;
}

inline Reading read_whole(wire::StretchReader& reader, ByteView bytes) {
  return read_in_pieces(reader, bytes, [&] { return bytes.size(); });
}

// The pages, which are the same however the stream was cut.
inline std::vector<Page> pages_of(const Reading& reading) {
  std::vector<Page> out;
  std::size_t at = 0;
  for (const auto& stretch : reading.stretches) {
    if (stretch.kind == wire::StretchKind::page) out.push_back({at, stretch.size_bytes, stretch.place});
    at += stretch.size_bytes;
  }
  return out;
}

}  // namespace godwit::testing
