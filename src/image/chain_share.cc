#include "image/chain_share.h"

#include "image/chain_parts.h"

#include <algorithm>
#include <utility>

namespace godwit::image::chain {
namespace {

constexpr Seconds kTroublePause{30};

std::vector<Host> names_and_sites(const std::vector<ChainHost>& hosts) {
  std::vector<Host> all;
  all.reserve(hosts.size());
  for (const auto& each : hosts) all.push_back({each.address.name, each.site});
  return all;
}

}  // namespace

Share::Share(sys::Runtime on, std::string name, Assignment first, std::shared_ptr<PiecePress> with,
             std::shared_ptr<SendRate> rate, std::shared_ptr<std::size_t> kept_frames)
    : runtime(std::move(on)),
      own(std::move(name)),
      assignment(std::move(first)),
      mine(assignment.pieces->count()),
      press(std::move(with)),
      frames(std::move(kept_frames)),
      sender(assignment.pieces->count(), std::move(rate)),
      receiver(own, assignment.pieces->count()),
      changed(runtime.executor),
      gate(runtime.executor) {
  assign(assignment);
  if (assignment.pieces->has_list()) take_list();
}

void Share::assign(Assignment next) {
  assignment = std::move(next);
  receiver.set_hosts(names_and_sites(assignment.hosts));
  run_blocks = chain::run_blocks(assignment.hosts.size(), mine.size());
  close_served(
      [this](const Connection& each) { return place_of(each.stream->peer().name) == assignment.hosts.size(); });
}

// They take themselves off the map as they end.
void Share::close_served(const std::function<bool(const Connection&)>& which) {
  std::vector<std::shared_ptr<Connection>> all;
  for (const auto& [link, each] : serving) {
    if (which(*each)) all.push_back(each);
  }
  for (const auto& each : all) each->close();
}

// ---- what is here

void Share::take_list() {
  has_list = true;
  for (std::uint64_t piece = 0; piece < mine.size(); ++piece) {
    if (assignment.pieces->has(piece)) mine.add(piece);
  }
  changed.notify();
}

void Share::look_again() {
  if (!has_list) return;
  for (std::uint64_t piece = 0; piece < mine.size(); ++piece) {
    if (!assignment.pieces->has(piece)) {
      mine.remove(piece);
    } else if (!mine.contains(piece)) {
      mine.add(piece);
    }
  }
  changed.notify();
  act();
}

Result<> Share::add_to_list(const List& part) {
  const auto whole = mine.size() * sizeof(PieceDigest);
  const auto from = part.first * sizeof(PieceDigest);
  const auto end = from + part.digests.size();
  if (from > list.size() || end > whole) return fail(Errc::protocol, "chain: a list out of turn");
  if (end > list.size()) append(list, part.digests.subspan(list.size() - from));
  changed.notify();
  if (list.size() < whole) return {};
  const auto whole_list = std::exchange(list, {});
  auto set = assignment.pieces->set_list(whole_list);
  if (set) {
    take_list();
    return set;
  }
  if (set.error().code != Errc::not_authentic) note_trouble(set.error());
  // They have it from here.
  close_served([this](const Connection& each) { return sender.wants_list(each.number); });
  return set;
}

// A full disk. Nothing is pulled for a while, and nobody waits for this host.
void Share::note_trouble(const Error& error) {
  trouble = error.message;
  trouble_until = now() + kTroublePause;
  runtime.log.error("image {}: {}", assignment.image, trouble);
}

Result<> Share::put(std::uint64_t piece, const std::shared_ptr<Frame>& frame) {
  const auto content = frame->is_packed() ? press->expand(frame->content()) : Result<ByteView>(frame->content());
  if (!content) return pass(content);
  const auto done = assignment.pieces->put(piece, *content);
  if (!done) {
    if (done.error().code != Errc::not_authentic) note_trouble(done.error());
    return done;
  }
  trouble.clear();
  mine.add(piece);
  frames.keep(piece, frame);
  if (mine.full()) runtime.log.info("image {}: all of it is here", assignment.image);
  changed.notify();
  return {};
}

std::shared_ptr<Frame> Share::frame_of(std::uint64_t piece) {
  if (auto newest = frames.find(piece)) return newest;
  auto frame = frames.fresh();
  const auto read = assignment.pieces->read(piece, frame->content());
  if (!read) {
    runtime.log.warn("image {}: piece {}: {}", assignment.image, piece, read.error().message);
    mine.remove(piece);
    return nullptr;
  }
  if (const auto packed = press->press(frame->content()); !packed.empty()) frame->pack(packed);
  store_piece_head(frame->bytes(), piece);
  return frame;
}

bool Share::goes_in_parts(const std::string& name) const {
  if (run_blocks == 0) return false;
  const auto here = place_of(own);
  const auto there = place_of(name);
  const auto& hosts = assignment.hosts;
  return here < hosts.size() && there < hosts.size() && hosts[here].site == hosts[there].site;
}

std::shared_ptr<PartialPiece> Share::take_coming(Sender::Link link) {
  for (const auto& [number, piece] : coming) {
    if (sender.take_coming(now(), link, number)) return piece;
  }
  return nullptr;
}

// Not the fastest of many blocks at once, for runs are short: libipsec-mb takes as long for one as for sixteen.
crypto::BlockDigests& Share::digester() {
  if (!own_digester) own_digester.emplace(crypto::BlockDigests::openssl());
  return *own_digester;
}

News Share::news() const {
  return {mine.count(), receiver.bytes_per_s(now()), receiver.tried_in_vain(), receiver.ancestors()};
}

std::vector<ByteVector> Share::have_frames() const {
  std::vector<ByteVector> all;
  if (!has_list) {
    all.push_back(pack(Have{true, 0, {}}));
    return all;
  }
  std::uint64_t first = 0;
  do {
    const auto left = (mine.size() - first + 7) / 8;
    const auto bytes = std::min<std::uint64_t>(left, kHaveLimit_bytes);
    const auto bits = mine.bits(first, bytes);
    all.push_back(pack(Have{bytes == left, first, bits}));
    first += 8 * bytes;
  } while (first < mine.size());
  return all;
}

// ---- the two cores

void Share::adopt(Connection& connection) {
  ++open;
  connection.on_end = [self = shared_from_this()] {
    --self->open;
    self->changed.notify();
  };
}

void Share::act() {
  if (closed) return;
  const auto here = has_list || mine.size() == 0 ? mine.count() : 0;
  const auto actions = now() < trouble_until ? Receiver::Actions{} : receiver.poll(now(), here);
  sender.set_leaf(now(), receiver.serves_nobody() || now() < trouble_until);
  for (const auto attempt : actions.close) {
    const auto found = pulling.find(attempt);
    if (found == pulling.end()) continue;
    const auto connection = found->second;
    pulling.erase(found);
    connection->close();
  }
  for (const auto& dial : actions.dial) {
    runtime.log.debug("image {}: asks {}, {}", assignment.image, dial.name, to_string(dial.purpose));
    auto connection = std::make_shared<Connection>(runtime.executor);
    adopt(*connection);
    connection->number = dial.attempt;
    pulling[dial.attempt] = connection;
    connection->gate.spawn(pull(shared_from_this(), connection, dial));
  }
  for (const auto attempt : actions.tell_have) {
    for (auto& each : have_frames()) say(attempt, std::move(each));
  }
  for (const auto& ask : actions.more) say(ask.attempt, pack(More{ask.pieces}));
  for (const auto attempt : actions.stay) {
    runtime.log.debug("image {}: stays with {}", assignment.image, receiver.upstream());
    say(attempt, pack(Stay{}));
  }
  const auto upstream = receiver.upstream_attempt().value_or(0);
  if (std::exchange(greeted, upstream) != upstream) greet(upstream);
}

void Share::greet(Receiver::Attempt upstream) {
  if (fill_bytes_per_s > 0) say(upstream, pack(Pace{fill_bytes_per_s}));
  Want want;
  for (const auto each : wanted) {
    if (!mine.contains(each)) want.pieces.push_back(each);
  }
  if (!want.pieces.empty()) say(upstream, pack(want));
}

void Share::say(Receiver::Attempt attempt, ByteVector frame) {
  if (const auto found = pulling.find(attempt); found != pulling.end()) found->second->say(std::move(frame));
}

// What is here already is left out. An upstream that goes takes no wish with it.
void Share::want(const std::vector<std::uint32_t>& pieces) {
  Want want;
  std::erase_if(wanted, [this](std::uint32_t each) { return mine.contains(each); });
  for (const auto each : pieces) {
    if (each >= mine.size() || mine.contains(each)) continue;
    want.pieces.push_back(each);
    if (std::ranges::find(wanted, each) == wanted.end()) wanted.push_back(each);
    if (want.pieces.size() == kMostWanted) break;
  }
  while (wanted.size() > kMostWanted) wanted.pop_front();
  const auto upstream = receiver.upstream_attempt();
  const auto found = upstream ? pulling.find(*upstream) : pulling.end();
  if (found == pulling.end() || want.pieces.empty() || found->second->outgoing.size() >= kMostOutgoing) return;
  found->second->say(pack(want));
}

void Share::pace(std::uint64_t bytes_per_s) {
  if (std::exchange(fill_bytes_per_s, bytes_per_s) == bytes_per_s) return;
  receiver.set_paced(bytes_per_s > 0);
  if (greeted != 0) say(greeted, pack(Pace{bytes_per_s}));
}

void Share::close() {
  closed = true;
  const auto all = std::exchange(pulling, {});
  for (const auto& [attempt, each] : all) each->close();
  close_served([](const Connection&) { return true; });
  frames.forget();
  gate.cancel();
}

sys::Task<void> Share::wait_ended() {
  co_await gate.close();
  while (open > 0) co_await changed.wait();
}

ImageProgress Share::progress() const {
  ImageProgress now_here{assignment.image,    mine.count(), mine.size(), receiver.bytes_per_s(now()),
                         receiver.upstream(), {},           trouble};
  for (const auto& each : sender.successors()) now_here.behind.push_back(each.name);
  return now_here;
}

sys::Task<void> tick(std::shared_ptr<Share> at) {
  for (;;) {
    at->act();
    if (at->mine.full() && at->serving.empty()) at->frames.forget();
    for (const auto link : at->sender.overdue(at->now())) {
      if (const auto found = at->serving.find(link); found != at->serving.end()) found->second->close();
    }
    const auto soon = at->now() + kNewsEvery;
    const auto next = at->receiver.next_deadline();
    const auto until = next > at->now() ? std::min(next, soon) : soon;
    co_await at->runtime.clock.sleep_until(until);
  }
}

// ---- frames

sys::Task<Result<Head>> read_head(sys::Stream& stream) {
  std::array<std::byte, kHead_bytes> head;
  const auto read = co_await sys::read_exactly(stream, head);
  if (!read) co_return pass(read);
  co_return parse_head(head);
}

sys::Task<Result<ByteVector>> read_body(sys::Stream& stream, Head head) {
  ByteVector body(head.body_bytes);
  const auto read = co_await sys::read_exactly(stream, body);
  if (!read) co_return pass(read);
  co_return body;
}

}  // namespace godwit::image::chain
