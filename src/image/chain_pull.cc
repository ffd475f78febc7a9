// The end of a connection that pulls: hello, answer, then pieces down and a few words up.
#include "image/chain_coming.h"
#include "image/chain_share.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

namespace godwit::image::chain {
namespace {

using Ended = Result<>;  // how a conversation ended: always an error

std::unexpected<Error> out_of_turn() { return fail(Errc::protocol, "chain: a frame out of turn"); }

sys::Task<Result<std::unique_ptr<sys::PeerStream>>> dial_host(std::shared_ptr<Share> at, std::string name) {
  const auto place = at->place_of(name);
  if (place == at->assignment.hosts.size()) co_return fail(Errc::not_found, "dial {}: is in the list no more", name);
  auto dialling = at->runtime.peers.dial(at->assignment.hosts[place].address);
  co_return co_await sys::within(at->runtime.clock, kAnswerLimit, "dial " + name, std::move(dialling));
}

sys::Task<Result<Answer>> ask(std::shared_ptr<Share> at, std::shared_ptr<Connection> to, Purpose purpose) {
  const auto words = pack(Hello{purpose, at->has_list, at->mine.count(), at->assignment.image});
  const auto written = co_await to->stream->write(words);
  if (!written) co_return pass(written);
  const auto head = co_await read_head(*to->stream);
  if (!head) co_return pass(head);
  if (head->type != Type::answer) co_return out_of_turn();
  const auto body = co_await read_body(*to->stream, *head);
  if (!body) co_return pass(body);
  co_return parse_answer(*body);
}

sys::Task<Ended> write_words(std::shared_ptr<Share> at, std::shared_ptr<Connection> to) {
  auto next = at->now();
  for (;;) {
    while (!to->outgoing.empty()) {
      const auto frame = std::move(to->outgoing.front());
      to->outgoing.pop_front();
      const auto written = co_await to->stream->write(frame);
      if (!written) co_return written;
    }
    if (at->now() >= next) {
      next = at->now() + kNewsEvery;
      to->say(pack(Progress{at->mine.count()}));
      continue;
    }
    co_await to->to_say.wait_until(at->runtime.clock, next);
  }
}

// ---- what comes down

Result<> take_piece(Share& at, Receiver::Attempt attempt, std::shared_ptr<Frame> frame) {
  const auto number = frame->is_packed() ? parse_packed(frame->body()) : parse_piece(frame->body());
  const auto frame_bytes = frame->bytes().size();
  if (!number) return pass(number);
  if (*number >= at.mine.size()) return out_of_turn();
  store_piece_head(frame->bytes(), *number);
  if (at.mine.contains(*number)) {
    at.frames.give_back(std::move(frame));
  } else if (auto done = at.put(*number, frame); !done) {
    return done;
  }
  if (at.receiver.got(at.now(), attempt, frame_bytes) || at.mine.full()) at.act();
  return {};
}

// Every byte is a sign of life: on a slow link a piece takes its time.
sys::Task<Result<>> read_piece(std::shared_ptr<Share> at, std::shared_ptr<Connection> to, Head head) {
  constexpr auto kPlain_bytes = kPieceFrame_bytes - kHead_bytes;
  const bool fits = head.type == Type::piece ? head.body_bytes == kPlain_bytes : head.body_bytes < kPlain_bytes;
  if (!at->has_list || !fits) co_return out_of_turn();
  auto frame = at->frames.fresh();
  frame->resize(head.body_bytes);
  for (auto rest = frame->body(); !rest.empty();) {
    const auto count = co_await to->stream->read_some(rest);
    if (!count) co_return pass(count);
    at->receiver.heard(at->now(), to->number);
    rest = rest.subspan(*count);
  }
  co_return take_piece(*at, to->number, std::move(frame));
}

// With its last frame the list is here, from whomever it came.
Result<> take_list_part(Share& at, Connection& to, ByteView body) {
  const auto part = parse_list(body);
  if (!part) return pass(part);
  if (!at.has_list) {
    auto added = at.add_to_list(*part);
    if (!added) return added;
  }
  const auto end = part->first + part->digests.size() / sizeof(PieceDigest);
  if (end < at.mine.size() || !at.has_list) return {};
  for (auto& each : at.have_frames()) to.say(std::move(each));
  if (at.mine.full()) at.act();
  return {};
}

Result<> take_words(Share& at, Connection& to, Type type, ByteView body) {
  if (type == Type::list) return take_list_part(at, to, body);
  if (type == Type::news) {
    auto news = parse_news(body);
    if (!news) return pass(news);
    at.receiver.news(to.number, std::move(*news));
    at.act();
    return {};
  }
  if (type == Type::moved) {
    const auto word = parse_moved(body);
    if (!word) return pass(word);
    at.runtime.log.debug("image {}: {} says: {}", at.assignment.image, at.receiver.upstream(),
                         static_cast<int>(word->why));
    at.receiver.moved(at.now(), to.number, *word);
    at.act();
    return {};
  }
  return out_of_turn();
}

sys::Task<Ended> read_feed(std::shared_ptr<Share> at, std::shared_ptr<Connection> to) {
  Coming coming(at, to);
  for (;;) {
    const auto head = co_await read_head(*to->stream);
    if (!head) co_return pass(head);
    at->receiver.heard(at->now(), to->number);
    Result<> taken;
    if (head->type == Type::piece || head->type == Type::packed) {
      taken = co_await read_piece(at, to, *head);
    } else if (head->type == Type::run) {
      auto whole = co_await coming.read_run(*head);
      if (!whole) co_return pass(whole);
      if (*whole) taken = take_piece(*at, to->number, std::move(*whole));
    } else {
      const auto body = co_await read_body(*to->stream, *head);
      if (!body) co_return pass(body);
      taken = head->type == Type::blocks ? coming.begin(*body) : take_words(*at, *to, head->type, *body);
    }
    if (!taken) co_return taken;
  }
}

sys::Task<Ended> converse(std::shared_ptr<Share> at, std::shared_ptr<Connection> to, Receiver::Dial dial) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto stream = co_await dial_host(at, dial.name);
  if (!stream) co_return pass(stream);
  to->stream = std::move(*stream);
  auto asking = ask(at, to, dial.purpose);
  const auto answer = co_await sys::within(at->runtime.clock, kAnswerLimit, "answer", std::move(asking));
  if (!answer) co_return pass(answer);
  at->receiver.answered(at->now(), to->number, *answer);
  at->act();
  if (answer->outcome != Outcome::served) co_return fail(Errc::unavailable, "{} serves others", dial.name);
  auto both = write_words(at, to) || read_feed(at, to);
  const auto ended = co_await std::move(both);
  if (ended.index() == 0) co_return std::get<0>(ended);
  co_return std::get<1>(ended);
}

}  // namespace

sys::Task<void> pull(std::shared_ptr<Share> at, std::shared_ptr<Connection> to, Receiver::Dial dial) {
  const auto ended = co_await converse(at, to, dial);
  const auto& error = ended.error();
  const bool lied = error.code == Errc::not_authentic || error.code == Errc::protocol;
  if (lied) {
    at->runtime.log.warn("image {}: {}: {}", at->assignment.image, dial.name, error.message);
    const auto span = at->has_list ? Nanos(kBlamed) : Nanos(kBlamedForList);
    at->receiver.blame(at->now(), dial.attempt, span);
  } else {
    at->runtime.log.debug("image {}: {}: {}", at->assignment.image, dial.name, error.message);
    at->receiver.failed(at->now(), dial.attempt);
  }
  at->pulling.erase(dial.attempt);
  at->act();
}

}  // namespace godwit::image::chain
