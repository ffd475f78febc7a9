// The frames of a shrunk connection: `u8 type, u32 size, payload` in both directions. Format: docs/formats/batch.md.
#pragma once

#include "content/siblings.h"
#include "migrate/batch.h"
#include "migrate/rapport.h"
#include "sys/stream.h"

#include <array>
#include <optional>
#include <vector>

namespace godwit::migrate {

inline constexpr std::size_t kFrameHeader_bytes = 5;
inline constexpr std::size_t kShrinkFrameLimit_bytes = kBatchWireBytes + 4096;
inline constexpr std::uint8_t kFramesVersion = 2;              // 1: without `seek` and `alike`
inline constexpr std::size_t kOpenQuestions = 64;              // that are not answered yet, at most
inline constexpr std::size_t kAskedLimit_bytes = 64UL * 1024;  // of their payloads

enum class ShrinkFrame : std::uint8_t {
  hello = 1,     // forth: rapport, connection; back: whether the rapport is known, and it
  batch,         // forth
  again,         // forth: the batch that was lacking
  pass,          // back: bytes of QEMU, as they are
  acknowledged,  // back: u64 batch
  lacking,       // back: u64 batch
  end,           // both: QEMU has no more to say
  ask,           // forth: 16 bytes of each page that may be held there
  raw,           // forth: the next bytes of QEMU, as they are
  held,          // back: of one `ask`, a bit a page, the first page's lowest
  unkept,        // back: u64 number of this connection's pages from which on they are not kept there
  seek,          // forth: sketches of pages that are not held there
  alike,         // back: of one `seek`, what was found of each sketch, and its digest
};

struct ReceivedFrame {
  ShrinkFrame type{};
  ByteVector payload;
};
struct ReceivedHeader {
  ShrinkFrame type{};
  std::size_t size_bytes{0};  // of the payload, at most kShrinkFrameLimit_bytes
};
// Errors: closed where the stream ends before a frame, protocol, those of the stream.
[[nodiscard]] sys::Task<Result<ReceivedFrame>> read_frame(sys::Stream& stream);
// The same in two steps.
[[nodiscard]] sys::Task<Result<ReceivedHeader>> read_header(sys::Stream& stream);
[[nodiscard]] sys::Task<Result<>> read_payload(sys::Stream& stream, ByteSpan into);
// What to say where the stream does not go on.
[[nodiscard]] std::unexpected<Error> ended_within_frame(const Error& error);
// Secrets: under which a cloud digests a tenant's pages.
using CloudKey = std::array<std::byte, 32>;

using FrameHeader = std::array<std::byte, kFrameHeader_bytes>;
[[nodiscard]] FrameHeader make_header(ShrinkFrame type, std::size_t payload_bytes);
[[nodiscard]] ByteVector make_frame(ShrinkFrame type, ByteView payload);

struct ShrinkHello {
  RapportId rapport{};
  std::uint32_t connection{0};
  std::uint8_t version{1};
  // From version 2 on: under which the source's cloud finds the tenant's pages; nothing: it doesn't.
  std::optional<CloudKey> key{};
};
struct ShrinkWelcome {
  bool known{false};  // pages that crossed earlier may be referred to
  RapportId rapport{};
  // Pages of the source's connections from the first on, and of the destination's from the second on, stay where they
  // are until the migration has ended; older ones are not to be referred to.
  std::uint32_t sent_from{0};
  std::uint32_t theirs_from{0};
  // Under which the destination's cloud finds the tenant's pages; nothing: it can't be asked. A secret.
  std::optional<CloudKey> key{};
  std::uint32_t connection{0};    // of the destination's: which numbers the pages that are held
  std::uint32_t window_bytes{0};  // of batches that were not acknowledged, at most, but for the last one
  std::uint8_t version{1};        // as the hello said
};
[[nodiscard]] ByteVector pack(const ShrinkHello& hello);
[[nodiscard]] ByteVector pack(const ShrinkWelcome& welcome);
// Errors: protocol.
[[nodiscard]] Result<ShrinkHello> parse_shrink_hello(ByteView payload);
[[nodiscard]] Result<ShrinkWelcome> parse_shrink_welcome(ByteView payload);
// Of `seek`, and of `alike`: for each sketch a page that is like it, if there is one. Errors: protocol.
struct AlikePage {
  content::PageDigest digest{};  // under the key of the hello
  bool is_new{true};             // it has the next number of the connection after the welcome's; else it had one before
};
using Alikes = std::vector<std::optional<AlikePage>>;
[[nodiscard]] ByteVector pack_sketches(const std::vector<content::Sketch>& sketches);
[[nodiscard]] Result<std::vector<content::Sketch>> parse_sketches(ByteView payload);
[[nodiscard]] ByteVector pack(const Alikes& alikes);
[[nodiscard]] Result<Alikes> parse_alikes(ByteView payload, std::size_t count);
[[nodiscard]] ByteVector pack_number(std::uint64_t batch);
[[nodiscard]] Result<std::uint64_t> parse_number(ByteView payload);

}  // namespace godwit::migrate
