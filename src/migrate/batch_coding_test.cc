// Encoder and decoder together, each over a store of its own.
#include "migrate/batch_decoder.h"
#include "migrate/batch_encoder.h"
#include "sim/page_files.h"
#include "support/pages.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

namespace godwit::migrate {
namespace {

using testing::changed;
using testing::page_of;
using wire::Stretch;
using wire::StretchKind;

constexpr Effort kLook{true, true, 1};
constexpr std::uint64_t kImageBlocks = 100;
constexpr std::uint64_t kImageContent = 90000;  // block i holds page_of of it + i

class ImageBlocks final : public content::Blocks {
 public:
  std::uint64_t count() const override { return kImageBlocks; }
  Result<> read(std::uint64_t block, ByteSpan into) const override {
    for (; !into.empty(); ++block, into = into.subspan(kPage_bytes)) {
      if (block >= kImageBlocks) return fail(Errc::invalid_argument, "read: there is no block {}", block);
      const auto page = page_of(kImageContent + block + changed_by);
      std::copy(page.begin(), page.end(), into.begin());
    }
    return {};
  }
  bool is_hole(std::uint64_t) const override { return false; }

  std::uint64_t changed_by{0};
};

std::shared_ptr<content::Library::Volume> volume(std::uint64_t changed_by = 0) {
  auto made = std::make_shared<content::Library::Volume>();
  auto blocks = std::make_unique<ImageBlocks>();
  blocks->changed_by = changed_by;
  made->blocks = std::move(blocks);
  made->index = std::make_unique<content::ImageIndex>(*made->blocks);
  while (made->index->advance(kImageBlocks).value_or(false)) {
  }
  return made;
}

// What one host keeps.
struct Side {
  sim::PageFiles files;
  content::Store store{files, "/store", {}};
  std::shared_ptr<Rapport> rapport{std::make_shared<Rapport>()};

  Side() { rapport->domain = store.domain("alice"); }
};

class BatchCoding : public ::testing::Test {
 protected:
  // A page of the guest at the place `place`.
  void page(ByteView content, std::uint64_t place) {
    append(bytes_, content);
    stretches_.push_back({StretchKind::page, kPage_bytes, place});
  }
  void other(std::size_t size) {
    const ByteVector content(size, std::byte{'o'});
    append(bytes_, content);
    stretches_.push_back({StretchKind::other, static_cast<std::uint32_t>(size), 0});
  }
  // The stream that was made so far, which ends with the batch.
  ByteVector encode(Effort effort = kLook) { return encode_with(encoder_, effort); }
  ByteVector encode_with(BatchEncoder& encoder, Effort effort = kLook) {
    const auto encoded = encoder.encode(bytes_, stretches_, effort);
    EXPECT_TRUE(encoded);
    if (!encoded) return {};
    meant_.assign(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(encoded->taken_bytes));
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(encoded->taken_bytes));
    stretches_.erase(stretches_.begin(), stretches_.begin() + static_cast<std::ptrdiff_t>(encoded->taken_stretches));
    if (encoded->taken_stretches == 0)
      stretches_.front().size_bytes -= static_cast<std::uint32_t>(encoded->taken_bytes);
    return encoded->frame;
  }
  void expect_same(Result<ByteView> decoded) {
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_TRUE(std::ranges::equal(*decoded, meant_));
  }
  // Fails so, and is repaired by the same batch once more.
  void expect_repaired(const ByteVector& frame, Errc code) {
    const auto number = decoder_.next();
    const auto decoded = decoder_.decode(frame);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, code) << decoded.error().message;
    EXPECT_EQ(decoder_.next(), number);
    const auto again = encoder_.again(number);
    ASSERT_TRUE(again) << again.error().message;
    expect_same(decoder_.decode(*again));
  }

  Side here_;
  Side there_;
  Departure departure_{here_.store, here_.rapport, nullptr, Places{}, wire::Savings{}};
  Arrivals arrivals_{there_.store, there_.rapport, nullptr, false};
  BatchEncoder encoder_{departure_, 1};
  BatchDecoder decoder_{arrivals_, 1};
  ByteVector bytes_;
  std::vector<Stretch> stretches_;
  ByteVector meant_;
};

