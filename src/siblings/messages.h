// What the agents of one cloud say to each other about content: bytes in, values out. Format and bounds:
// docs/protocols/directory.md.
#pragma once

#include "content/digest.h"
#include "content/siblings.h"
#include "content/sketch_key.h"
#include "sys/stream.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace godwit::siblings {

using content::PageDigest;
using content::Sketch;
using content::SketchTag;

inline constexpr std::uint32_t kProtocolVersion = 2;
inline constexpr std::uint32_t kOldestVersion = 1;                   // that is understood: without likenesses
inline constexpr std::size_t kDigestsLimit = content::kLookupLimit;  // in one message
inline constexpr std::size_t kTagsLimit = 4096;                      // likewise
inline constexpr std::size_t kFetchLimit = 256;                      // pages in one answer: 1 MiB
inline constexpr std::size_t kTenantLimit_bytes = 64;
inline constexpr std::size_t kNameLimit_bytes = 255;
// A frame without its length: of who asks, and of who answers.
inline constexpr std::size_t kAskingLimit_bytes = 16 + kDigestsLimit * sizeof(PageDigest);
inline constexpr std::size_t kAnswerLimit_bytes = 16 + kFetchLimit * (1 + 4096);
inline constexpr std::size_t kGreetingLimit_bytes = 64;

enum class Type : std::uint8_t {
  hello = 1,
  welcome,
  tell,
  withdraw,
  lookup,
  found,
  fetch,
  pages,
  tell_alike,
  seek,
  fetch_alike
};

// A process of an agent, among all that there ever are: what it knew is gone with it. Drawn by chance; never 0.
using Incarnation = std::uint64_t;
using Nonce = std::array<std::byte, 16>;
using Proof = std::array<std::byte, 16>;

// The first words on a connection, of who dialled and of who was dialled.
struct Hello {
  Incarnation incarnation{0};
  std::uint32_t version{kProtocolVersion};
};
struct Welcome {
  Incarnation incarnation{0};
  Nonce nonce{};                            // what proofs on this connection are made of
  std::uint32_t version{kProtocolVersion};  // as the hello said
};

// "I hold these": to their owner. And "no longer".
struct Tell {
  std::vector<PageDigest> digests;
};
struct Withdraw {
  std::vector<PageDigest> digests;
};

// "Who holds these?", and its answer.
struct Lookup {
  std::uint32_t request{0};
  std::vector<PageDigest> digests;
};
struct Found {
  std::uint32_t request{0};
  std::vector<std::string> holders;  // at most 255: names as their certificates say
  std::vector<std::uint8_t> of;      // for each digest its holder, counted from 1; 0: none
};

// "Give me these", with the proof of knowing the tenant's key; and its answer.
struct Fetch {
  std::uint32_t request{0};
  std::string tenant;
  Proof proof{};
  std::vector<PageDigest> digests;  // at most kFetchLimit
};
enum class Outcome : std::uint8_t { served = 1, busy, denied };
struct Pages {
  std::uint32_t request{0};
  Outcome outcome{Outcome::served};
  std::vector<bool> held;  // for each digest
  ByteVector content;      // of those that are held, in order
};

// ---- from version 2 on: pages that are like others

// "I hold pages with these."
struct TellAlike {
  std::vector<SketchTag> tags;
};
// "Who holds pages with these?", answered by Found: of each tag the holder.
struct Seek {
  std::uint32_t request{0};
  std::vector<SketchTag> tags;
};
// "Give me pages that are like these", answered by Pages.
struct FetchAlike {
  std::uint32_t request{0};
  std::string tenant;
  Proof proof{};
  std::vector<Sketch> sketches;  // at most kFetchLimit
};

// Whole frames, with their length. What is too long for a message is the caller's mistake.
[[nodiscard]] ByteVector pack(const Hello& message);
[[nodiscard]] ByteVector pack(const Welcome& message);
[[nodiscard]] ByteVector pack(const Tell& message);
[[nodiscard]] ByteVector pack(const Withdraw& message);
[[nodiscard]] ByteVector pack(const Lookup& message);
[[nodiscard]] ByteVector pack(const Found& message);
[[nodiscard]] ByteVector pack(const Fetch& message);
[[nodiscard]] ByteVector pack(const Pages& message);
[[nodiscard]] ByteVector pack(const TellAlike& message);
[[nodiscard]] ByteVector pack(const Seek& message);
[[nodiscard]] ByteVector pack(const FetchAlike& message);

// The type of a frame (without its length); nothing where it has none that is known.
[[nodiscard]] std::optional<Type> type_of(ByteView frame);
// The version from which on the other side knows what a whole frame, with its length, says.
[[nodiscard]] std::uint32_t least_version(ByteView packed);
// Errors: protocol, saying what is wrong; unsupported for another version.
[[nodiscard]] Result<Hello> parse_hello(ByteView frame);
[[nodiscard]] Result<Welcome> parse_welcome(ByteView frame);
[[nodiscard]] Result<Tell> parse_tell(ByteView frame);
[[nodiscard]] Result<Withdraw> parse_withdraw(ByteView frame);
[[nodiscard]] Result<Lookup> parse_lookup(ByteView frame);
[[nodiscard]] Result<Found> parse_found(ByteView frame);
[[nodiscard]] Result<Fetch> parse_fetch(ByteView frame);
[[nodiscard]] Result<Pages> parse_pages(ByteView frame);
[[nodiscard]] Result<TellAlike> parse_tell_alike(ByteView frame);
[[nodiscard]] Result<Seek> parse_seek(ByteView frame);
[[nodiscard]] Result<FetchAlike> parse_fetch_alike(ByteView frame);

// One frame without its length. Errors: protocol (empty, or longer than `limit_bytes`), and those of the stream.
[[nodiscard]] sys::Task<Result<ByteVector>> read_frame(sys::Stream& stream, std::size_t limit_bytes);

}  // namespace godwit::siblings
