// The end of a connection that serves: pieces as soon as they are here.
#include "image/chain_coming.h"
#include "image/chain_share.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

namespace godwit::image::chain {
namespace {

constexpr Seconds kRefusalLimit{1};       // for it to be read
constexpr std::size_t kMostServing = 64;  // connections of one image

using Ended = Result<>;

// While it lives, the sender knows of the connection.
class Served {
 public:
  explicit Served(std::shared_ptr<Share> at, std::shared_ptr<Connection> to) : at_(std::move(at)), to_(std::move(to)) {
    at_->serving[to_->number] = to_;
  }
  ~Served() {
    at_->serving.erase(to_->number);
    at_->sender.gone(at_->now(), to_->number);
    at_->changed.notify();
  }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

 private:
  std::shared_ptr<Share> at_;
  std::shared_ptr<Connection> to_;
};

// The list's next frame; empty where that is not here yet. It is passed on as it comes, for it can be checked only when
// it is whole, by each host for itself: a chain of a thousand would wait for a thousand lists. `count`: of digests.
ByteVector next_of_list(const Share& at, std::uint64_t first, std::uint64_t count) {
  const auto end = std::min<std::uint64_t>(first + count, at.mine.size());
  if (!at.has_list) {
    const auto from = first * sizeof(PieceDigest);
    const auto bytes = (end - first) * sizeof(PieceDigest);
    if (at.list.size() < from + bytes) return {};
    return pack(List{first, ByteView(at.list).subspan(from, bytes)});
  }
  ByteVector digests;
  digests.reserve((end - first) * sizeof(PieceDigest));
  for (auto piece = first; piece < end; ++piece) append(digests, at.assignment.pieces->digest(piece));
  return pack(List{first, digests});
}

sys::Task<Ended> say_last_word(std::shared_ptr<Share> at, std::shared_ptr<Connection> to, Moved word) {
  const auto frame = pack(word);
  auto written = co_await to->stream->write(frame);
  if (!written) co_return written;
  written = co_await to->stream->shutdown_write();
  if (!written) co_return written;
  co_await at->runtime.clock.sleep_for(kLastWord);  // the other side leaves sooner
  co_return fail(Errc::timed_out, "it was moved, and does not leave");
}

sys::Task<Ended> write_pieces(std::shared_ptr<Share> at, std::shared_ptr<Connection> to) {
  to->news_at = at->now();
  std::uint64_t listed = 0;
  for (;;) {
    const auto word = at->sender.moved(to->number);
    if (word) co_return co_await say_last_word(at, to, *word);
    const auto now = at->now();
    if (now >= to->news_at) {
      to->news_at = now + kNewsEvery;
      const auto frame = pack(at->news());
      const auto written = co_await to->stream->write(frame);
      if (!written) co_return written;
      continue;
    }
    const bool lists = at->mine.size() > 0 && at->sender.wants_list(to->number);
    const auto count = list_digests(at->run_blocks);
    if (const auto frame = lists ? next_of_list(*at, listed, count) : ByteVector{}; !frame.empty()) {
      const auto written = co_await to->stream->write(frame);
      if (!written) co_return written;
      listed += count;
      if (listed >= at->mine.size()) at->sender.list_sent(to->number);
      continue;
    }
    const bool in_parts = at->goes_in_parts(to->stream->peer().name);
    const auto turn = at->sender.next(now, to->number, at->mine);
    if (turn.piece) {
      auto frame = at->frame_of(*turn.piece);
      if (!frame) at->sender.not_sent(to->number, *turn.piece);
      if (!frame) continue;
      at->sender.sent(frame->bytes().size());
      const bool is_plain = !frame->is_packed();  // blocks are of nothing else
      auto writing = in_parts && is_plain
                         ? write_in_parts(at, to, std::make_shared<PartialPiece>(at->digester(), *turn.piece, frame))
                         : to->stream->write(std::as_const(*frame).bytes());
      const auto written = co_await std::move(writing);
      if (!written) co_return written;
      at->frames.give_back(std::move(frame));
      continue;
    }
    if (auto coming = in_parts && !turn.again ? at->take_coming(to->number) : nullptr) {
      auto writing = write_in_parts(at, to, std::move(coming));
      const auto written = co_await std::move(writing);
      if (!written) co_return written;
      continue;
    }
    auto until = to->news_at;
    if (turn.again) until = std::min(until, *turn.again);
    co_await at->changed.wait_until(at->runtime.clock, until);
  }
}

Result<> take_words(Share& at, std::uint64_t link, Type type, ByteView body) {
  if (type == Type::have) {
    const auto have = parse_have(body);
    if (!have) return pass(have);
    at.sender.have(at.now(), link, *have);
  } else if (type == Type::progress) {
    const auto progress = parse_progress(body);
    if (!progress) return pass(progress);
    at.sender.progress(link, progress->pieces);
    return {};  // nothing to send by that
  } else if (type == Type::want) {
    const auto want = parse_want(body);
    if (!want) return pass(want);
    at.sender.want(link, *want);
    at.want(want->pieces);
  } else if (type == Type::pace) {
    const auto pace = parse_pace(body);
    if (!pace) return pass(pace);
    at.sender.pace(link, pace->bytes_per_s);
  } else if (type == Type::more) {
    const auto more = parse_more(body);
    if (!more) return pass(more);
    at.sender.more(link, more->pieces);
  } else if (type == Type::stay) {
    const auto stay = parse_stay(body);
    if (!stay) return pass(stay);
    at.sender.stay(at.now(), link);
  } else {
    return fail(Errc::protocol, "chain: a frame that is not for the one who was dialled");
  }
  at.changed.notify();
  return {};
}

sys::Task<Ended> read_words(std::shared_ptr<Share> at, std::shared_ptr<Connection> to) {
  for (;;) {
    const auto head = co_await read_head(*to->stream);
    if (!head) co_return pass(head);
    const auto body = co_await read_body(*to->stream, *head);
    if (!body) co_return pass(body);
    at->sender.heard(at->now(), to->number);
    const auto taken = take_words(*at, to->number, head->type, *body);
    if (!taken) co_return taken;
  }
}

// What is on its way from the other side is read, so that the refusal arrives.
sys::Task<Ended> read_to_end(std::shared_ptr<Connection> to) {
  ByteVector buffer(kHead_bytes + kBodyLimit_bytes);
  for (;;) {
    const auto read = co_await to->stream->read_some(buffer);
    if (!read) co_return pass(read);
  }
}

sys::Task<Ended> refuse(std::shared_ptr<Share> at, std::shared_ptr<Connection> to, Answer answer) {
  const auto frame = pack(answer);
  const auto written = co_await to->stream->write(frame);
  if (!written) co_return written;
  auto reading = read_to_end(to);
  co_return co_await sys::within(at->runtime.clock, kRefusalLimit, "the end", std::move(reading));
}

sys::Task<Ended> converse(std::shared_ptr<Share> at, std::shared_ptr<Connection> to, Hello hello) {
  using namespace boost::asio::experimental::awaitable_operators;
  const auto& name = to->stream->peer().name;
  const auto place = at->place_of(name);
  Answer answer{Outcome::unknown, 0, {}};
  if (at->serving.size() >= kMostServing) answer.outcome = Outcome::busy;
  const bool may_ask = place < at->assignment.hosts.size() && name != at->own;
  if (may_ask && answer.outcome != Outcome::busy) answer = at->sender.admit(at->now(), to->number, name, place, hello);
  answer.pieces = at->mine.count();
  if (answer.outcome != Outcome::served) co_return co_await refuse(at, to, answer);
  const Served served(at, to);
  const auto frame = pack(answer);
  const auto written = co_await to->stream->write(frame);
  if (!written) co_return written;
  auto both = write_pieces(at, to) || read_words(at, to);
  const auto ended = co_await std::move(both);
  if (ended.index() == 0) co_return std::get<0>(ended);
  co_return std::get<1>(ended);
}

}  // namespace

sys::Task<void> serve(std::shared_ptr<Share> at, std::shared_ptr<Connection> to, Hello hello) {
  to->number = at->next_link++;
  const auto name = to->stream->peer().name;
  const auto ended = co_await converse(at, to, std::move(hello));
  at->runtime.log.debug("image {}: served {}: {}", at->assignment.image, name, ended.error().message);
}

}  // namespace godwit::image::chain