TEST_F(BatchCoding, PagesThatAreEqualCrossOnce) {
  for (std::uint64_t i = 0; i < 10; ++i) page(page_of(i), i);
  const auto first = encode();
  EXPECT_GT(first.size(), 10 * kPage_bytes);
  expect_same(decoder_.decode(first));
  for (std::uint64_t i = 0; i < 10; ++i) page(page_of(i), 100 + i);
  const auto second = encode();
  EXPECT_LT(second.size(), 64U);
  expect_same(decoder_.decode(second));
  EXPECT_EQ(departure_.savings.earlier, 10 * kPage_bytes);
  EXPECT_EQ(departure_.savings.sibling, 0U);
  EXPECT_EQ(departure_.savings.literal, 10 * kPage_bytes);
}

// A migration pins what has come until it ends: one that brings more than the store holds can't keep it all.
TEST_F(BatchCoding, WhereTheStoreIsFullWhatFollowsIsStillComparedWithWhatIsThere) {
  constexpr std::uint64_t kPages = 16;  // of a batch
  sim::PageFiles files;
  content::Store small(files, "/store", {.disk_bytes = 2048 * kPage_bytes});
  const auto pin = small.pin(1);
  arrivals_.rapport->domain = small.domain("alice");
  Arrivals arrivals{small, arrivals_.rapport, nullptr, false};
  BatchDecoder decoder(arrivals, 1);
  bool told = false;
  for (std::uint64_t batch = 0; batch < 200; ++batch) {
    SCOPED_TRACE(batch);
    for (std::uint64_t i = 0; i < kPages; ++i) page(changed(page_of(i), 4, batch * kPages + i), batch * kPages + i);
    const auto frame = encode();
    EXPECT_LT(frame.size(), batch == 0 ? kPages * 5'000 : kPages * 400);
    expect_same(decoder.decode(frame));
    encoder_.acknowledged(batch);
    if (const auto unkept = decoder.unkept_from(); unkept && !std::exchange(told, true)) {
      EXPECT_TRUE(encoder_.unkept(*unkept));
      EXPECT_FALSE(encoder_.unkept(*unkept)) << "it is said once";
    }
  }
  EXPECT_TRUE(told);
  EXPECT_GT(small.use().pages, 1024U) << "most of the room is used";
  EXPECT_EQ(small.use().evicted_pages, 0U);
}

TEST_F(BatchCoding, WhatCrossedForAnotherInstanceIsToldFromWhatCrossedForThisOne) {
  departure_.instance = tag_of("inst-web");
  BatchEncoder web(departure_, 3);
  for (std::uint64_t i = 0; i < 10; ++i) page(page_of(i), i);
  (void)encode_with(web);
  web.acknowledged(0);

  Departure sibling{here_.store, here_.rapport, nullptr, Places{}, wire::Savings{}};
  sibling.instance = tag_of("inst-db");
  BatchEncoder db(sibling, 4);
  db.may_refer_to_others(true);
  for (std::uint64_t i = 0; i < 12; ++i) page(page_of(i), i);
  (void)encode_with(db);
  EXPECT_EQ(sibling.savings.sibling, 10 * kPage_bytes);
  for (std::uint64_t i = 0; i < 12; ++i) page(page_of(i), i);  // the next round
  (void)encode_with(db);
  EXPECT_EQ(sibling.savings.earlier, 12 * kPage_bytes);

  Departure again{here_.store, here_.rapport, nullptr, Places{}, wire::Savings{}};
  again.instance = tag_of("inst-web");
  BatchEncoder later(again, 5);
  later.may_refer_to_others(true);
  for (std::uint64_t i = 0; i < 10; ++i) page(page_of(i), i);
  (void)encode_with(later);
  EXPECT_EQ(again.savings.earlier, 10 * kPage_bytes);
}

TEST_F(BatchCoding, WhatCompressionTookOffIsToldFromWhatWasSent) {
  for (std::uint64_t i = 0; i < 10; ++i) {
    const auto half = page_of(i);
    ByteVector text(kPage_bytes, std::byte{'t'});
    std::copy_n(half.begin(), kPage_bytes / 2, text.begin());
    page(text, i);
  }
  const auto frame = encode();
  expect_same(decoder_.decode(frame));
  EXPECT_EQ(departure_.savings.literal, frame.size());
  EXPECT_GT(departure_.savings.compressed, 4 * kPage_bytes);
  EXPECT_EQ(departure_.savings.sum(), 10 * kPage_bytes);
}

TEST_F(BatchCoding, PagesThatAreEqualWithinOneBatchCrossOnce) {
  for (std::uint64_t i = 0; i < 100; ++i) page(page_of(i % 2), i);
  const auto frame = encode();
  EXPECT_LT(frame.size(), 2 * kPage_bytes + 1000);
  expect_same(decoder_.decode(frame));
}

TEST_F(BatchCoding, APageThatChangedALittleIsSmall) {
  for (std::uint64_t i = 0; i < 10; ++i) page(page_of(i), i);
  expect_same(decoder_.decode(encode()));
  for (std::uint64_t i = 0; i < 10; ++i) page(changed(page_of(i), 4, i), i);
  const auto frame = encode();
  EXPECT_LT(frame.size(), 10 * 300U);
  expect_same(decoder_.decode(frame));
  EXPECT_EQ(departure_.savings.similar, 10 * kPage_bytes);
}

// The guest is scanned here: what is newest and like its page never crossed.
TEST_F(BatchCoding, OfPagesThatAreAlikeOneThatTheDestinationHasIsTaken) {
  const auto crossed = page_of(1);
  page(crossed, 1);
  expect_same(decoder_.decode(encode()));
  const auto share = [](ByteView a, ByteView b, std::size_t place) {
    return content::sketch_of(a)[place] == content::sketch_of(b)[place];
  };
  ByteVector now;
  ByteVector only_here;
  std::uint64_t seed = 0;
  do {
    now = changed(crossed, 60, ++seed);
    only_here = changed(now, 60, ++seed);
  } while (!share(now, crossed, 0) || share(only_here, crossed, 0) || !share(now, only_here, 1));
  ASSERT_TRUE(here_.store.append(here_.rapport->domain, only_here, content::fingerprint_of(only_here)));
  EXPECT_TRUE(encoder_.has_like(content::sketch_of(now), 2)) << "nobody need be asked";
  page(now, 2);
  const auto frame = encode();
  EXPECT_LT(frame.size(), kPage_bytes / 4);
  expect_same(decoder_.decode(frame));
  EXPECT_EQ(departure_.savings.similar, kPage_bytes);
}

TEST_F(BatchCoding, BlocksOfTheImageDontCross) {
  departure_.image = volume();
  arrivals_.image = volume();
  for (std::uint64_t i = 0; i < kImageBlocks; ++i) page(page_of(kImageContent + i), i);
  const auto frame = encode();
  EXPECT_LT(frame.size(), 64U);
  expect_same(decoder_.decode(frame));
  EXPECT_EQ(departure_.savings.image, kImageBlocks * kPage_bytes);
}

TEST_F(BatchCoding, AnImageThatIsNotThereOrIsAnotherIsRepaired) {
  departure_.image = volume();
  page(page_of(kImageContent), 1);
  expect_repaired(encode(), Errc::not_found);
  arrivals_.image = volume(1);
  page(page_of(kImageContent + 7), 2);
  expect_repaired(encode(), Errc::not_authentic);
}

TEST_F(BatchCoding, PagesOfZerosTakeNoRoom) {
  for (std::uint64_t i = 0; i < 200; ++i) page(ByteVector(kPage_bytes), i);
  const auto frame = encode();
  EXPECT_LT(frame.size(), 40U);
  expect_same(decoder_.decode(frame));
  EXPECT_EQ(here_.store.use().pages, 0U);
}

TEST_F(BatchCoding, ABatchEndsBeforeItHasTooManyLiterals) {
  for (std::uint64_t i = 0; i < 2 * kLiteralPages; ++i) page(page_of(i), i);
  const auto frame = encode();
  EXPECT_EQ(meant_.size(), kLiteralPages * kPage_bytes);
  expect_same(decoder_.decode(frame));
}

TEST_F(BatchCoding, AStretchLongerThanABatchIsCut) {
  other(3 * kBatchBytes - 100);
  other(kBatchBytes);
  for (int i = 0; i < 4; ++i) {
    expect_same(decoder_.decode(encode()));
    EXPECT_LE(meant_.size(), kBatchBytes);
  }
  EXPECT_TRUE(bytes_.empty());
}

TEST_F(BatchCoding, WithoutEffortPagesCrossAsTheyAreAndAreNotKept) {
  for (std::uint64_t i = 0; i < 5; ++i) page(page_of(1), i);
  const auto frame = encode({false, false, 0});
  EXPECT_GT(frame.size(), 5 * kPage_bytes);
  expect_same(decoder_.decode(frame));
  EXPECT_EQ(there_.store.use().pages, 0U);
}

TEST_F(BatchCoding, WhatADestinationThatLostItsStoreLacksIsSaidAgain) {
  for (std::uint64_t i = 0; i < 5; ++i) page(page_of(i), i);
  expect_same(decoder_.decode(encode()));
  there_.rapport->theirs = {};
  for (std::uint64_t i = 0; i < 5; ++i) page(page_of(i), i);
  expect_repaired(encode(), Errc::not_found);
  // Also where it was only compared with.
  page(changed(page_of(3), 2, 1), 3);
  expect_repaired(encode(), Errc::not_found);
}

TEST_F(BatchCoding, APageThatIsEvictedThereIsSaidAgain) {
  Side small;
  content::Store tiny(small.files, "/tiny", {.disk_bytes = 1024 * kPage_bytes, .index_bytes = 1ULL << 20U});
  small.rapport->domain = tiny.domain("alice");
  Arrivals arrivals{tiny, small.rapport, nullptr, false};
  BatchDecoder decoder(arrivals, 1);
  page(page_of(1), 1);
  expect_same(decoder.decode(encode()));
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const auto filler = page_of(5000 + i);
    ASSERT_TRUE(tiny.append(small.rapport->domain, filler, content::fingerprint_of(filler)));
  }
  page(page_of(1), 2);
  const auto frame = encode();
  const auto lacks = decoder.decode(frame);
  ASSERT_FALSE(lacks);
  EXPECT_EQ(lacks.error().code, Errc::not_found);
  const auto again = encoder_.again(1);
  ASSERT_TRUE(again);
  expect_same(decoder.decode(*again));
}

