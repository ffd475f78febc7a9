// What two hosts of a chain say to each other about one image: bytes in, values out. Format and bounds:
// docs/protocols/chain.md.
#pragma once

#include "base/bytes.h"
#include "image/pieces.h"

#include <string>
#include <vector>

namespace godwit::image::chain {

inline constexpr std::uint32_t kProtocolVersion = 2;
inline constexpr std::size_t kHead_bytes = 8;        // of each frame
inline constexpr std::size_t kPieceHead_bytes = 16;  // of a piece's: head, number
inline constexpr std::size_t kPieceFrame_bytes = kPieceHead_bytes + kPiece_bytes;
inline constexpr std::size_t kBodyLimit_bytes = kPieceFrame_bytes;  // of any frame
inline constexpr std::size_t kPackedLimit_bytes =
    kPiece_bytes - kPiece_bytes / 16;                         // a piece, compressed; else it goes plain
inline constexpr std::size_t kImageLimit_bytes = 64;          // an image's id
inline constexpr std::size_t kNameLimit_bytes = 255;          // a host's, as its certificate says
inline constexpr std::size_t kListDigests = 2048;             // in one frame
inline constexpr std::size_t kHaveLimit_bytes = 64UL << 10U;  // likewise, of bits
inline constexpr std::size_t kMostAncestors = 8;
inline constexpr std::size_t kMostWanted = 1024;  // in one frame, and of one connection

enum class Type : std::uint8_t {
  hello = 1,
  answer,
  list,
  have,
  piece,
  news,
  progress,
  want,
  more,
  stay,
  moved,
  pace,
  packed,
  blocks,  // chain_parts.h
  run,
};

// Why somebody asks.
enum class Purpose : std::uint8_t {
  join = 1,  // to be served where nobody is: an end of the chain
  replace,   // what you serve was my upstream, and is lost to me: its place is mine
  leaf,      // as join, but nobody shall ever pull from me
  trial,     // a few pieces, to see how fast you are to me
};
[[nodiscard]] std::string_view to_string(Purpose purpose);
enum class Outcome : std::uint8_t {
  served = 1,
  occupied,  // by `successor`
  leaf,      // nobody pulls from me
  unknown,   // no such image, or not for you
  busy,      // another trial, or enough leaves
};

// Both after the dialler's certificate has told who it is.
struct Hello {
  Purpose purpose{Purpose::join};
  bool has_list{false};  // then its `have` follows
  std::uint64_t pieces{0};
  std::string image;
};
struct Answer {
  Outcome outcome{Outcome::served};
  std::uint64_t pieces{0};  // that are here
  std::string successor;
};

// Some of the list's digests, in order.
struct List {
  std::uint64_t first{0};
  ByteView digests;  // of the frame
};
// "These are here": bit i of byte j is piece first + 8j + i. What is not said stays as it was.
struct Have {
  bool last{true};  // all that there is to say now
  std::uint64_t first{0};
  ByteView bits;  // of the frame
};

// Down the chain, all the time: how far I am, and those before me.
struct Ancestor {
  std::string name;
  std::uint64_t pieces{0};
  bool tried{false};  // a way past its upstream, lately and in vain

  bool operator==(const Ancestor&) const = default;
};
struct News {
  std::uint64_t pieces{0};
  std::uint64_t bytes_per_s{0};     // that come in
  bool tried{false};                // as of an ancestor
  std::vector<Ancestor> ancestors;  // my upstream first, at most kMostAncestors

  bool operator==(const News&) const = default;
};
// Up the chain, all the time.
struct Progress {
  std::uint64_t pieces{0};
};
// Up: "these before all others". Passed on by who lacks them.
struct Want {
  std::vector<std::uint32_t> pieces;  // at most kMostWanted
};
// Up, in a trial: "so many pieces now".
struct More {
  std::uint16_t pieces{0};
};
// Up: "the trial is over, I stay", in the place of whom you served.
struct Stay {};

// Up: "no more than so much of the image a second, but for what I have asked for by `want`"; 0: as fast as it goes, as
// at the start.
struct Pace {
  std::uint64_t bytes_per_s{0};
};

enum class Why : std::uint8_t {
  demoted = 1,  // another has your place: you are a leaf
  closing,      // I serve nobody any more, or not you: look elsewhere
  follow,       // somebody comes between us: ask `successor`
};
// Down: the last word.
struct Moved {
  Why why{Why::closing};
  std::string successor;
};

// Whole frames. What is too long for a message is the caller's mistake.
[[nodiscard]] ByteVector pack(const Hello& message);
[[nodiscard]] ByteVector pack(const Answer& message);
[[nodiscard]] ByteVector pack(const List& message);
[[nodiscard]] ByteVector pack(const Have& message);
[[nodiscard]] ByteVector pack(const News& message);
[[nodiscard]] ByteVector pack(const Progress& message);
[[nodiscard]] ByteVector pack(const Want& message);
[[nodiscard]] ByteVector pack(const More& message);
[[nodiscard]] ByteVector pack(const Stay& message);
[[nodiscard]] ByteVector pack(const Moved& message);
[[nodiscard]] ByteVector pack(const Pace& message);
// Before the content, in a frame of kPieceFrame_bytes; of a shorter one that is a packed piece's. Such a frame is
// passed on as it came.
void store_piece_head(ByteSpan frame, std::uint64_t number);

struct Head {
  Type type{Type::hello};
  std::size_t body_bytes{0};
};
// `head`: kHead_bytes. Errors: protocol.
[[nodiscard]] Result<Head> parse_head(ByteView head);

// Of bodies. Errors: protocol, saying what is wrong; unsupported for another version.
[[nodiscard]] Result<Hello> parse_hello(ByteView body);
[[nodiscard]] Result<Answer> parse_answer(ByteView body);
[[nodiscard]] Result<List> parse_list(ByteView body);
[[nodiscard]] Result<Have> parse_have(ByteView body);
[[nodiscard]] Result<News> parse_news(ByteView body);
[[nodiscard]] Result<Progress> parse_progress(ByteView body);
[[nodiscard]] Result<Want> parse_want(ByteView body);
[[nodiscard]] Result<More> parse_more(ByteView body);
[[nodiscard]] Result<Stay> parse_stay(ByteView body);
[[nodiscard]] Result<Moved> parse_moved(ByteView body);
[[nodiscard]] Result<Pace> parse_pace(ByteView body);
// The number; the content is what follows it. Of a packed one PiecePress knows whether it is any.
[[nodiscard]] Result<std::uint64_t> parse_piece(ByteView body);
[[nodiscard]] Result<std::uint64_t> parse_packed(ByteView body);

}  // namespace godwit::image::chain
