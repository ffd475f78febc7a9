#include "migrate/shrink_source.h"

#include "wire/memory_reader.h"
#include "wire/nbd_stream.h"

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>

namespace godwit::migrate {
namespace {

// What waits to be encoded: the more of it the better it compresses, but the longer QEMU's last bytes wait behind it.
constexpr std::size_t kWaitingOnWire_bytes = 64UL * 1024;
constexpr std::size_t kWaitingLeast_bytes = 128UL * 1024;
// What is read and goes on at once, frame and all: whole records of TLS, and not more than stays in the processor's
// cache.
constexpr std::size_t kPassedBy_bytes = 64UL * 1024 - kFrameHeader_bytes;
constexpr std::size_t kStarves_bytes = 32UL * 1024;  // fewer at once: QEMU is slower than we are
constexpr double kAhead_s = 0.1;                     // of the stream: a round trip, and what the answer takes
constexpr double kForget = 0.7;

std::unique_ptr<wire::StretchReader> reader_of(Channel channel) {
  if (channel == Channel::disk) return std::make_unique<wire::NbdStream>();
  return wire::read_memory();
}

}  // namespace

ShrinkSource::ShrinkSource(const sys::Executor& executor, sys::Clock& clock, Departure& departure,
                           std::uint32_t connection, Channel channel, SourceRoom room, std::uint64_t& wan_bytes)
    : clock_(clock),
      departure_(departure),
      connection_(connection),
      channel_(channel),
      room_(std::move(room)),
      wan_bytes_(wan_bytes),
      encoder_(departure, connection),
      inquiry_(departure, encoder_, channel),
      reader_(reader_of(channel)),
      changed_(executor),
      pace_(departure.effort),
      noted_(clock.now()) {}

sys::Task<Result<>> ShrinkSource::forth(sys::Stream& local, sys::Stream& wan) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto all = read_local(local, wan) && write_wan(wan, local) && bring_alike();
  const auto [read, written, brought] = co_await std::move(all);
  co_return written ? read : written;
}

// ---- QEMU's bytes, as they come

sys::Task<Result<>> ShrinkSource::read_local(sys::Stream& local, sys::Stream& wan) {
  ByteVector buffer(kFrameHeader_bytes + room_.read_at_once());  // a frame's header, where it goes on at once
  while (!over_) {
    if (!may_read()) {
      co_await changed_.wait();
      continue;
    }
    const auto most = pace_.passes() ? std::min(kPassedBy_bytes, room_.read_at_once()) : room_.read_at_once();
    const auto size = co_await read_some(local, std::span(buffer).subspan(kFrameHeader_bytes, most));
    if (!size) {
      local_ended_ = size.error().code == Errc::closed;
      if (!local_ended_) end();
      changed_.notify();
      if (local_ended_) co_return Result<>{};
      co_return pass(size);
    }
    if (may_pass_by()) {
      const auto sent = co_await pass_by(wan, std::span(buffer).first(kFrameHeader_bytes + *size));
      if (sent) continue;
      end();
      co_return sent;
    }
    take_in(buffer, *size);
    changed_.notify();
  }
  co_return Result<>{};
}

sys::Task<Result<std::size_t>> ShrinkSource::read_some(sys::Stream& local, ByteSpan into) {
  const bool idle = waiting_bytes() == 0 && !writing_;
  const auto began = clock_.now();
  const auto size = co_await local.read_some(into);
  if (idle && size && *size < kStarves_bytes) starved_ += clock_.now() - began;
  co_return size;
}

void ShrinkSource::take_in(ByteVector& buffer, std::size_t size) {
  std::vector<wire::Stretch> stretches;
  // A page that was cut by the last read goes on in this one.
  if (!stretches_.empty()) {
    stretches.push_back(stretches_.back());
    stretches_.pop_back();
  }
  reader_->feed(ByteView(buffer).subspan(kFrameHeader_bytes, size), stretches);
  stretches_.insert(stretches_.end(), stretches.begin(), stretches.end());
  keep(buffer, size);
  ask();
}

bool ShrinkSource::may_read() const {
  const auto on_wire = static_cast<std::size_t>(kWaitingOnWire_bytes / std::max(shrunk_to_, 0.01));
  const auto limit = std::clamp(on_wire, kWaitingLeast_bytes, room_.waiting_most());
  // What waits for answers, too, is taken by QEMU for sent.
  const auto in_time = std::max(kWaitingLeast_bytes, static_cast<std::size_t>(speed_.bytes_per_s() * kAhead_s));
  return stretches_.size() < room_.stretches_most() &&
         waiting_bytes() < limit + std::min(inquiry_.ahead_bytes(), in_time) && inquiry_.open() < kOpenQuestions;
}

