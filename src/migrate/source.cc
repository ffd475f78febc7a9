#include "migrate/source.h"

#include "crypto/host_record.h"
#include "migrate/side.h"

#include <algorithm>

namespace godwit::migrate {

using wire::MigrationPhase;

Source::Source(Context& context, Record record)
    : context_(context),
      clock_(context.runtime.clock),
      log_(context.runtime.log.named("migrate " + record.id)),
      record_(std::move(record)),
      handover_(record_.ballot),
      began_at_(context.now()),
      changed_(context.runtime.executor),
      course_gate_(context.runtime.executor),
      gate_(context.runtime.executor) {}

void Source::begin() {
  gate_.spawn(keep_time());
  gate_.spawn(stay_connected());
  course_gate_.spawn(run_course());
}

void Source::restore() {
  hello_sent_ = true;  // perhaps
  open_since_ = context_.now();
  gate_.spawn(keep_time());
  gate_.spawn(stay_connected());
  if (open() && record_.error.empty()) record_.error = "the source's agent was restarted";
  perform(handover_.restore(context_.now()));
}

sys::Task<void> Source::stop() {
  co_await course_gate_.close();
  co_await gate_.close();
  control_.reset();
}

void Source::direct(const wire::MigrationOrder& order) {
  if (order.cancel && open()) give_up(Error{Errc::cancelled, "cancelled"});
  if (order.decision != Decision::none && order.decision != handover_.known().cloud) {
    if (order.decision == Decision::aborted && open() && record_.error.empty()) {
      record_.error = "its cloud has voted aborted";
    }
    perform(handover_.cloud_voted(context_.now(), order.decision));
  }
  if (order.fence != Decision::none) perform(handover_.fenced(context_.now(), order.fence));
}

// ---- what the votes ask for

void Source::perform(Step step) {
  changed_.notify();
  if (!step.write && step.acts.empty()) return;
  if (step.write) {
    if (step.write->vote != record_.ballot.vote) open_since_ = context_.now();
    if (step.write->decision != Decision::none && record_.ended_ms == 0) {
      record_.ended_ms = context_.unix_ms();
      note_cost();
      record_.cost.total_s = to_s(Millis{record_.ended_ms - record_.started_ms});
    }
    if (step.write->decision == Decision::aborted) record_.hand_offs.clear();  // never to be shown
    record_.ballot = *step.write;
    const auto saved = context_.records.save(record_);
    if (!saved) {
      log_.error("{}", saved.error().message);
      step = handover_.write_failed(context_.now());
      record_.ballot = handover_.ballot();
    }
  }
  for (const Act each : step.acts) act(each);
  if (record_.ballot.settled) control_.reset();  // everything is said
  context_.changed();
}

void Source::act(Act act) {
  switch (act) {
    case Act::ask_cloud:
      if (!asking_cloud_) gate_.spawn(ask_cloud());
      return;
    case Act::say_released:
      log_.info("released");
      if (!released_at_) released_at_ = context_.now();
      say(FrameType::released);
      return;
    case Act::say_abort: say(FrameType::abort); return;
    case Act::say_settled: say(FrameType::settled); return;
    case Act::run: gate_.spawn(resume()); return;
    case Act::discard: gate_.spawn(discard()); return;
    case Act::say_prepared:
    case Act::say_owned: return;  // a destination's
  }
}

void Source::say(FrameType type) {
  if (!control_) return;
  Frame frame;
  frame.type = type;
  if (type == FrameType::abort) frame.reason = record_.error.substr(0, kReasonLimit_bytes);
  if (type == FrameType::released) frame.hand_offs = record_.hand_offs;
  control_->send(std::move(frame));
}

sys::Task<void> Source::ask_cloud() {
  asking_cloud_ = true;
  auto asked = context_.clouds.release(record_.id);
  const auto vote = co_await sys::within(clock_, kCloudCallLimit, "ask our cloud for its vote", std::move(asked));
  asking_cloud_ = false;
  if (!vote) {
    log_.warn("{}", vote.error().message);
  } else {
    perform(handover_.cloud_voted(context_.now(), *vote));
  }
}

sys::Task<void> Source::resume() {
  context_.turns.leave(record_.id, context_.now());
  if (post_copying_) {
    // QEMU takes it back only while it is connected.
    auto resuming = resume_once();
    const auto resumed = co_await sys::within(clock_, kCancelLimit, "cancel the post-copy", std::move(resuming));
    if (!resumed) log_.warn("{}", resumed.error().message);
  }
  co_await course_gate_.close();
  for (;;) {
    const auto resumed = co_await resume_once();
    if (resumed) break;
    log_.warn("resume {}: {}", record_.spec.id, resumed.error().message);
    // A dead one is booted by the agent, as any instance of its own.
    if (resumed.error().code == Errc::unavailable || resumed.error().code == Errc::not_found) break;
    co_await clock_.sleep_for(kActAgain);
  }
  guest_.reset();
  gate_.spawn(context_.locations.hold(record_.spec, false));
  perform(handover_.carried_out(context_.now()));
}

sys::Task<Result<>> Source::resume_once() {
  if (!guest_) {
    auto opening = context_.guests.open_source(record_.spec.id);
    auto opened = co_await sys::within(clock_, kOpenGuestLimit, "open its QEMU", std::move(opening));
    if (!opened) co_return pass(opened);
    guest_ = std::move(*opened);
  }
  auto resuming = guest_->resume();
  co_return co_await sys::within(clock_, kResumeLimit, "resume its QEMU", std::move(resuming));
}

sys::Task<void> Source::discard() {
  context_.turns.leave(record_.id, context_.now());
  co_await course_gate_.close();
  guest_.reset();
  co_await destroy(context_, log_, record_.spec.id, "what has moved");
  perform(handover_.carried_out(context_.now()));
}

sys::Task<void> Source::keep_time() {
  return migrate::keep_time(handover_, clock_, changed_, [this](Step step) { perform(std::move(step)); });
}

void Source::give_up(const Error& why) {
  if (!open()) return;
  record_.error = why.message.substr(0, kReasonLimit_bytes);
  log_.warn("given up: {}", why.message);
  perform(handover_.abort(context_.now()));
  // Who has never heard of it has nothing to be told.
  if (!hello_sent_) perform(handover_.heard(context_.now(), Saying::unknown));
}

void Source::forget() {
  migrate::forget(context_, log_, record_);
  changed_.notify();
}

bool Source::may_drop() const {
  if (!record_.forgotten || record_.ballot.settled) return record_.forgotten;
  // A destination that hears nothing from us asks our cloud, which knows the end.
  return Millis{context_.unix_ms() - record_.ended_ms} > kSettleLimit;
}

// ---- the control channel, once the votes have begun

sys::Task<void> Source::stay_connected() {
  Nanos wait = kFirstRetry;
  for (;;) {
    const auto& ballot = handover_.ballot();
    if (control_ || ballot.vote == Vote::none || ballot.settled || !hello_sent_) {
      co_await changed_.wait();
      wait = kFirstRetry;
      continue;
    }
    const auto connected = co_await reconnect();
    if (connected) continue;
    log_.debug("{}", connected.error().message);
    co_await clock_.sleep_for(wait);
    const Nanos limit = ballot.decision == Decision::none ? kOpenRetryLimit : kSettleRetryLimit;
    wait = std::min<Nanos>(2 * wait, limit);
  }
}

sys::Task<Result<>> Source::reconnect() {
  auto stream = co_await dial();
  if (!stream) co_return pass(stream);
  Hello hello;
  hello.version = kProtocolVersion;
  hello.migration = record_.id;
  hello.resume = true;
  auto introduced = introduce(**stream, std::move(hello));
  const auto welcome =
      co_await sys::within(clock_, kIntroduceLimit, "find the destination again", std::move(introduced));
  if (!welcome) co_return pass(welcome);
  if (welcome->unknown) {
    perform(handover_.heard(context_.now(), Saying::unknown));
    if (!handover_.ballot().settled) co_return fail(Errc::in_doubt, "the destination has lost its record");
    co_return Result<>{};
  }
  take_control(std::move(*stream));
  co_return Result<>{};
}

sys::Task<Result<std::unique_ptr<sys::PeerStream>>> Source::dial() {
  const auto& to = record_.destination;
  const sys::PeerAddress address{to.ip, to.port, to.certificate_name, crypto::host_address_of(to.by_overlay.record)};
  auto dialling = context_.runtime.peers.dial(address);
  return sys::within(clock_, kDialLimit, "dial " + to.certificate_name, std::move(dialling));
}

void Source::take_control(std::unique_ptr<sys::Stream> stream) {
  control_ = std::make_unique<Control>(context_.runtime.executor, clock_, std::move(stream));
  gate_.spawn(listen());
  perform(handover_.connected(context_.now()));
}

sys::Task<void> Source::listen() {
  while (control_) {
    const auto frame = co_await control_->receive();
    if (!control_) co_return;  // meanwhile everything was said
    if (!frame) {
      control_.reset();
      give_up(frame.error().within("lost the destination"));
      changed_.notify();
      context_.changed();
      co_return;
    }
    hear(*frame);
  }
}

void Source::hear(const Frame& frame) {
  const auto saying = saying_of(frame);
  if (!saying || *saying == Saying::released) {
    control_->close();  // listen() sees it
    return;
  }
  if (*saying == Saying::abort && open()) record_.error = "the destination gave up: " + frame.reason;
  if (*saying == Saying::owned && handover_.ballot().decision == Decision::none && paused_at_) {
    const auto half = control_->round_trip() / 2;
    const auto known = frame.started_after_ms && released_at_;
    const auto until_heard = *paused_at_ < context_.now() ? context_.now() - half - *paused_at_ : Nanos{};
    record_.cost.downtime_ms =
        known ? to_ms(*released_at_ + half - *paused_at_) + *frame.started_after_ms : to_ms(until_heard);
  }
  perform(handover_.heard(context_.now(), *saying));
}

// ---- what others are told

namespace {

MigrationPhase phase_of(const Record& record, MigrationPhase course, bool in_doubt, bool post_copying) {
  const Ballot& ballot = record.ballot;
  if (ballot.decision == Decision::aborted) return ballot.carried_out ? MigrationPhase::aborted : course;
  if (ballot.decision == Decision::released) {
    return ballot.carried_out ? MigrationPhase::completed : MigrationPhase::owned;
  }
  if (ballot.vote == Vote::released && in_doubt) return MigrationPhase::in_doubt;
  if (ballot.vote == Vote::released) return post_copying ? MigrationPhase::post_copy : MigrationPhase::released;
  return course;
}

}  // namespace

void Source::note_cost() {
  if (!transfer_) return;  // of an earlier agent: as far as that had come
  record_.cost.wan_bytes = transfer_->wan_bytes();
  record_.cost.savings = transfer_->savings();
}

wire::MigrationReport Source::report() const {
  const bool in_doubt = !control_ && context_.now() - open_since_ > kInDoubtAfter;
  auto report = report_of(record_);
  report.phase = phase_of(record_, phase_, in_doubt, post_copying_);
  report.progress = progress_;
  if (transfer_) report.cost.wan_bytes = transfer_->wan_bytes();
  if (transfer_) report.cost.savings = transfer_->savings();
  if (record_.ended_ms == 0) report.cost.total_s = to_s(Millis{context_.unix_ms() - record_.started_ms});
  if (report.phase == MigrationPhase::in_doubt) {
    report.error = fmt::format(
        "{} may have the instance, and can't be reached: it is decided as soon as it can; if its host is dead for "
        "ever, "
        "godwit instance resolve {} --fence",
        record_.destination.certificate_name, record_.spec.id);
  }
  if (handover_.known().disputed) report.error = kDisputed;
  return report;
}

Standing standing_of_source(const Record& record) {
  const Ballot& ballot = record.ballot;
  if (ballot.decision == Decision::released) return Standing::gone;
  if (ballot.decision == Decision::aborted) return ballot.carried_out ? Standing::may_run : Standing::leaving;
  return ballot.vote == Vote::none ? Standing::leaving : Standing::must_not_run;
}

}  // namespace godwit::migrate
