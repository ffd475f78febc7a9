// The recordings in tests/golden/streams. Whoever includes this links libzstd and defines GODWIT_STREAMS, their
// directory.
#pragma once

#include "base/bytes.h"

#include <zstd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace godwit::testing {

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Empty if there is none of that name ("single", "multifd-1").
inline ByteVector recorded_stream(const std::string& name) {
  const auto packed = read_text(std::filesystem::path(GODWIT_STREAMS) / (name + ".stream.zst"));
  const auto size = ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN) return {};
  ByteVector out(size);
  const auto unpacked = ZSTD_decompress(out.data(), out.size(), packed.data(), packed.size());
  return unpacked == size ? out : ByteVector{};
}

}  // namespace godwit::testing