// Nothing waits, or is on its way, that it would overtake.
bool ShrinkSource::may_pass_by() const {
  return pace_.passes() && !writing_ && waiting_bytes() == 0 && encoder_.kept_bytes() == 0 && to_ask_.empty() &&
         lacking_.empty();
}

Backlog ShrinkSource::backlog() const {
  return {ByteView(waiting_).subspan(taken_), &stretches_, taken_bytes_, taken_stretches_};
}

void ShrinkSource::ask() {
  auto digests = inquiry_.look(backlog());
  if (!digests.empty()) to_ask_.push_back({ShrinkFrame::ask, std::move(digests)});
}

// ---- batches, as the link takes them

sys::Task<Result<>> ShrinkSource::write_wan(sys::Stream& wan, sys::Stream& local) {
  hello_.rapport = departure_.rapport->id;
  hello_.connection = connection_;
  hello_.version = departure_.frames_version;
  hello_.key = inquiry_.seeking().key();
  auto hello = pack(hello_);
  auto sent = co_await send(wan, ShrinkFrame::hello, std::move(hello));
  while (sent && !over_) {
    const bool all_said = local_ended_ && waiting_bytes() == 0;
    if (passing_) {
      co_await wait();
    } else if (!to_ask_.empty()) {
      auto question = std::move(to_ask_.front());
      to_ask_.pop_front();
      sent = co_await send(wan, question.type, std::move(question.payload));
    } else if (!lacking_.empty()) {
      auto again = encoder_.again(lacking_.front());
      lacking_.pop_front();
      if (!again) sent = pass(again);
      if (again) sent = co_await send(wan, ShrinkFrame::again, std::move(*again));
    } else if (all_said && encoder_.kept_bytes() == 0) {
      break;
    } else if (inquiry_.ready(backlog()).bytes == 0 || !may_write()) {
      co_await wait();
    } else if (pace_.passes()) {
      sent = co_await pass_next(wan);
    } else {
      sent = co_await write_next(wan);
    }
  }
  if (sent && !over_) {
    end_said_ = true;
    changed_.notify();
    sent = co_await send(wan, ShrinkFrame::end, {});
  }
  if (!sent) {
    end();
    local.close();  // a QEMU that says nothing would be waited for
    co_return sent;
  }
  co_return co_await wan.shutdown_write();
}

sys::Task<void> ShrinkSource::wait() {
  writing_ = false;
  co_await changed_.wait();
  writing_ = true;
}

bool ShrinkSource::may_write() {
  const auto kept = encoder_.kept_bytes();
  // The destination can't hold without end what comes behind a batch that it lacks.
  if (pace_.passes()) return kept == 0;
  return kept < window() && room_.may_keep_more(kept);
}

// A disk's mirror is not slowed down: what it lacks at the end, its guest waits for.
std::size_t ShrinkSource::window() const {
  if (channel_ == Channel::disk) return window_bytes_;
  return departure_.memory->favour.window(departure_.member, window_bytes_, clock_.now());
}

sys::Task<Result<>> ShrinkSource::write_next(sys::Stream& wan) {
  const auto began = clock_.now();
  const auto ready = inquiry_.ready(backlog());
  const std::size_t count = std::min(ready.stretches, kBatchStretches + 1);
  const std::vector<wire::Stretch> stretches(stretches_.begin(),
                                             stretches_.begin() + static_cast<std::ptrdiff_t>(count));
  auto encoded = encoder_.encode(ByteView(waiting_).subspan(taken_, ready.bytes), stretches, pace_.effort());
  if (!encoded) co_return pass(encoded);
  take(encoded->taken_bytes, encoded->taken_stretches);
  const auto ratio = static_cast<double>(encoded->frame.size()) / static_cast<double>(encoded->taken_bytes);
  shrunk_to_ = shrunk_to_ * kForget + ratio * (1 - kForget);
  changed_.notify();
  const auto pressed = clock_.now();
  const auto left_bytes = encoded->frame.size();
  if (!unanswered_) unanswered_ = {encoder_.batches() - 1, pressed};
  const auto sent = co_await send(wan, ShrinkFrame::batch, std::move(encoded->frame));
  note(pressed - began, clock_.now() - pressed, encoded->taken_bytes, left_bytes);
  co_return sent;
}

