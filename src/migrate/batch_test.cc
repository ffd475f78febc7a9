#include "migrate/batch.h"

#include "support/pages.h"

#include <gtest/gtest.h>

#include <random>

namespace godwit::migrate {
namespace {

using testing::page_of;
using wire::Stretch;
using wire::StretchKind;

// A stream as a reader cut it, and what a batch of it says.
struct Cut {
  ByteVector bytes;
  std::vector<Stretch> stretches;
  std::vector<ByteVector> pages;

  void other(ByteView content) {
    append(bytes, content);
    stretches.push_back({StretchKind::other, static_cast<std::uint32_t>(content.size()), 0});
  }
  void counter(std::uint64_t value) {
    append_be64(bytes, value);
    stretches.push_back({StretchKind::counter, 8, 0});
  }
  void page(ByteVector content) {
    append(bytes, content);
    stretches.push_back({StretchKind::page, kPage_bytes, 0});
    pages.push_back(std::move(content));
  }
  [[nodiscard]] std::vector<ByteView> views() const { return {pages.begin(), pages.end()}; }
};

Result<ByteVector> built(const ShapeWriter& writer, const Cut& cut) {
  ByteVector out;
  const auto done = build(writer.shape(), writer.others(), cut.views(), out);
  if (!done) return pass(done);
  return out;
}

ShapeWriter shape_of(const Cut& cut) {
  ShapeWriter writer;
  writer.add(cut.stretches, cut.bytes);
  return writer;
}

// Records with steady, jumping and extreme counters, tails of all lengths, pieces of pages, and what is no record.
Cut random_cut(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto content = page_of(seed);
  Cut cut;
  std::uint64_t counter = random();
  for (auto left = random() % 200; left > 0 && cut.bytes.size() < kBatchBytes - 2 * kPage_bytes; --left) {
    constexpr std::array<std::uint64_t, 5> kSteps{0, kPage_bytes, 8, 1ULL << 63U, ~0ULL};
    const auto kind = random() % 6;
    if (kind < 4) counter += random() % 4 != 0 ? kPage_bytes : kSteps.at(random() % kSteps.size());
    if (kind < 4) cut.counter(counter);
    if (kind <= 1 || kind == 4) cut.page(page_of(random()));
    if (kind == 2) cut.other(ByteView(content).first(1 + random() % 10));
    if (kind == 5 && random() % 2 == 0) cut.other(ByteView(content).first(1 + random() % 3000));
    if (kind == 5) {
      const auto piece = 1 + random() % (kPage_bytes - 1);
      append(cut.bytes, ByteView(content).first(piece));
      cut.stretches.push_back({StretchKind::page, static_cast<std::uint32_t>(piece), 0});
    }
  }
  return cut;
}

std::vector<PageOrigin> random_origins(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<PageOrigin> origins;
  while (origins.size() < 100) {
    PageOrigin each;
    each.origin = static_cast<Origin>(1 + random() % 6);
    if (each.origin >= Origin::sent) each.connection = static_cast<std::uint32_t>(random() >> (random() % 33));
    if (each.origin >= Origin::image) each.number = random() >> (random() % 64);
    for (auto run = 1 + random() % (random() % 4 == 0 ? 90 : 3); run > 0; --run) {
      origins.push_back(each);
      if (each.origin >= Origin::image) ++each.number;
    }
  }
  return origins;
}

TEST(Batch, AShapeBuildsWhatItWasMadeOf) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const auto cut = random_cut(seed);
    const auto again = built(shape_of(cut), cut);
    ASSERT_TRUE(again) << seed << ": " << again.error().message;
    EXPECT_TRUE(*again == cut.bytes) << seed;
    EXPECT_LE(shape_of(cut).shape().size(), 16 * cut.stretches.size()) << seed;
  }
}

TEST(Batch, ARunOfRecordsCostsAFewBytes) {
  Cut cut;
  for (std::uint64_t i = 0; i < 200; ++i) {
    cut.counter(0x7f0000000000 + i * kPage_bytes);
    cut.page(page_of(i % 3));
  }
  EXPECT_LE(shape_of(cut).shape().size(), 12U);
  Cut zeros;
  const ByteVector tail{std::byte{0}};
  for (std::uint64_t i = 0; i < 8000; ++i) {
    zeros.counter(0x100000 + i * kPage_bytes);
    zeros.other(tail);
  }
  const auto writer = shape_of(zeros);
  EXPECT_LE(writer.shape().size(), 12U);
  EXPECT_TRUE(writer.others().empty());
  EXPECT_TRUE(built(writer, zeros) == zeros.bytes);
}