// As a store would that mixed up its pages: the other end's number 0 is now some other page.
TEST_F(BatchCoding, APageThatIsAnotherThereIsSaidAgain) {
  page(page_of(1), 1);
  expect_same(decoder_.decode(encode()));
  const auto wrong = page_of(77);
  const auto id = there_.store.append(there_.rapport->domain, wrong, content::fingerprint_of(wrong));
  ASSERT_TRUE(id);
  there_.rapport->theirs = {};
  there_.rapport->theirs.add({1, 0}, *id, 1);
  page(page_of(1), 2);
  expect_repaired(encode(), Errc::not_authentic);
  page(changed(page_of(1), 2, 5), 2);
  expect_repaired(encode(), Errc::not_authentic);
}

// Where a batch's pages come from is compressed with them: here against a page that holds just these bytes.
TEST_F(BatchCoding, APrefixThatIsAnotherThereIsRepairedWhateverTheBatchExpandsTo) {
  constexpr std::uint64_t kPages = 200;
  const auto common = [](std::uint64_t number) { return page_of(2000 + number); };
  std::vector<std::uint64_t> order(kPages);
  std::iota(order.begin(), order.end(), 1);
  std::ranges::shuffle(order, std::mt19937_64(7));
  std::vector<PageOrigin> origins;
  origins.reserve(kPages);
  for (const auto number : order) origins.push_back({Origin::sent, 1, number});
  auto crossed = page_of(1);
  std::ranges::copy(pack_origins(origins), crossed.begin());

  page(crossed, 1);
  for (std::uint64_t number = 1; number <= kPages; ++number) page(common(number), 1 + number);
  while (!stretches_.empty()) expect_same(decoder_.decode(encode()));
  const auto domain = there_.rapport->domain;
  const auto wrong = page_of(77);
  const auto id = there_.store.append(domain, wrong, content::fingerprint_of(wrong));
  ASSERT_TRUE(id);
  there_.rapport->theirs = {};
  there_.rapport->theirs.add({1, 0}, *id, 1);
  for (std::uint64_t number = 1; number <= kPages; ++number) {
    const auto content = common(number);
    const auto held = there_.store.find(domain, content, content::fingerprint_of(content));
    there_.rapport->theirs.add({1, number}, held, 1);
  }
  for (const auto number : order) page(common(number), 1000 + number);
  page(changed(crossed, 2, 5), 1);
  expect_repaired(encode(), Errc::not_authentic);
}