// The link is faster than the encoder: what waits goes as it is, and is not kept.
sys::Task<Result<>> ShrinkSource::pass_next(sys::Stream& wan) {
  const auto ready = inquiry_.ready(backlog());
  std::size_t bytes = 0;
  std::size_t stretches = 0;
  while (stretches < ready.stretches && bytes + stretches_[stretches].size_bytes <= kBatchBytes) {
    bytes += stretches_[stretches++].size_bytes;
  }
  if (stretches == 0) co_return co_await write_next(wan);
  // Out of the way of what is read meanwhile.
  ByteVector passing;
  std::size_t at = 0;
  if (bytes == waiting_bytes()) {
    passing = std::exchange(waiting_, {});
    at = std::exchange(taken_, 0);
    taken_bytes_ += bytes;
    taken_stretches_ += stretches;
    stretches_.clear();
  } else {
    const auto first = ByteView(waiting_).subspan(taken_, bytes);
    passing.assign(first.begin(), first.end());
    take(bytes, stretches);
  }
  shrunk_to_ = 1;
  changed_.notify();
  const auto began = clock_.now();
  const auto header = make_header(ShrinkFrame::raw, bytes);
  auto sent = co_await wan.write(header);
  if (sent) sent = co_await wan.write(ByteView(passing).subspan(at, bytes));
  passed(bytes);
  note(Nanos{}, clock_.now() - began, bytes, bytes);
  co_return sent;
}

// Read right behind the place for a frame's header; nothing waits before it. It is read for the way back to batches.
sys::Task<Result<>> ShrinkSource::pass_by(sys::Stream& wan, ByteSpan framed) {
  const auto bytes = framed.size() - kFrameHeader_bytes;
  stretches_passed_.clear();
  reader_->feed(framed.subspan(kFrameHeader_bytes), stretches_passed_);
  taken_bytes_ += bytes;
  taken_stretches_ += stretches_passed_.size();
  std::ranges::copy(make_header(ShrinkFrame::raw, bytes), framed.begin());
  passing_ = true;
  const auto began = clock_.now();
  const auto sent = co_await wan.write(framed);
  passing_ = false;
  passed(bytes);
  note(Nanos{}, clock_.now() - began, bytes, bytes);
  co_return sent;
}

void ShrinkSource::passed(std::size_t bytes) {
  wan_bytes_ += kFrameHeader_bytes + bytes;
  departure_.savings.literal += bytes;
}

void ShrinkSource::note(Nanos encoding, Nanos writing, std::size_t bytes, std::size_t left_bytes) {
  const auto now = clock_.now();
  const auto rest = now - std::exchange(noted_, now) - std::exchange(starved_, Nanos{}) - encoding - writing;
  pace_.note(encoding, writing, bytes, left_bytes, std::max(rest, Nanos{}));
}

// Of what waits, so much has become a frame. No stretch: a part of the first one.
void ShrinkSource::take(std::size_t bytes, std::size_t stretches) {
  taken_ += bytes;
  taken_bytes_ += bytes;
  taken_stretches_ += stretches;
  speed_.add(bytes, clock_.now());
  stretches_.erase(stretches_.begin(), stretches_.begin() + static_cast<std::ptrdiff_t>(stretches));
  if (stretches == 0) stretches_.front().size_bytes -= static_cast<std::uint32_t>(bytes);
  drop_taken();
}

// `size` bytes of `buffer`, behind the place for a header; it may be exchanged for another.
void ShrinkSource::keep(ByteVector& buffer, std::size_t size) {
  if (waiting_bytes() > 0) {
    append(waiting_, ByteView(buffer).subspan(kFrameHeader_bytes, size));
    return;
  }
  buffer.resize(kFrameHeader_bytes + size);
  std::swap(waiting_, buffer);
  taken_ = kFrameHeader_bytes;
  buffer.resize(kFrameHeader_bytes + room_.read_at_once());
}

void ShrinkSource::drop_taken() {
  if (taken_ == waiting_.size()) {
    waiting_.clear();
    taken_ = 0;
  } else if (taken_ >= room_.waiting_most() && taken_ >= waiting_bytes()) {
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(taken_));
    taken_ = 0;
  }
}

sys::Task<Result<>> ShrinkSource::send(sys::Stream& wan, ShrinkFrame type, ByteVector payload) {
  const auto frame = make_frame(type, payload);
  const auto written = co_await wan.write(frame);
  if (written) wan_bytes_ += frame.size();
  co_return written;
}

