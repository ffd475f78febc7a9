#include "migrate/shrink_destination.h"

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>

namespace godwit::migrate {
namespace {

constexpr std::size_t kReadBytes = 64UL * 1024;
constexpr std::size_t kToSayLimit_bytes = 256UL * 1024;
// Beyond, the source doesn't listen. Of QEMU's bytes and of answers no more than this waits; an acknowledgement is 13
// bytes, of a batch that counts in the source's window for its record, more than 104.
constexpr std::size_t kUnheard_bytes = 2 * kMiB;
constexpr std::size_t kBatchesAcknowledged = 8;

// An empty one takes memory, too.
std::size_t held_size(const ReceivedFrame& frame) { return sizeof frame + frame.payload.size(); }

std::unexpected<Error> out_of_turn() {
  return fail(Errc::protocol, "the source's frames come in an order that makes no sense");
}

std::unexpected<Error> unheard() { return fail(Errc::protocol, "the source doesn't listen"); }

}  // namespace

ShrinkDestination::ShrinkDestination(const sys::Executor& executor, Arrivals& arrivals, Channel channel,
                                     DestinationRoom room)
    : arrivals_(arrivals), room_(std::move(room)), answers_(arrivals), changed_(executor) {
  if (channel == Channel::disk && !arrivals.flushes_cross) greeting_.emplace();
}

// ---- batches become QEMU's bytes

sys::Task<Result<>> ShrinkDestination::forth(sys::Stream& wan, sys::Stream& local) {
  Result<> done;
  while (done && !wan_ended_) done = co_await take_next(wan, local);
  if (!done) end();
  changed_.notify();
  if (!done) co_return done;
  co_return co_await local.shutdown_write();
}

sys::Task<Result<>> ShrinkDestination::take_next(sys::Stream& wan, sys::Stream& local) {
  const auto header = co_await read_header(wan);
  if (!header) co_return pass(header);
  if (header->type == ShrinkFrame::raw && decoder_ && !lacks_)
    co_return co_await pass_on(header->size_bytes, wan, local);
  ReceivedFrame frame;
  frame.type = header->type;
  frame.payload.resize(header->size_bytes);
  const auto payload = co_await read_payload(wan, frame.payload);
  if (!payload) co_return payload;
  co_return co_await take(std::move(frame), local);
}

// In pieces that stay in the processor's cache: the link is faster than memory that is touched twice.
sys::Task<Result<>> ShrinkDestination::pass_on(std::size_t bytes, sys::Stream& wan, sys::Stream& local) {
  passing_.resize(kReadBytes);
  while (bytes > 0) {
    const auto part = std::span(passing_).first(std::min(bytes, passing_.size()));
    const auto size = co_await wan.read_some(part);
    if (!size) co_return ended_within_frame(size.error());
    const auto written = co_await local.write(part.first(*size));
    if (!written) co_return written;
    bytes -= *size;
  }
  co_return Result<>{};
}

sys::Task<Result<>> ShrinkDestination::take(ReceivedFrame frame, sys::Stream& local) {
  if (frame.type == ShrinkFrame::hello) co_return greet(frame);
  const bool again = frame.type == ShrinkFrame::again;
  if (!decoder_ || (again && !lacks_)) co_return out_of_turn();
  const bool asks = frame.type == ShrinkFrame::ask || frame.type == ShrinkFrame::seek;
  if (asks) co_return queue_question(std::move(frame));
  if (lacks_ && !again) {
    held_bytes_ += held_size(frame);
    const bool may_wait = frame.type == ShrinkFrame::batch || frame.type == ShrinkFrame::raw;
    if (!may_wait || held_bytes_ > room_.window() + kShrinkFrameLimit_bytes) {
      co_return out_of_turn();
    }
    held_.push_back(std::move(frame));
    co_return Result<>{};
  }
  if (frame.type == ShrinkFrame::end) {
    wan_ended_ = true;
    answers_.taken();
    co_return Result<>{};
  }
  auto done = co_await give(std::move(frame), local);
  while (done && !lacks_ && !held_.empty()) {
    auto next = std::move(held_.front());
    held_.pop_front();
    held_bytes_ -= held_size(next);
    done = co_await give(std::move(next), local);
  }
  co_return done;
}

Result<> ShrinkDestination::queue_question(ReceivedFrame frame) {
  asked_bytes_ += frame.payload.size();
  if (asked_.size() == kOpenQuestions || asked_bytes_ > kAskedLimit_bytes) return out_of_turn();
  asked_.push_back(std::move(frame));
  changed_.notify();
  return {};
}

sys::Task<Result<>> ShrinkDestination::give(ReceivedFrame frame, sys::Stream& local) {
  if (frame.type == ShrinkFrame::raw) co_return co_await local.write(frame.payload);
  const bool again = frame.type == ShrinkFrame::again;
  if (frame.type != ShrinkFrame::batch && !again) co_return out_of_turn();
  co_return co_await rebuild(std::move(frame.payload), again, local);
}

sys::Task<Result<>> ShrinkDestination::rebuild(ByteVector payload, bool again, sys::Stream& local) {
  if (to_say_.size() > kUnheard_bytes + room_.window() / kBatchesAcknowledged) co_return unheard();
  const auto number = decoder_->next();
  const auto bytes = decoder_->decode(payload);
  lacks_ = false;
  if (const auto unkept = decoder_->unkept_from(); unkept && !std::exchange(unkept_said_, true)) {
    say(ShrinkFrame::unkept, pack_number(*unkept));
  }
  if (bytes) {
    say(ShrinkFrame::acknowledged, pack_number(number));
    co_return co_await local.write(*bytes);
  }
  const auto code = bytes.error().code;
  const bool repairable = code == Errc::not_found || code == Errc::not_authentic;
  if (!repairable || again) co_return pass(bytes);
  lacks_ = true;
  say(ShrinkFrame::lacking, pack_number(number));
  co_return Result<>{};
}

Result<> ShrinkDestination::greet(const ReceivedFrame& frame) {
  const auto hello = parse_shrink_hello(frame.payload);
  if (!hello) return pass(hello);
  if (decoder_) return out_of_turn();
  auto& rapport = *arrivals_.rapport;
  ShrinkWelcome welcome;
  welcome.known = rapport.id == hello->rapport;
  if (!welcome.known) rapport.begin_anew(hello->rapport);
  welcome.rapport = rapport.id;
  welcome.sent_from = rapport.theirs.first_connection_from(arrivals_.leased_from);
  welcome.theirs_from = rapport.mine.first_connection_from(arrivals_.leased_from);
  welcome.version = hello->version;
  welcome.key = answers_.begin(hello->key);
  welcome.connection = answers_.connection();
  welcome.window_bytes = static_cast<std::uint32_t>(room_.window());
  decoder_.emplace(arrivals_, hello->connection);
  say(ShrinkFrame::hello, pack(welcome));
  return {};
}

// ---- the way back

sys::Task<Result<>> ShrinkDestination::back(sys::Stream& local, sys::Stream& wan) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto all = read_local(local) && write_wan(wan, local) && answer();
  const auto [read, written, answered] = co_await std::move(all);
  if (!answered) co_return answered;
  co_return written ? read : written;
}

