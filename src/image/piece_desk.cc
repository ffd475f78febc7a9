#include "image/piece_desk.h"

#include "base/assert.h"
#include "image/disk_pieces.h"
#include "sys/accepting.h"

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <set>

namespace godwit::image {
namespace {

constexpr unsigned kSocketMode = 0600;
constexpr Seconds kHelloLimit{5};
constexpr std::size_t kMostServers = 4;         // that greet, or are about to end
constexpr std::size_t kMostUntold = 1U << 16U;  // pieces; beyond, all is told again

}  // namespace

struct PieceDesk::State {
  State(sys::Runtime on, PieceDeskOptions with, std::shared_ptr<WatchedPieces> of, Want wanting)
      : runtime(std::move(on)),
        options(std::move(with)),
        count(static_cast<std::uint32_t>((options.bytes + kPiece_bytes - 1) / kPiece_bytes)),
        pieces(std::move(of)),
        want(std::move(wanting)),
        to_tell(runtime.executor),
        asked(runtime.executor),
        gate(runtime.executor) {}

  [[nodiscard]] bool has(std::uint32_t piece) const { return pieces->has(options.first_piece + piece); }
  void tell(std::uint32_t piece);
  void came(std::uint64_t piece);
  [[nodiscard]] ByteVector map(std::uint32_t first) const;

  sys::Runtime runtime;
  PieceDeskOptions options;
  std::uint32_t count;
  std::shared_ptr<WatchedPieces> pieces;  // shared with whoever puts them
  Want want;
  std::optional<WatchedPieces::Listening> listening;
  std::unique_ptr<sys::Listener> listener;
  std::shared_ptr<sys::Stream> server;  // the newest; its reader and writer may end after it
  bool tell_all{true};
  std::vector<std::uint32_t> untold;
  std::vector<std::uint32_t> touched;
  std::set<std::uint32_t> wanted;  // now, of the file
  sys::Signal to_tell;
  sys::Signal asked;  // wanted
  sys::Gate gate;
};

void PieceDesk::State::tell(std::uint32_t piece) {
  if (tell_all) return;  // that will be among it
  untold.push_back(piece);
  if (untold.size() > kMostUntold) {
    tell_all = true;
    untold.clear();
  }
  to_tell.notify();
}

void PieceDesk::State::came(std::uint64_t piece) {
  if (server && piece >= options.first_piece && piece - options.first_piece < count) {
    tell(static_cast<std::uint32_t>(piece - options.first_piece));
  }
}

// Of the pieces from `first` on, one frame.
ByteVector PieceDesk::State::map(std::uint32_t first) const {
  const auto end = static_cast<std::uint32_t>(std::min<std::uint64_t>(count, first + desk::kMapLimit_bytes * 8));
  ByteVector bits((end - first + 7) / 8);
  for (auto piece = first; piece < end; ++piece) {
    if (has(piece)) bits[(piece - first) / 8] |= static_cast<std::byte>(1U << (piece - first) % 8);
  }
  return desk::pack(desk::Map{first, bits});
}

namespace {

template <class State>
sys::Task<Result<>> tell_server(std::shared_ptr<State> at, std::shared_ptr<sys::Stream> server) {
  while (at->server == server) {
    if (at->tell_all) {
      at->tell_all = false;
      for (std::uint32_t first = 0; first < at->count; first += desk::kMapLimit_bytes * 8) {
        const auto frame = at->map(first);
        const auto written = co_await server->write(frame);
        if (!written) co_return written;
      }
    }
    while (at->server == server && !at->untold.empty()) {
      const auto frame = desk::pack(desk::Here{desk::take_ranges(at->untold)});
      const auto written = co_await server->write(frame);
      if (!written) co_return written;
    }
    if (!at->tell_all) co_await at->to_tell.wait();
  }
  co_return fail(Errc::closed, "a newer server has taken its place");
}

template <class State>
Result<> take_want(State& at, const desk::Want& message) {
  std::vector<std::uint32_t> missing;
  std::uint64_t named = 0;
  for (const auto& range : message.ranges) {
    named += range.count;
    if (range.first > at.count || range.count > at.count - range.first || named > at.count) {
      return fail(Errc::protocol, "disk server: it wants pieces that the disk hasn't");
    }
    for (auto piece = range.first; piece < range.first + range.count; ++piece) {
      if (at.has(piece)) {
        at.tell(piece);
      } else {
        if (message.urgency == desk::Urgency::now && at.wanted.size() < kMostWanted) at.wanted.insert(piece);
        missing.push_back(static_cast<std::uint32_t>(at.options.first_piece + piece));
      }
    }
  }
  if (!missing.empty()) at.want(std::move(missing), message.urgency);
  at.asked.notify();
  return {};
}

// Whoever brings them may have forgotten.
template <class State>
sys::Task<void> want_again(std::shared_ptr<State> at) {
  for (;;) {
    while (at->wanted.empty()) co_await at->asked.wait();
    co_await at->runtime.clock.sleep_for(kWantAgain);
    std::erase_if(at->wanted, [&](auto piece) { return at->has(piece); });
    std::vector<std::uint32_t> missing;
    for (const auto piece : at->wanted) missing.push_back(static_cast<std::uint32_t>(at->options.first_piece + piece));
    if (!missing.empty()) at->want(std::move(missing), desk::Urgency::now);
  }
}

template <class State>
Result<> take_touched(State& at, const desk::Touched& message) {
  if (message.at == 0) at.touched.clear();
  if (message.at != at.touched.size() || message.pieces.size() > kBootOrderLimit - at.touched.size() ||
      std::ranges::any_of(message.pieces, [&](auto piece) { return piece >= at.count; })) {
    return fail(Errc::protocol, "disk server: it touched what it can't have");
  }
  at.touched.insert(at.touched.end(), message.pieces.begin(), message.pieces.end());
  return {};
}

template <class State>
sys::Task<Result<>> hear_server(std::shared_ptr<State> at, std::shared_ptr<sys::Stream> server) {
  for (;;) {
    const auto frame = co_await desk::read_frame(*server, desk::kFrameLimit_bytes);
    if (!frame) co_return pass(frame);
    Result<> taken = fail(Errc::protocol, "disk server: a frame that is not for the agent");
    if (desk::type_of(*frame) == desk::Type::want) {
      const auto want = desk::parse_want(*frame);
      taken = want ? take_want(*at, *want) : pass(want);
    } else if (desk::type_of(*frame) == desk::Type::touched) {
      const auto touched = desk::parse_touched(*frame);
      taken = touched ? take_touched(*at, *touched) : pass(touched);
    }
    if (!taken) co_return taken;
  }
}

template <class State>
sys::Task<Result<>> greet(std::shared_ptr<State> at, std::shared_ptr<sys::Stream> server) {
  const auto frame = co_await desk::read_frame(*server, desk::kGreetingLimit_bytes);
  if (!frame) co_return pass(frame);
  const auto hello = desk::parse_hello(*frame);
  if (!hello) co_return pass(hello);
  const auto welcome = desk::pack(desk::Welcome{at->options.bytes});
  co_return co_await server->write(welcome);
}

template <class State>
sys::Task<Result<>> converse(std::shared_ptr<State> at, std::shared_ptr<sys::Stream> server) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto greeting = greet(at, server);
  const auto greeted = co_await sys::within(at->runtime.clock, kHelloLimit, "hello", std::move(greeting));
  if (!greeted) co_return greeted;
  if (at->server) at->server->close();  // a newer one takes its place
  at->server = server;
  at->tell_all = true;
  at->untold.clear();
  at->wanted.clear();
  auto both = tell_server(at, server) || hear_server(at, server);
  const auto ended = co_await std::move(both);
  co_return ended.index() == 0 ? std::get<0>(ended) : std::get<1>(ended);
}

template <class State>
sys::Task<void> serve(std::shared_ptr<State> at, std::shared_ptr<sys::Stream> server) {
  const auto ended = co_await converse(at, server);
  at->runtime.log.debug("disk server: {}", ended.error().message);
  server->close();
  if (at->server == server) at->server.reset();
}

}  // namespace

