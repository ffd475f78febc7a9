// A batch: the next bytes of one connection of QEMU, said as content that the destination has and content that comes
// with it. Pure. The decoder of it knows nothing of QEMU. Format: docs/formats/batch.md.
#pragma once

#include "base/bytes.h"
#include "base/page.h"
#include "wire/stretches.h"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace godwit::migrate {

// Of one batch, at most. Both ends hold to them.
inline constexpr std::size_t kBatchBytes = 1024UL * 1024;  // of the stream; also what is checked as a whole
inline constexpr std::size_t kLiteralPages = 64;           // 256 KiB: more compresses little better, and delays more
inline constexpr std::size_t kPrefixPages = 64;            // that literals are compressed against
inline constexpr std::size_t kBatchStretches = 16384;
inline constexpr std::size_t kShapeBytes = 16UL * kBatchStretches;
inline constexpr std::size_t kBatchWireBytes = kBatchBytes + 2 * kShapeBytes;

// Where the decoder finds a page.
enum class Origin : std::uint8_t {
  literal = 1,  // with the batch; both ends keep it, under the connection's next number
  raw,          // with the batch; not kept
  zero,
  image,   // number: its block
  sent,    // by this side, as page `number` of its connection `connection`
  theirs,  // by the other side, likewise
};

struct PageOrigin {
  Origin origin{Origin::zero};
  std::uint32_t connection{0};
  std::uint64_t number{0};

  bool operator==(const PageOrigin&) const = default;
};

// How the bytes of the stream lie: what stands between the pages. Counters of records are said as their differences.
class ShapeWriter {
 public:
  // Of whole stretches, in order, over `bytes`. A piece of a page counts as other.
  void add(std::span<const wire::Stretch> stretches, ByteView bytes);
  [[nodiscard]] const ByteVector& shape() const { return shape_; }
  [[nodiscard]] const ByteVector& others() const { return others_; }

 private:
  std::size_t add_counted(std::span<const wire::Stretch> stretches, ByteView bytes);

  ByteVector shape_;
  ByteVector others_;
  std::uint64_t counter_{0};
};

[[nodiscard]] constexpr bool is_whole_page(const wire::Stretch& stretch) {
  return stretch.kind == wire::StretchKind::page && stretch.size_bytes == kPage_bytes;
}

// Appends to `out` what `shape` says, with `pages` (kPage_bytes each) and `others` in their places.
// Errors: protocol, also where it comes to more than kBatchBytes, or leaves a page over.
[[nodiscard]] Result<> build(ByteView shape, ByteView others, std::span<const ByteView> pages, ByteVector& out);

[[nodiscard]] ByteVector pack_origins(std::span<const PageOrigin> origins);
// Errors: protocol (not ours, or more than `limit`).
[[nodiscard]] Result<std::vector<PageOrigin>> parse_origins(ByteView packed, std::size_t limit);

using Check = std::array<std::byte, 16>;  // XXH3, 128 bits: against accidents; TLS is against people
[[nodiscard]] Check check_of(ByteView bytes);

// As it stands on the wire. `body` is shape, origins, others and literals, one after the other.
struct Batch {
  std::uint64_t number{0};  // of its connection, from 0
  Check check{};            // of the bytes of the stream
  std::vector<PageOrigin> prefix;
  std::uint32_t shape_size{0};
  std::uint32_t origins_size{0};
  std::uint32_t others_size{0};
  std::uint32_t body_size{0};
  bool compressed{false};
  ByteView body;  // as it stands, compressed or not; borrowed
};
[[nodiscard]] ByteVector pack(const Batch& batch);
// Errors: protocol. The body is not looked at. `frame` outlives the result.
[[nodiscard]] Result<Batch> parse_batch(ByteView frame);

}  // namespace godwit::migrate