TEST(Batch, OriginsComeBackAsTheyWere) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const auto origins = random_origins(seed);
    const auto again = parse_origins(pack_origins(origins), origins.size());
    ASSERT_TRUE(again) << seed << ": " << again.error().message;
    EXPECT_EQ(*again, origins) << seed;
    EXPECT_FALSE(parse_origins(pack_origins(origins), origins.size() - 1)) << seed;
  }
}

TEST(Batch, ARunOfOriginsCostsAFewBytes) {
  std::vector<PageOrigin> origins;
  origins.reserve(256);
  for (std::uint64_t i = 0; i < 256; ++i) origins.push_back({Origin::sent, 3, 5000 + i});
  EXPECT_LE(pack_origins(origins).size(), 6U);
}

// The worked example of docs/formats/batch.md.
TEST(Batch, GoldenBytes) {
  Cut cut;
  cut.other(as_bytes("abc"));
  cut.counter(4096);
  cut.page(ByteVector(kPage_bytes));
  cut.counter(8192);
  cut.page(ByteVector(kPage_bytes, std::byte{'g'}));
  const auto writer = shape_of(cut);
  const auto origins = pack_origins(std::vector<PageOrigin>{{Origin::zero, 0, 0}, {Origin::image, 0, 300}});
  ByteVector body = writer.shape();
  append(body, origins);
  append(body, writer.others());
  Batch batch;
  batch.number = 7;
  batch.check = check_of(cut.bytes);
  batch.shape_size = static_cast<std::uint32_t>(writer.shape().size());
  batch.origins_size = static_cast<std::uint32_t>(origins.size());
  batch.others_size = static_cast<std::uint32_t>(writer.others().size());
  batch.body_size = static_cast<std::uint32_t>(body.size());
  batch.body = body;
  const auto packed = pack(batch);
  EXPECT_EQ(to_hex(packed),
            "07"
            "4f1595a19773f0eb19468aee3b9f96f4"
            "00"
            "0604031a"
            "0103"
            "04020000"
            "03"
            "04d804"
            "616263");
  const auto parsed = parse_batch(packed);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->number, 7U);
  EXPECT_EQ(parsed->check, batch.check);
  EXPECT_FALSE(parsed->compressed);
  EXPECT_TRUE(std::ranges::equal(parsed->body, body));
}

TEST(Batch, AHeaderComesBackAsItWas) {
  const ByteVector body(100, std::byte{7});
  Batch batch;
  batch.number = 1ULL << 40U;
  batch.prefix = {{Origin::sent, 9, 1000}, {Origin::sent, 9, 1001}, {Origin::theirs, 2, 5}, {Origin::image, 0, 77}};
  batch.shape_size = 10;
  batch.origins_size = 20;
  batch.others_size = 30;
  batch.body_size = 5000;
  batch.compressed = true;
  batch.body = body;
  const auto frame = pack(batch);
  const auto parsed = parse_batch(frame);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->number, batch.number);
  EXPECT_EQ(parsed->prefix, batch.prefix);
  EXPECT_EQ(parsed->shape_size, 10U);
  EXPECT_EQ(parsed->origins_size, 20U);
  EXPECT_EQ(parsed->others_size, 30U);
  EXPECT_EQ(parsed->body_size, 5000U);
  EXPECT_TRUE(parsed->compressed);
  EXPECT_TRUE(std::ranges::equal(parsed->body, body));
}

struct Sizes {
  std::uint32_t shape{0};
  std::uint32_t origins{0};
  std::uint32_t others{0};
  std::uint32_t body{0};
  bool compressed{true};
};

Result<Batch> with_sizes(Sizes sizes) {
  static ByteVector frame;
  Batch batch;
  batch.shape_size = sizes.shape;
  batch.origins_size = sizes.origins;
  batch.others_size = sizes.others;
  batch.body_size = sizes.body;
  batch.compressed = sizes.compressed;
  frame = pack(batch);
  return parse_batch(frame);
}

