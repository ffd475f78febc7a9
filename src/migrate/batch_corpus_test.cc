// What fuzz/batch begins with, beside what was written by hand: batches of real streams, as they cross.
#include "migrate/batch_decoder.h"
#include "migrate/batch_encoder.h"
#include "sim/page_files.h"
#include "support/qemu_streams.h"
#include "wire/memory_reader.h"
#include "wire/nbd_stream.h"

#include <gtest/gtest.h>

namespace godwit::migrate {
namespace {

constexpr std::size_t kMost_bytes = 8000;    // of a file
constexpr std::size_t kBatch_stretches = 4;  // so that there are several
const std::string kCorpus = GODWIT_BATCH_CORPUS;

struct Side {
  sim::PageFiles files;
  content::Store store{files, "/store", {}};
  std::shared_ptr<Rapport> rapport{std::make_shared<Rapport>()};

  Side() { rapport->domain = store.domain("alice"); }
};

// As fuzz/batch.cc reads it: what is to be decoded, each batch after its size.
ByteVector batches_of(ByteView bytes, std::vector<wire::Stretch> stretches) {
  Side side;
  Departure departure{side.store, side.rapport, nullptr, Places{}, wire::Savings{}};
  BatchEncoder encoder(departure, 1);
  ByteVector out{std::byte{'d'}};
  for (std::span<const wire::Stretch> rest(stretches); !rest.empty();) {
    const auto some = rest.first(std::min(rest.size(), kBatch_stretches));
    const auto encoded = encoder.encode(bytes, some, Effort());
    EXPECT_TRUE(encoded);
    if (!encoded || encoded->taken_stretches == 0 || out.size() + 2 + encoded->frame.size() > kMost_bytes) break;
    out.push_back(static_cast<std::byte>(encoded->frame.size() >> 8U));
    out.push_back(static_cast<std::byte>(encoded->frame.size() & 255U));
    append(out, encoded->frame);
    bytes = bytes.subspan(encoded->taken_bytes);
    rest = rest.subspan(encoded->taken_stretches);
  }
  return out;
}

// GODWIT_WRITE_GOLDEN=1 build/release/src/migrate/migrate_test --gtest_filter='*BatchCorpus*' writes them anew, after
// the format has changed.
class BatchCorpus : public ::testing::TestWithParam<std::string> {};

TEST_P(BatchCorpus, IsWhatARecordedStreamBeginsWith) {
  const auto stream = testing::recorded_stream(GetParam());
  ASSERT_FALSE(stream.empty());
  const auto path = kCorpus + "/recorded-" + GetParam();
  if (std::getenv("GODWIT_WRITE_GOLDEN")) {
    std::unique_ptr<wire::StretchReader> reader = wire::read_memory();
    if (GetParam() == "nbd") reader = std::make_unique<wire::NbdStream>();
    std::vector<wire::Stretch> stretches;
    reader->feed(stream, stretches);
    std::ofstream(path, std::ios::binary) << as_text(batches_of(stream, std::move(stretches)));
  }
  const auto text = testing::read_text(path);
  EXPECT_LE(text.size(), kMost_bytes);
  ASSERT_GT(text.size(), 1U) << path;
  Side side;
  Arrivals arrivals{side.store, side.rapport, nullptr, false};
  BatchDecoder decoder(arrivals, 1);
  ByteVector came;
  for (auto rest = as_bytes(text).subspan(1); rest.size() > 2;) {
    const auto size = std::to_integer<std::size_t>(rest[0]) * 256 + std::to_integer<std::size_t>(rest[1]);
    ASSERT_LE(size, rest.size() - 2);
    const auto decoded = decoder.decode(rest.subspan(2, size));
    ASSERT_TRUE(decoded) << decoded.error().message;
    append(came, *decoded);
    rest = rest.subspan(2 + size);
  }
  EXPECT_GT(decoder.next(), 2U) << "batches";
  ASSERT_LE(came.size(), stream.size());
  EXPECT_TRUE(std::ranges::equal(came, ByteView(stream).first(came.size())));
}

INSTANTIATE_TEST_SUITE_P(Streams, BatchCorpus, ::testing::Values("single", "post-copy", "multifd-1", "nbd"),
                         [](const auto& each) {
                           auto name = each.param;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace godwit::migrate