// ---- what the destination says

sys::Task<Result<>> ShrinkSource::back(sys::Stream& wan, sys::Stream& local) {
  for (bool ended = false;;) {
    const auto frame = co_await read_frame(wan);
    if (!frame) {
      // Before our end it would leave us waiting for what must be acknowledged.
      const bool closed = ended && frame.error().code == Errc::closed;
      if (closed && end_said_) co_return Result<>{};
      end();
      if (closed) co_return fail(Errc::protocol, "the destination ended before the source did");
      co_return pass(frame);
    }
    Result<> done;
    if (frame->type == ShrinkFrame::pass && !ended) {
      done = co_await local.write(frame->payload);
    } else if (frame->type == ShrinkFrame::end && !ended) {
      ended = true;
      done = co_await local.shutdown_write();
    } else {
      done = hear(*frame);
    }
    if (done) continue;
    end();
    co_return done;
  }
}

Result<> ShrinkSource::hear(const ReceivedFrame& frame) {
  if (frame.type == ShrinkFrame::hello) {
    const auto welcome = parse_shrink_welcome(frame.payload);
    if (!welcome) return pass(welcome);
    return welcomed(*welcome);
  }
  if (frame.type == ShrinkFrame::held || frame.type == ShrinkFrame::alike) {
    const auto taken = hear_answer(frame);
    changed_.notify();
    return taken;
  }
  const auto number = parse_number(frame.payload);
  if (!number) return pass(number);
  if (frame.type == ShrinkFrame::acknowledged) {
    see_distance(*number);
    encoder_.acknowledged(*number);
    room_.keeps(encoder_.kept_bytes());
  } else if (frame.type == ShrinkFrame::lacking && lacking_.size() < kWindowMost_bytes / kPage_bytes) {
    lacking_.push_back(*number);
  } else if (frame.type != ShrinkFrame::unkept || !encoder_.unkept(*number)) {
    return fail(Errc::protocol, "the destination says what makes no sense");
  }
  changed_.notify();
  return {};
}

void ShrinkSource::see_distance(std::uint64_t acknowledged) {
  if (!unanswered_ || acknowledged < unanswered_->batch) return;
  pace_.answered_after(clock_.now() - unanswered_->at);
  unanswered_.reset();
}

Result<> ShrinkSource::hear_answer(const ReceivedFrame& frame) {
  auto& seeking = inquiry_.seeking();
  if (frame.type == ShrinkFrame::held) {
    const auto taken = inquiry_.answered(backlog(), frame.payload, pace_.is_patient());
    auto sketches = seeking.seek();
    if (!sketches.empty()) to_ask_.push_back({ShrinkFrame::seek, std::move(sketches)});
    return taken;
  }
  auto digests = seeking.answered(frame.payload);
  if (!digests) return pass(digests);
  if (!digests->empty()) to_bring_.push_back(std::move(*digests));
  return {};
}

// What the destination found for us, from the hosts of this host's own cloud: beside the batches before it.
sys::Task<Result<>> ShrinkSource::bring_alike() {
  while (!over_ && !end_said_) {
    if (to_bring_.empty()) {
      co_await changed_.wait();
      continue;
    }
    auto digests = std::move(to_bring_.front());
    to_bring_.pop_front();
    const auto ids = co_await departure_.siblings->bring(departure_.tenant, std::move(digests));
    inquiry_.seeking().brought(ids);
    changed_.notify();
  }
  co_return Result<>{};
}

Result<> ShrinkSource::welcomed(const ShrinkWelcome& welcome) {
  if (welcome.version != hello_.version) return fail(Errc::protocol, "the destination speaks another version");
  auto& rapport = *departure_.rapport;
  if (!welcome.known) rapport.forget_before(connection_);
  rapport.forget_before(welcome.sent_from, welcome.theirs_from);
  window_bytes_ = std::clamp<std::size_t>(welcome.window_bytes, kWindowLeast_bytes, kWindowMost_bytes);
  if (welcome.key && room_.take_ahead(kAhead_bytes)) inquiry_.begin(welcome);
  if (hello_.key) inquiry_.seeking().begin(welcome);
  encoder_.may_refer_to_others(true);
  return {};
}

void ShrinkSource::end() {
  over_ = true;
  changed_.notify();
}

}  // namespace godwit::migrate