TEST_F(BatchCoding, NumbersAgreeAfterARepair) {
  page(page_of(1), 1);
  expect_same(decoder_.decode(encode()));
  there_.rapport->theirs = {};
  page(page_of(1), 1);
  page(page_of(2), 2);
  page(ByteVector(kPage_bytes), 3);
  page(page_of(3), 4);
  expect_repaired(encode(), Errc::not_found);
  page(page_of(3), 5);
  page(page_of(2), 6);
  const auto frame = encode();
  EXPECT_LT(frame.size(), 64U);
  expect_same(decoder_.decode(frame));
}

TEST_F(BatchCoding, WhatIsAcknowledgedIsKeptNoLonger) {
  page(page_of(1), 1);
  (void)encode();
  page(page_of(2), 1);
  (void)encode();
  const auto both = encoder_.kept_bytes();
  EXPECT_GE(both, 2 * kPage_bytes);
  encoder_.acknowledged(0);
  EXPECT_EQ(encoder_.kept_bytes(), both / 2);
  const auto gone = encoder_.again(0);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Errc::protocol);
  EXPECT_TRUE(encoder_.again(1));
  EXPECT_FALSE(encoder_.again(2));
}

TEST_F(BatchCoding, AnotherConnectionsPagesAreReferredToOnceTheyAreAcknowledged) {
  BatchEncoder sibling(departure_, 2);
  BatchDecoder sibling_there(arrivals_, 2);
  page(page_of(1), 1);
  expect_same(decoder_.decode(encode()));
  sibling.may_refer_to_others(true);
  page(page_of(1), 1);
  auto frame = encode_with(sibling);
  EXPECT_GT(frame.size(), kPage_bytes);
  expect_same(sibling_there.decode(frame));
  // That page is the sibling's now; one of the first connection, acknowledged:
  page(page_of(2), 2);
  expect_same(decoder_.decode(encode()));
  encoder_.acknowledged(1);
  page(page_of(2), 2);
  frame = encode_with(sibling);
  EXPECT_LT(frame.size(), 64U);
  expect_same(sibling_there.decode(frame));
}

