// What the server of an instance's disk and the agent of its host say to each other: bytes in, values out. Format and
// bounds: docs/protocols/disk-server.md. Pieces are numbered from the first of the file.
#pragma once

#include "base/bytes.h"
#include "sys/stream.h"

#include <cstdint>
#include <vector>

namespace godwit::image::desk {

inline constexpr std::uint32_t kProtocolVersion = 1;
inline constexpr std::size_t kFrameLimit_bytes = 65'552;  // without its length
inline constexpr std::size_t kGreetingLimit_bytes = 64;   // the same, of the first each way
inline constexpr std::size_t kMapLimit_bytes = 65'536;    // of bits in one frame
inline constexpr std::size_t kRangesLimit = 4096;         // in one frame
inline constexpr std::size_t kTouchedLimit = 4096;        // in one frame

enum class Type : std::uint8_t { hello = 1, welcome, map, here, want, touched };

// Pieces `first` to `first + count - 1`.
struct Range {
  std::uint32_t first{0};
  std::uint32_t count{0};

  bool operator==(const Range&) const = default;
};

enum class Urgency : std::uint8_t {
  now = 1,  // a read waits for it
  soon,     // one may be about to
};

// Of the server.
struct Hello {};
struct Want {
  Urgency urgency{Urgency::now};
  std::vector<Range> ranges;
};
// In the order in which pieces were read for the first time, what stands from place `at` on.
struct Touched {
  std::uint32_t at{0};
  std::vector<std::uint32_t> pieces;
};

// Of the agent.
struct Welcome {
  std::uint64_t bytes{0};  // of the file
};
// Bit i of byte j: whether piece first + 8j + i is here. `first` is a multiple of 8.
struct Map {
  std::uint32_t first{0};
  ByteView bits;  // of the frame
};
struct Here {
  std::vector<Range> ranges;
};

// Whole frames, the length before them. What is too long for a message is the caller's mistake.
[[nodiscard]] ByteVector pack(const Hello& message);
[[nodiscard]] ByteVector pack(const Welcome& message);
[[nodiscard]] ByteVector pack(const Map& message);
[[nodiscard]] ByteVector pack(const Here& message);
[[nodiscard]] ByteVector pack(const Want& message);
[[nodiscard]] ByteVector pack(const Touched& message);

// Of frames without their length. Errors: protocol; of greetings unsupported, where another version is spoken.
[[nodiscard]] Result<Hello> parse_hello(ByteView frame);
[[nodiscard]] Result<Welcome> parse_welcome(ByteView frame);
[[nodiscard]] Result<Map> parse_map(ByteView frame);
[[nodiscard]] Result<Here> parse_here(ByteView frame);
[[nodiscard]] Result<Want> parse_want(ByteView frame);
[[nodiscard]] Result<Touched> parse_touched(ByteView frame);
// 0 where it is none.
[[nodiscard]] Type type_of(ByteView frame);

// `pieces` in their order, at most kRangesLimit ranges of them. Takes from the front what it says.
[[nodiscard]] std::vector<Range> take_ranges(std::vector<std::uint32_t>& pieces);

// Errors: those of the stream; protocol (longer than `limit_bytes`, or nothing).
[[nodiscard]] sys::Task<Result<ByteVector>> read_frame(sys::Stream& stream, std::size_t limit_bytes);

}  // namespace godwit::image::desk
