// Those in a chain who do not play by the rules.
#include "image/chain_messages.h"
#include "image/chain_parts.h"
#include "image/piece_press.h"
#include "support/chain_cloud.h"
#include "support/virtual_time.h"

namespace godwit::image {
namespace {

using testing::ChainCloud;
using namespace chain;

constexpr std::uint64_t kPieces = 160;
constexpr std::uint64_t kNic = 12'500'000;

enum class Lie : std::uint8_t {
  piece = 1,
  list,
  number,
  packed,
  no_packed,
  long_packed,
  nothing,
  garbage,
  silence,
  blocks,
  run,
  lone_run,
};

sys::Task<Result<ByteVector>> read_frame(sys::Stream& stream, Type& type) {
  ByteVector head(kHead_bytes);
  const auto read = co_await sys::read_exactly(stream, head);
  if (!read) co_return pass(read);
  const auto parsed = parse_head(head);
  if (!parsed) co_return pass(parsed);
  type = parsed->type;
  ByteVector body(parsed->body_bytes);
  const auto rest = co_await sys::read_exactly(stream, body);
  if (!rest) co_return pass(rest);
  co_return body;
}

// An upstream that says it has everything, and gives what it is told to.
class Liar final : public sim::Program {
 public:
  Liar(sim::Process& process, Lie lie) : lie_(lie) {
    process.runtime().peers.trust({sim::authority("cloud-a", "cloud-a")});
    listener_ = process.runtime().peers.listen(process.host().ip(), testing::kPort).value();
    process.spawn(accept_all(*this, process));
  }
  int asked{0};

 private:
  static sys::Task<void> accept_all(Liar& liar, sim::Process& process) {
    for (;;) {
      auto stream = co_await liar.listener_->accept();
      if (!stream) co_return;
      process.spawn(serve(liar, std::move(*stream)));
    }
  }
  static sys::Task<void> serve(Liar& liar, std::unique_ptr<sys::PeerStream> stream) {
    Type type{};
    const auto hello = co_await read_frame(*stream, type);
    if (!hello || type != Type::hello) co_return;
    ++liar.asked;
    if (liar.lie_ == Lie::silence) co_await read_on(*stream);
    auto words = pack(Answer{Outcome::served, kPieces, {}});
    append(words, pack(News{kPieces, 1, false, {}}));
    append(words, liar.list());
    (void)co_await stream->write(words);
    const auto have = co_await read_frame(*stream, type);
    if (!have) co_return;
    const auto lies = liar.lies();
    (void)co_await stream->write(lies);
    co_await read_on(*stream);
  }
  static sys::Task<void> read_on(sys::Stream& stream) {
    ByteVector buffer(1024);
    Result<std::size_t> read = 1;
    while (read) read = co_await stream.read_some(buffer);
  }
  [[nodiscard]] ByteVector list() const {
    ByteVector digests;
    for (std::uint64_t piece = 0; piece < kPieces; ++piece) {
      append(digests, testing::digest_of(lie_ == Lie::list ? piece + 1 : piece));
    }
    return pack(List{0, digests});
  }
  [[nodiscard]] ByteVector lies() const {
    if (lie_ == Lie::nothing || lie_ == Lie::list) return {};
    if (lie_ == Lie::garbage) return ByteVector(100'000, std::byte{0x5a});
    if (lie_ >= Lie::blocks) return parts();
    if (lie_ == Lie::packed || lie_ == Lie::no_packed) return packed();
    ByteVector frame(lie_ == Lie::long_packed ? kPieceHead_bytes + kPackedLimit_bytes + 1 : kPieceFrame_bytes);
    store_piece_head(frame, lie_ == Lie::number ? kPieces + 5 : 3);
    return frame;
  }

  // Of piece 3: the digests of another's blocks; a false block behind a right one; a block of nothing.
  [[nodiscard]] ByteVector parts() const {
    const auto content = testing::content_of(lie_ == Lie::blocks ? 4 : 3);
    ByteVector digests(kPieceBlocks_bytes);
    crypto::BlockDigests::fastest().digest(content, digests);
    ByteVector words;
    if (lie_ != Lie::lone_run) append(words, pack(Blocks{3, digests}));
    const auto block = ByteView(content).first(kPage_bytes);
    append(words, pack_run(block));
    append(words, pack_run(block));
    return words;
  }

  // Another piece, or what is none.
  [[nodiscard]] ByteVector packed() const {
    godwit::testing::VirtualTime clock;
    PiecePress press(clock);
    const auto good = press.press(testing::content_of(4, testing::Kind::loose));
    ByteVector frame(kPieceHead_bytes);
    append(frame, good);
    store_piece_head(frame, 3);
    if (lie_ == Lie::no_packed) frame[kPieceHead_bytes + 40] ^= std::byte{0xff};
    return frame;
  }

  Lie lie_;
  std::unique_ptr<sys::PeerListener> listener_;
};

class ChainLiar : public ::testing::TestWithParam<Lie> {};

TEST_P(ChainLiar, IsLeftAndNothingOfItIsUsed) {
  ChainCloud cloud(1, kPieces, 4);
  for (std::size_t host = 0; host < 4; ++host) cloud.world.network().set_nic(ChainCloud::id(host), kNic, kNic);
  auto& process = cloud.world.host("h1").start("agent", {cloud.name(1), "cloud-a"},
                                               [](sim::Process& at) { return std::make_unique<Liar>(at, GetParam()); });
  for (const std::size_t host : {0U, 2U, 3U}) cloud.start(host);
  EXPECT_LT(cloud.run_until_done(Seconds{30}, {1}), 9) << cloud.state();
  auto& liar = dynamic_cast<Liar&>(process.program());
  EXPECT_GE(liar.asked, 1);
  EXPECT_LE(liar.asked, 3) << "it is not asked again and again";
  EXPECT_EQ(cloud.disk(2).puts, kPieces - kPieces / 10);
}

INSTANTIATE_TEST_SUITE_P(Lies, ChainLiar,
                         ::testing::Values(Lie::piece, Lie::list, Lie::number, Lie::packed, Lie::no_packed,
                                           Lie::long_packed, Lie::nothing, Lie::garbage, Lie::silence, Lie::blocks,
                                           Lie::run, Lie::lone_run));

// A host in the list that asks for what makes no sense; and one that is not in it.
class Pest final : public sim::Program {
 public:
  Pest(sim::Process& process, std::string ip, std::string name, int kind) {
    process.runtime().peers.trust({sim::authority("cloud-a", "cloud-a")});
    process.spawn(pester(process.runtime(), {std::move(ip), testing::kPort, std::move(name), {}}, kind));
  }
  // Answers of that kind, so far.
  static inline int refused{0};