TEST_F(BatchCoding, BeforeTheWelcomeOnlyTheConnectionsOwnPagesAreReferredTo) {
  page(page_of(1), 1);
  expect_same(decoder_.decode(encode()));
  encoder_.acknowledged(0);
  BatchEncoder next(departure_, 2);
  page(page_of(1), 1);
  EXPECT_GT(encode_with(next).size(), kPage_bytes);
}

TEST_F(BatchCoding, TheWayBackRefersToWhatCameThere) {
  for (std::uint64_t i = 0; i < 20; ++i) page(page_of(i), i);
  expect_same(decoder_.decode(encode()));
  Departure back{there_.store, there_.rapport, nullptr, Places{}, wire::Savings{}};
  Arrivals home{here_.store, here_.rapport, nullptr, false};
  BatchEncoder encoder(back, 1);
  BatchDecoder decoder(home, 1);
  encoder.may_refer_to_others(true);
  for (std::uint64_t i = 0; i < 20; ++i) page(page_of(i), i);
  page(changed(page_of(4), 3, 1), 4);
  const auto frame = encode_with(encoder);
  EXPECT_LT(frame.size(), 400U);
  expect_same(decoder.decode(frame));
}

TEST_F(BatchCoding, NothingOfAnotherTenantIsReferredTo) {
  for (std::uint64_t i = 0; i < 5; ++i) page(page_of(i), i);
  expect_same(decoder_.decode(encode()));
  encoder_.acknowledged(0);
  const auto of_bob = std::make_shared<Rapport>();
  of_bob->domain = here_.store.domain("bob");
  Departure departure{here_.store, of_bob, nullptr, Places{}, wire::Savings{}};
  BatchEncoder encoder(departure, 2);
  encoder.may_refer_to_others(true);
  for (std::uint64_t i = 0; i < 5; ++i) page(page_of(i), i);
  EXPECT_GT(encode_with(encoder).size(), 5 * kPage_bytes);
  // And who refers to it nevertheless is not given it.
  const auto bob_there = std::make_shared<Rapport>();
  bob_there->theirs = there_.rapport->theirs;
  bob_there->domain = there_.store.domain("bob");
  Arrivals arrivals{there_.store, bob_there, nullptr, false};
  BatchDecoder decoder(arrivals, 2);
  Batch batch;
  const ByteVector shape{std::byte{3}, std::byte{1}};
  const auto origins = pack_origins(std::vector<PageOrigin>{{Origin::sent, 1, 0}});
  ByteVector body = shape;
  append(body, origins);
  batch.check = check_of(page_of(0));
  batch.shape_size = 2;
  batch.origins_size = static_cast<std::uint32_t>(origins.size());
  batch.body_size = static_cast<std::uint32_t>(body.size());
  batch.body = body;
  const auto decoded = decoder.decode(pack(batch));
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, Errc::not_found);
}

TEST_F(BatchCoding, ABatchOutOfTurnIsRefused) {
  page(page_of(1), 1);
  const auto frame = encode();
  expect_same(decoder_.decode(frame));
  const auto twice = decoder_.decode(frame);
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, Errc::protocol);
}

}  // namespace
}  // namespace godwit::migrate