// Beside the batches, which don't wait for other hosts.
sys::Task<Result<>> ShrinkDestination::answer() {
  while (!over_ && !wan_ended_) {
    if (asked_.empty()) {
      co_await changed_.wait();
      continue;
    }
    auto asked = std::move(asked_.front().payload);
    const bool alike = asked_.front().type == ShrinkFrame::seek;
    const auto size = asked.size();
    auto answering = alike ? answers_.answer_alike(std::move(asked)) : answers_.answer(std::move(asked));
    const auto answered = co_await std::move(answering);
    if (!answered) {
      end();
      co_return pass(answered);
    }
    asked_.pop_front();
    asked_bytes_ -= size;
    say(alike ? ShrinkFrame::alike : ShrinkFrame::held, *answered);
  }
  co_return Result<>{};
}

sys::Task<Result<>> ShrinkDestination::read_local(sys::Stream& local) {
  ByteVector buffer(kReadBytes);
  while (!over_) {
    if (to_say_.size() >= kToSayLimit_bytes) {
      co_await changed_.wait();
      continue;
    }
    const auto size = co_await local.read_some(buffer);
    if (!size) {
      local_ended_ = size.error().code == Errc::closed;
      if (local_ended_) say(ShrinkFrame::end, {});
      if (!local_ended_) end();
      if (local_ended_) co_return Result<>{};
      co_return pass(size);
    }
    const auto part = std::span(buffer).first(*size);
    if (greeting_) greeting_->pass(part);
    say(ShrinkFrame::pass, part);
  }
  co_return Result<>{};
}

sys::Task<Result<>> ShrinkDestination::write_wan(sys::Stream& wan, sys::Stream& local) {
  while (!over_) {
    if (to_say_.empty() && local_ended_ && wan_ended_) co_return co_await wan.shutdown_write();
    if (to_say_.empty()) {
      co_await changed_.wait();
      continue;
    }
    const ByteVector saying = std::exchange(to_say_, {});
    const auto written = co_await wan.write(saying);
    changed_.notify();
    if (written) continue;
    end();
    local.close();  // a QEMU that says nothing would be waited for
    co_return written;
  }
  co_return Result<>{};
}

void ShrinkDestination::say(ShrinkFrame type, ByteView payload) {
  const auto frame = make_frame(type, payload);
  append(to_say_, frame);
  changed_.notify();
}

void ShrinkDestination::end() {
  over_ = true;
  changed_.notify();
}

}  // namespace godwit::migrate