 private:
  static sys::Task<void> pester(sys::Runtime& runtime, sys::PeerAddress to, int kind) {
    for (int i = 0; i < 200; ++i) {
      co_await runtime.clock.sleep_for(Millis{20});
      auto stream = co_await runtime.peers.dial(to);
      if (!stream) continue;
      const auto words = absurd(kind, i);
      (void)co_await (*stream)->write(words);
      Type type{};
      const auto body = co_await read_frame(**stream, type);
      if (!body || type != Type::answer) continue;
      const auto answer = parse_answer(*body);
      if (answer && answer->outcome != Outcome::served) ++refused;
      if (kind == 1) co_await runtime.clock.sleep_for(Millis{100});
    }
  }
  static ByteVector absurd(int kind, int number) {
    const auto purpose = static_cast<Purpose>(1 + number % 4);
    auto words = pack(Hello{purpose, true, kPiecesLimit, testing::kImage});
    if (kind == 0) return pack(Hello{purpose, true, 0, "ami-that-nobody-has"});
    append(words, pack(Have{true, kPiecesLimit, ByteVector(kHaveLimit_bytes, std::byte{0xff})}));
    append(words, pack(Want{std::vector<std::uint32_t>(kMostWanted, 0xFFFFFFFFU)}));
    append(words, pack(More{0xFFFF}));
    if (number % 2 == 0) append(words, pack(Stay{}));
    append(words, pack(Progress{kPiecesLimit}));
    append(words, ByteVector(20, std::byte{0xee}));
    return words;
  }
};

class ChainPest : public ::testing::TestWithParam<int> {};

TEST_P(ChainPest, HoldsNobodyUpForLong) {
  ChainCloud cloud(1, kPieces, 5);
  for (std::size_t host = 0; host < 5; ++host) cloud.world.network().set_nic(ChainCloud::id(host), kNic / 4, kNic / 4);
  cloud.world.host("h4").start("agent", {cloud.name(4), "cloud-a"}, [&](sim::Process& at) {
    return std::make_unique<Pest>(at, ChainCloud::ip(1), cloud.name(1), GetParam());
  });
  for (const std::size_t host : {0U, 1U, 2U, 3U}) cloud.start(host);
  cloud.run_until_done(Seconds{60}, {4});
}

INSTANTIATE_TEST_SUITE_P(Kinds, ChainPest, ::testing::Values(0, 1));

TEST(ChainStranger, WhoIsNotInTheListIsGivenNothing) {
  ChainCloud cloud(1, kPieces, 2);
  cloud.world.add_host("x1", "cloud-a", "10.9.0.1");
  cloud.world.host("x1").start("agent", {"x1.cloud-a.godwit", "cloud-a"}, [&](sim::Process& at) {
    return std::make_unique<Pest>(at, ChainCloud::ip(0), cloud.name(0), 1);
  });
  Pest::refused = 0;
  cloud.start_all();
  cloud.run_until_done(Seconds{30});
  cloud.world.run_for(Seconds{30});
  EXPECT_EQ(Pest::refused, 200);
  EXPECT_LT(cloud.disk(0).reads, 1.1 * kPieces);
}

}  // namespace
}  // namespace godwit::image
