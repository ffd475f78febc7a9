// The source's course, in the order in which it happens: connect, copy the disk, copy the memory, switch over. Any
// failure before the vote ends it, and the guest runs on here.
#include "migrate/shrink_frames.h"
#include "migrate/source.h"

#include <algorithm>

namespace godwit::migrate {

using wire::MigrationPhase;

sys::Task<void> Source::run_course() {
  const auto done = co_await course();
  if (!done) give_up(done.error());
}

sys::Task<Result<>> Source::course() {
  auto opening = context_.guests.open_source(record_.spec.id);
  auto opened = co_await sys::within(clock_, kOpenGuestLimit, "open its QEMU", std::move(opening));
  if (!opened) co_return pass(opened);
  guest_ = std::move(*opened);
  // Whatever the course waits for just then, a dead QEMU ends it.
  using namespace boost::asio::experimental::awaitable_operators;
  auto race = copy() || fail_when_dead();
  auto outcome = co_await std::move(race);
  const Result<> copied = outcome.index() == 0 ? std::get<0>(outcome) : std::get<1>(outcome);
  if (!copied) co_return copied;
  co_return co_await await_vote();
}

sys::Task<Result<>> Source::fail_when_dead() {
  co_await guest_->wait_dead();
  co_return fail(Errc::unavailable, "QEMU of {} has ended", record_.spec.id);
}

sys::Task<Result<>> Source::copy() {
  auto done = co_await connect();
  if (!done) co_return done;
  done = co_await copy_disk();
  if (!done) co_return done;
  done = co_await copy_memory();
  if (!done) co_return done;
  co_return co_await switch_over();
}

void Source::enter(MigrationPhase phase) {
  phase_ = phase;
  log_.info("{}", boost::describe::enum_to_string(phase, "?"));
  context_.changed();
}

sys::Task<Result<>> Source::connect() {
  enter(MigrationPhase::connecting);
  auto stream = co_await dial();
  if (!stream) co_return pass(stream);
  Hello hello;
  hello.version = kProtocolVersion;
  hello.migration = record_.id;
  hello.ticket = record_.ticket;
  hello.spec = record_.spec;
  hello.location_version = record_.location_version - 1;
  hello.source_api = context_.self.api_url;
  hello.source = record_.source;
  hello.options = record_.options;
  const auto& only = record_.options.encoding;
  std::string known;
  for (const auto* each : context_.encodings) {
    if (only.empty() ? each->has_room() : only == each->name()) hello.encodings.emplace_back(each->name());
    known += fmt::format("{}{}", known.empty() ? "" : ", ", each->name());
  }
  if (hello.encodings.empty()) {
    co_return fail(Errc::invalid_argument, "there is no encoding \"{:.32}\" here, but {}", only, known);
  }
  enter(MigrationPhase::preparing);
  hello_sent_ = true;
  auto introduced = introduce(**stream, std::move(hello));
  const auto welcome = co_await sys::within(clock_, kAdmissionLimit, "be admitted by " + record_.destination.host,
                                            std::move(introduced));
  if (!welcome) co_return pass(welcome);
  const auto chosen = std::find_if(context_.encodings.begin(), context_.encodings.end(),
                                   [&](const auto* each) { return each->name() == welcome->encoding; });
  const bool asked = only.empty() || welcome->encoding == only;
  if (!welcome->ok || chosen == context_.encodings.end() || !asked) {
    co_return fail(Errc::protocol, "the destination's welcome makes no sense");
  }
  TransferSpec transfer{record_.spec.tenant, record_.spec.image_sha256, record_.destination.certificate_name,
                        record_.spec.id};
  transfer.frames_version = static_cast<std::uint8_t>(std::clamp<std::uint32_t>(welcome->batches, 1, kFramesVersion));
  transfer_ = (*chosen)->leave(std::move(transfer));
  post_copy_problem_ = welcome->post_copy_problem.substr(0, kReasonLimit_bytes);
  nonce_ = welcome->nonce;
  take_control(std::move(*stream));
  co_return Result<>{};
}

// ---- data: QEMU dials us, we dial the destination

Result<> Source::serve(Channel channel, const std::string& path, unsigned owner_uid) {
  auto listener = context_.runtime.local.listen(path, 0600, owner_uid);
  if (!listener) return pass(listener);
  course_gate_.spawn(accept_connections(channel, std::move(*listener)));
  return {};
}

sys::Task<void> Source::accept_connections(Channel channel, std::unique_ptr<sys::Listener> listener) {
  for (int count = 0; count < kConnectionsLimit; ++count) {
    auto local = co_await listener->accept();
    if (!local) co_return;
    course_gate_.spawn(carry_connection(channel, std::move(*local)));
  }
}

sys::Task<void> Source::carry_connection(Channel channel, std::unique_ptr<sys::Stream> local) {
  const auto carried = co_await carry_one(channel, std::move(local));
  // QEMU sees its connection end, and what it says then counts.
  if (!carried) log_.debug("{}: {}", boost::describe::enum_to_string(channel, "?"), carried.error().message);
}

sys::Task<Result<>> Source::carry_one(Channel channel, std::unique_ptr<sys::Stream> local) {
  auto wan = co_await dial();
  if (!wan) co_return pass(wan);
  Hello hello;
  hello.version = kProtocolVersion;
  hello.channel = channel;
  hello.migration = record_.id;
  hello.nonce = nonce_;
  auto introduced = introduce(**wan, std::move(hello));
  const auto welcome = co_await sys::within(clock_, kIntroduceLimit, "open a data channel", std::move(introduced));
  if (!welcome) co_return pass(welcome);
  std::unique_ptr<sys::Stream> far = std::move(*wan);
  co_return co_await transfer_->carry(channel, std::move(local), std::move(far));
}

// ---- the copies

Nanos Source::time_left() const {
  const auto end = began_at_ + Seconds{record_.options.give_up_after_s};
  return std::max<Nanos>(end - context_.now(), Nanos{1});
}

sys::Task<Result<>> Source::copy_disk() {
  enter(MigrationPhase::disk);
  course_gate_.spawn(watch_progress());
  const auto sockets = guest_->sockets();
  const auto served = serve(Channel::disk, sockets.disk, sockets.owner_uid);
  if (!served) co_return served;
  const auto started = co_await guest_->start_disk(record_.options.max_bytes_per_s);
  if (!started) co_return started;
  auto ready = guest_->wait_disk_ready();
  const auto copied = co_await sys::within(clock_, time_left(), "copy the disk", std::move(ready));
  if (!copied) co_return copied;
  say(FrameType::disk_ready);
  co_return Result<>{};
}

sys::Task<Result<>> Source::copy_memory() {
  enter(MigrationPhase::memory);
  const auto sockets = guest_->sockets();
  const auto served = serve(Channel::memory, sockets.memory, sockets.owner_uid);
  if (!served) co_return served;
  auto options = record_.options;
  options.downtime_limit_ms = kNoPause_ms;
  options.post_copy = options.post_copy && post_copy_problem_.empty();
  context_.turns.enter(record_.id);
  const auto started = co_await guest_->start_memory(std::move(options));
  if (!started) co_return started;
  auto pause = guest_->wait_paused();
  const auto paused = co_await sys::within(clock_, time_left(), "copy the memory", std::move(pause));
  if (!paused && paused.error().code == Errc::timed_out) co_return std::unexpected(not_converged());
  co_return paused;
}

Error Source::not_converged() const {
  std::string tried;
  for (const auto& each : record_.cost.tried) tried += (tried.empty() ? "" : "; ") + each;
  return Error{
      Errc::timed_out,
      fmt::format("the memory did not converge in {} s and {} rounds: the guest writes {} KiB/s, and {} KiB are "
                  "left (tried: {})",
                  record_.options.give_up_after_s, progress_.rounds, progress_.dirty_bytes_per_s / 1024,
                  progress_.memory_remaining_bytes / 1024, tried.empty() ? "nothing" : tried)};
}

sys::Task<void> Source::watch_progress() {
  while (phase_ < MigrationPhase::paused) {
    const auto noted = co_await note_progress();
    const bool copies = noted && phase_ == MigrationPhase::memory;
    const bool slow = copies && may_pause_ && convergence_.needs_help(progress_);
    if (slow || (copies && ends_soon())) {
      const auto helped = co_await help_convergence();
      if (!helped) log_.warn("{}", helped.error().message);
    }
    if (copies && !may_pause_) {
      co_await await_turn();
    } else {
      co_await clock_.sleep_for(kProgressEvery);
    }
  }
}

// Looks more often than is reported: a guest that may pause soon shall not wait for it.
sys::Task<void> Source::await_turn() {
  for (Nanos waited{0}; waited < kProgressEvery && phase_ < MigrationPhase::paused; waited += kTurnEvery) {
    const auto taken = co_await take_turn();
    if (!taken) log_.debug("{}", taken.error().message);
    if (may_pause_) co_return;
    co_await clock_.sleep_for(kTurnEvery);
  }
}

sys::Task<Result<>> Source::take_turn() {
  const auto progress = co_await guest_->progress();
  if (!progress) co_return pass(progress);
  record_.cost.rounds = progress->rounds;
  auto& turns = context_.turns;
  turns.note(record_.id, progress->rounds, progress->memory_remaining_bytes, context_.now());
  if (transfer_) transfer_->note(*progress, turns.may_pause(record_.id));
  if (!turns.may_pause(record_.id)) co_return Result<>{};
  // A guest that writes little gets away with a shorter pause than it is allowed: help_convergence() allows the rest.
  const auto allowed = co_await guest_->allow_pause(std::min(record_.options.downtime_limit_ms, kShortPause_ms));
  if (allowed) may_pause_ = true;
  co_return allowed;
}

sys::Task<Result<>> Source::note_progress() {
  const auto progress = co_await guest_->progress();
  if (!progress) co_return pass(progress);
  progress_ = *progress;
  record_.cost.rounds = progress_.rounds;
  if (transfer_) transfer_->note(progress_, context_.turns.may_pause(record_.id));
  Frame frame;
  frame.type = FrameType::progress;
  frame.progress = progress_;
  if (control_) control_->send(std::move(frame));
  context_.changed();
  co_return Result<>{};
}

bool Source::ends_soon() const {
  const Nanos whole = Seconds{record_.options.give_up_after_s};
  return time_left() < std::min<Nanos>(kLastResort, whole / kLastResortPart);
}

// First a longer pause, then the guest is slowed down; where that is not allowed, or does not help, post-copy is next.
sys::Task<Result<>> Source::help_convergence() {
  auto& tried = record_.cost.tried;
  const auto limit_ms = record_.options.downtime_limit_ms;
  const auto longer = fmt::format("a pause of {} ms", limit_ms);
  if (limit_ms > kShortPause_ms && std::find(tried.begin(), tried.end(), longer) == tried.end()) {
    const auto allowed = co_await guest_->allow_pause(limit_ms);
    if (!allowed) co_return allowed;
    tried.push_back(longer);
    co_return Result<>{};
  }
  const std::string throttle = "auto-converge";
  if (!record_.options.auto_converge || std::find(tried.begin(), tried.end(), throttle) != tried.end()) {
    co_return co_await try_post_copy();
  }
  const auto allowed = co_await guest_->allow_auto_converge();
  if (!allowed) co_return allowed;
  tried.push_back(throttle);
  log_.info("the rounds don't get smaller: the guest is slowed down");
  co_return Result<>{};
}

sys::Task<Result<>> Source::try_post_copy() {
  if (!record_.options.post_copy || std::exchange(post_copy_tried_, true)) co_return Result<>{};
  auto& tried = record_.cost.tried;
  if (!post_copy_problem_.empty()) {
    tried.push_back(fmt::format("post-copy: host {} says: {}", record_.destination.host, post_copy_problem_));
    co_return Result<>{};
  }
  const auto started = co_await guest_->start_post_copy();
  if (!started) co_return started;
  tried.emplace_back("post-copy");
  post_copying_ = true;
  log_.info("the rounds don't get smaller: the rest of the memory follows after the switchover");
  co_return Result<>{};
}

// The destination has it, and fetches from us what it lacks, until it says that it is whole.
sys::Task<void> Source::watch_post_copy() {
  for (;;) {
    const auto noted = co_await note_progress();
    if (!noted) log_.debug("{}", noted.error().message);
    co_await clock_.sleep_for(kProgressEvery);
  }
}

// ---- from the pause to the vote. The guest stands still: nothing here waits for anything that could be done before.

sys::Task<Result<>> Source::switch_over() {
  paused_at_ = context_.now();
  enter(MigrationPhase::paused);
  if (control_) control_->set_silence_limit(kPausedSilenceLimit);
  say(FrameType::paused);
  course_gate_.spawn(context_.locations.hold(record_.spec, true));
  auto ending = guest_->end_disk();
  auto done = co_await sys::within(clock_, kDrainLimit, "end the mirror", std::move(ending));
  if (!done) co_return done;
  enter(MigrationPhase::draining);
  auto completing = guest_->continue_switchover();
  done = co_await sys::within(clock_, kCompleteLimit, "complete the switchover", std::move(completing));
  if (!done) co_return done;
  context_.turns.leave(record_.id, context_.now());
  log_.info("QEMU has sent everything");
  co_return Result<>{};
}

// Everything has left this QEMU: from here on it need not live.
sys::Task<Result<>> Source::await_vote() {
  say(FrameType::drained);
  perform(handover_.drained(context_.now()));
  if (post_copying_) course_gate_.spawn(watch_post_copy());
  co_await clock_.sleep_for(kPreparedLimit);  // the vote, or its abort, ends this wait by what follows from it
  if (open()) co_return fail(Errc::timed_out, "the destination was not prepared within {} s", kPreparedLimit.count());
  co_return Result<>{};
}

}  // namespace godwit::migrate