TEST(Batch, AHeaderThatPromisesTooMuchIsRefused) {
  const std::uint32_t shape = kShapeBytes;
  const std::uint32_t most = kBatchWireBytes;
  EXPECT_TRUE(with_sizes({.shape = shape, .origins = shape, .others = kBatchBytes, .body = most}));
  EXPECT_FALSE(with_sizes({.shape = shape + 1, .body = most}));
  EXPECT_FALSE(with_sizes({.origins = shape + 1, .body = most}));
  EXPECT_FALSE(with_sizes({.others = kBatchBytes + 1, .body = most}));
  EXPECT_FALSE(with_sizes({.body = most + 1}));
  EXPECT_FALSE(with_sizes({.shape = 5, .origins = 5, .others = 5, .body = 14}));
  EXPECT_FALSE(with_sizes({.body = 1, .compressed = false}));  // its body is not there
  Batch wide;
  wide.prefix.assign(kPrefixPages + 1, PageOrigin{Origin::zero, 0, 0});
  EXPECT_FALSE(parse_batch(pack(wide)));
}

TEST(Batch, AShapeThatIsNotOursIsRefused) {
  const ByteVector zero(kPage_bytes);
  const std::vector<ByteView> two{zero, zero};
  const auto refused = [&](std::string_view hex, std::string_view others, std::size_t pages) {
    ByteVector out;
    const auto done = build(*from_hex(hex), as_bytes(others), std::span(two).first(pages), out);
    EXPECT_LE(out.size(), kBatchBytes) << hex;
    return !done && done.error().code == Errc::protocol;
  };
  EXPECT_FALSE(refused("0302", "", 2));
  EXPECT_TRUE(refused("0302", "", 1));                          // a page is missing
  EXPECT_TRUE(refused("0301", "", 2));                          // a page is left over
  EXPECT_TRUE(refused("0104", "abc", 0));                       // bytes are missing
  EXPECT_TRUE(refused("0102", "abc", 0));                       // bytes are left over
  EXPECT_TRUE(refused("0003", "abc", 0));                       // no such token
  EXPECT_TRUE(refused("0503", "abc", 0));                       // no such token
  EXPECT_TRUE(refused("01", "abc", 0));                         // cut
  EXPECT_TRUE(refused("020100", "", 0));                        // cut
  EXPECT_TRUE(refused("02010000", "", 0));                      // cut
  EXPECT_TRUE(refused("0201000009", "", 0));                    // cut
  EXPECT_TRUE(refused("0201000009000000000000000000", "", 0));  // the tail is too long
  EXPECT_FALSE(refused("02808008000000", "", 0));               // 131,072 counters are a whole batch
  EXPECT_TRUE(refused("02818008000000", "", 0));                // one more
  EXPECT_TRUE(
      refused("0280800800000002010000"
              "00",
              "", 0));
  EXPECT_TRUE(refused("02ffffffffffffffffff01000000", "", 0));
  EXPECT_TRUE(refused("04ffffffffffffffffff010000", "", 2));
  EXPECT_TRUE(refused("03ffffffffffffffffff01", "", 2));
}

TEST(Batch, OriginsThatAreNotOursAreRefused) {
  const auto refused = [](std::string_view hex) {
    const auto parsed = parse_origins(*from_hex(hex), 256);
    return !parsed && parsed.error().code == Errc::protocol;
  };
  EXPECT_FALSE(refused("03"));
  EXPECT_TRUE(refused("00"));
  EXPECT_TRUE(refused("07"));
  EXPECT_TRUE(refused("04"));              // an image's block without its number
  EXPECT_TRUE(refused("0501"));            // a sent page without its number
  EXPECT_TRUE(refused("05808080801000"));  // a connection beyond 32 bits
  EXPECT_FALSE(refused("fbe001"));         // 256 zero pages
  EXPECT_TRUE(refused("fbe101"));          // one more
  EXPECT_TRUE(refused("fb"));              // cut
  EXPECT_TRUE(refused("fbffffffffffffffffff01"));
}

TEST(Batch, ParsersSurviveTwentyThousandBrokenBatches) {
  std::mt19937_64 random(11);
  const ByteVector zero(kPage_bytes);
  const std::vector<ByteView> pages(20, zero);
  for (int i = 0; i < 20000; ++i) {
    ByteVector bytes(1 + random() % 60);
    for (auto& each : bytes) each = static_cast<std::byte>(random() >> (random() % 2 == 0 ? 56 : 62));
    const auto parsed = parse_batch(bytes);
    EXPECT_TRUE(parsed || parsed.error().code == Errc::protocol);
    const auto origins = parse_origins(bytes, 256);
    EXPECT_TRUE(!origins || origins->size() <= 256);
    ByteVector out;
    (void)build(bytes, zero, pages, out);
    ASSERT_LE(out.size(), kBatchBytes);
  }
}

}  // namespace
}  // namespace godwit::migrate