PieceDesk::PieceDesk(sys::Runtime runtime, PieceDeskOptions options, std::shared_ptr<WatchedPieces> pieces, Want want)
    : state_(std::make_shared<State>(std::move(runtime), std::move(options), std::move(pieces), std::move(want))) {
  const auto& at = *state_;
  GODWIT_ASSERT(at.options.first_piece + at.count <= at.pieces->count());
}

PieceDesk::~PieceDesk() {
  state_->gate.cancel();
  if (state_->listening) state_->pieces->forget(*state_->listening);
}

Result<> PieceDesk::start() {
  auto listener = state_->runtime.local.listen(state_->options.socket, kSocketMode, state_->options.uid);
  if (!listener) return pass(listener);
  state_->listener = std::move(*listener);
  state_->listening = state_->pieces->listen([at = state_.get()](std::uint64_t piece) { at->came(piece); });
  auto take = [at = state_](std::unique_ptr<sys::Stream> stream) {
    if (at->gate.running() > kMostServers + 1) return;
    std::shared_ptr<sys::Stream> server(std::move(stream));
    at->gate.spawn(serve(at, std::move(server)));
  };
  state_->gate.spawn(sys::accept_each(*state_->listener, state_->runtime.clock, state_->runtime.log, std::move(take)));
  state_->gate.spawn(want_again(state_));
  return {};
}

sys::Task<void> PieceDesk::stop() {
  const auto at = state_;
  at->want = [](const auto&, auto) {};
  if (at->listener) at->listener->close();
  if (at->server) at->server->close();
  co_await at->gate.close();
}

bool PieceDesk::whole() const {
  for (std::uint32_t piece = 0; piece < state_->count; ++piece) {
    if (!state_->has(piece)) return false;
  }
  return true;
}

const std::vector<std::uint32_t>& PieceDesk::touched() const { return state_->touched; }

}  // namespace godwit::image
