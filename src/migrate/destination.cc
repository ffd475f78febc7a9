#include "migrate/destination.h"

#include "migrate/shrink_frames.h"
#include "migrate/side.h"

#include <algorithm>

namespace godwit::migrate {

using wire::MigrationPhase;

Destination::Destination(Context& context, Record record)
    : context_(context),
      clock_(context.runtime.clock),
      log_(context.runtime.log.named("migrate " + record.id)),
      record_(std::move(record)),
      handover_(record_.ballot),
      memory_ended_at_(context.now()),
      control_changed_at_(context.now()),
      changed_(context.runtime.executor),
      course_gate_(context.runtime.executor),
      gate_(context.runtime.executor) {}

void Destination::begin(std::unique_ptr<sys::PeerStream> control, std::vector<std::string> encodings) {
  const auto both = std::find_if(context_.encodings.begin(), context_.encodings.end(), [&](const auto* each) {
    return (each->has_room() || encodings.size() == 1) &&
           std::find(encodings.begin(), encodings.end(), each->name()) != encodings.end();
  });
  auto& encoding = both == context_.encodings.end() ? *context_.encodings.back() : **both;
  transfer_ = encoding.arrive(
      {record_.spec.tenant, record_.spec.image_sha256, record_.source.certificate_name, record_.spec.id});
  gate_.spawn(keep_time());
  course_gate_.spawn(run_course(std::move(control), std::string(encoding.name())));
}

void Destination::restore() {
  gate_.spawn(keep_time());
  if (open() && record_.error.empty()) record_.error = "the destination's agent was restarted";
  perform(handover_.restore(context_.now()));
}

sys::Task<void> Destination::stop() {
  co_await course_gate_.close();
  co_await gate_.close();
  control_.reset();
}

// ---- the course: QEMU waits, loads, and is flushed

sys::Task<void> Destination::run_course(std::unique_ptr<sys::PeerStream> control, std::string encoding) {
  const auto done = co_await course(std::move(control), std::move(encoding));
  if (!done) give_up(done.error());
}

sys::Task<Result<>> Destination::course(std::unique_ptr<sys::PeerStream> control, std::string encoding) {
  auto receiving = context_.guests.receive(record_.spec, record_.options.post_copy);
  auto received = co_await sys::within(clock_, kReceiveLimit, "start a QEMU that waits", std::move(receiving));
  Welcome welcome;
  welcome.version = kProtocolVersion;
  if (!received) {
    welcome.code = to_string(received.error().code);
    welcome.error = received.error().message.substr(0, kReasonLimit_bytes);
    const auto bytes = pack(welcome);
    const auto told = co_await control->write(bytes);
    if (!told) log_.debug("{}", told.error().message);
    co_return pass(received);
  }
  guest_ = std::move(*received);
  nonce_ = context_.runtime.random.id("nonce");
  welcome.ok = true;
  welcome.nonce = nonce_;
  welcome.encoding = std::move(encoding);
  welcome.batches = kFramesVersion;
  if (record_.options.post_copy) welcome.post_copy_problem = guest_->post_copy_problem().substr(0, kReasonLimit_bytes);
  record_.options.post_copy = record_.options.post_copy && welcome.post_copy_problem.empty();
  const auto bytes = pack(welcome);
  const auto told = co_await control->write(bytes);
  if (!told) co_return told;
  take_control(std::move(control));
  phase_ = MigrationPhase::disk;
  context_.changed();
  const auto loaded = co_await guest_->wait_loaded();
  if (!loaded) co_return loaded;
  log_.info("QEMU has loaded everything");
  // The source's mirror has ended before its QEMU let go of the last of the memory.
  auto finishing = guest_->finish_disk();
  const auto finished = co_await sys::within(clock_, kFinishDiskLimit, "flush the disk", std::move(finishing));
  if (!finished) co_return finished;
  perform(handover_.prepared(context_.now()));
  co_return Result<>{};
}

// ---- data: the source dials us, we dial our QEMU

void Destination::join(Channel channel, std::string nonce, std::unique_ptr<sys::PeerStream> wan) {
  course_gate_.spawn(carry_connection(channel, std::move(nonce), std::move(wan)));
}

sys::Task<void> Destination::carry_connection(Channel channel, std::string nonce,
                                              std::unique_ptr<sys::PeerStream> wan) {
  const int memory = channel == Channel::memory ? 1 : 0;
  ++connections_;
  memory_connections_ += memory;
  const auto carried = co_await carry_one(channel, std::move(nonce), std::move(wan));
  --connections_;
  memory_connections_ -= memory;
  if (memory != 0) memory_ended_at_ = context_.now();
  if (!carried) log_.debug("{}: {}", boost::describe::enum_to_string(channel, "?"), carried.error().message);
}

sys::Task<Result<>> Destination::carry_one(Channel channel, std::string nonce, std::unique_ptr<sys::PeerStream> wan) {
  Welcome welcome;
  welcome.version = kProtocolVersion;
  welcome.ok = open() && !nonce_.empty() && nonce == nonce_ && connections_ <= kConnectionsLimit;
  if (!welcome.ok) {
    welcome.code = to_string(Errc::denied);
    welcome.error = "no data channel is expected here";
  }
  const auto bytes = pack(welcome);
  const auto told = co_await wan->write(bytes);
  if (!told) co_return told;
  if (!welcome.ok) co_return fail(Errc::denied, "data channel: {}", welcome.error);
  const auto sockets = guest_->sockets();
  const auto& path = channel == Channel::disk ? sockets.disk : sockets.memory;
  auto local = co_await context_.runtime.local.dial(path);
  if (!local) co_return pass(local);
  std::unique_ptr<sys::Stream> far = std::move(wan);
  co_return co_await transfer_->carry(channel, std::move(*local), std::move(far));
}

// ---- the control channel

void Destination::resume(std::unique_ptr<sys::PeerStream> control) { gate_.spawn(welcome_back(std::move(control))); }

sys::Task<void> Destination::welcome_back(std::unique_ptr<sys::PeerStream> control) {
  Welcome welcome;
  welcome.version = kProtocolVersion;
  welcome.ok = true;
  const auto bytes = pack(welcome);
  const auto told = co_await control->write(bytes);
  if (told) take_control(std::move(control));
}

void Destination::take_control(std::unique_ptr<sys::PeerStream> stream) {
  control_ = std::make_unique<Control>(context_.runtime.executor, clock_, std::move(stream));
  control_changed_at_ = context_.now();
  gate_.spawn(listen(++control_generation_));
  perform(handover_.connected(context_.now()));
}

sys::Task<void> Destination::listen(std::uint64_t generation) {
  while (control_ && generation == control_generation_) {
    const auto frame = co_await control_->receive();
    if (generation != control_generation_) co_return;
    if (frame) {
      hear(*frame);
      continue;
    }
    control_.reset();
    control_changed_at_ = context_.now();
    if (open()) give_up(frame.error().within("lost the source"));
    perform(handover_.disconnected(context_.now()));
    context_.changed();
  }
}

void Destination::hear(const Frame& frame) {
  switch (frame.type) {
    case FrameType::progress: progress_ = frame.progress.value_or(progress_); return;
    case FrameType::disk_ready: phase_ = std::max(phase_, MigrationPhase::memory); break;
    case FrameType::paused:
      phase_ = std::max(phase_, MigrationPhase::paused);
      control_->set_silence_limit(kPausedSilenceLimit);
      break;
    case FrameType::drained: phase_ = std::max(phase_, MigrationPhase::draining); break;
    default: break;
  }
  const auto saying = saying_of(frame);
  if (!saying) {
    context_.changed();
    return;
  }
  if (*saying == Saying::prepared || *saying == Saying::owned) {
    control_->close();  // listen() sees it
    return;
  }
  if (*saying == Saying::released && !released_at_) released_at_ = context_.now();
  if (*saying == Saying::released) take_hand_offs(frame.hand_offs);
  if (*saying == Saying::abort && open()) record_.error = "the source gave up: " + frame.reason;
  perform(handover_.heard(context_.now(), *saying));
}

// Written down with the vote that they come with.
void Destination::take_hand_offs(const std::vector<std::string>& shown) {
  if (handover_.ballot().vote == Vote::prepared && record_.hand_offs.empty()) record_.hand_offs = shown;
}

void Destination::direct(const wire::MigrationOrder& order) {
  if (order.cancel && open()) give_up(Error{Errc::cancelled, "cancelled"});
  if (order.fence != Decision::none) perform(handover_.fenced(context_.now(), order.fence));
}

// ---- what the votes ask for

void Destination::perform(Step step) {
  changed_.notify();
  if (!step.write && step.acts.empty()) return;
  if (step.write) {
    if (step.write->decision != Decision::none && record_.ended_ms == 0) record_.ended_ms = context_.unix_ms();
    record_.promised = record_.promised || step.write->vote == Vote::prepared;
    record_.ballot = *step.write;
    const auto saved = context_.records.save(record_);
    if (!saved) {
      log_.error("{}", saved.error().message);
      step = handover_.write_failed(context_.now());
      record_.ballot = handover_.ballot();
    }
  }
  for (const Act each : step.acts) act(each);
  context_.changed();
}

void Destination::act(Act act) {
  switch (act) {
    case Act::ask_cloud:
      if (!asking_cloud_) gate_.spawn(ask_cloud());
      return;
    case Act::say_prepared:
      log_.info("prepared");
      say(FrameType::prepared);
      return;
    case Act::say_owned: say(FrameType::owned); return;
    case Act::say_abort: say(FrameType::abort); return;
    case Act::say_settled: say(FrameType::settled); return;
    case Act::run: gate_.spawn(start()); return;
    case Act::discard: gate_.spawn(discard()); return;
    case Act::say_released: return;  // a source's
  }
}

void Destination::say(FrameType type) {
  if (!control_) return;
  Frame frame;
  frame.type = type;
  if (type == FrameType::abort) frame.reason = record_.error.substr(0, kReasonLimit_bytes);
  if (type == FrameType::owned && started_after_) frame.started_after_ms = to_ms(*started_after_);
  control_->send(std::move(frame));
}

sys::Task<void> Destination::ask_cloud() {
  asking_cloud_ = true;
  auto asked = context_.clouds.resolve(record_.source.cloud, record_.source_api, record_.id);
  const auto vote = co_await sys::within(clock_, kCloudCallLimit, "ask the source's cloud", std::move(asked));
  asking_cloud_ = false;
  if (!vote) {
    log_.warn("{}", vote.error().message);
    co_return;
  }
  const auto decision = vote->decision;
  if (decision == Decision::released && wire::are_hand_offs(vote->hand_offs)) take_hand_offs(vote->hand_offs);
  if (decision == Decision::aborted && record_.error.empty() && handover_.ballot().vote == Vote::prepared) {
    record_.error = "the source was lost before it released; its cloud has voted aborted";
  }
  perform(handover_.cloud_voted(context_.now(), decision));
}

// It is ours, and on disk as ours: say where it is, then let it run. Nothing here undoes that: what can't be started is
// booted by the agent.
sys::Task<void> Destination::start() {
  auto announcing = [](Locations& locations, wire::InstanceSpec spec, LocationProof proof) -> sys::Task<Result<>> {
    co_await locations.announce(std::move(spec), std::move(proof));
    co_return Result<>{};
  };
  log_.info("owned");
  LocationProof proof{record_.location_version, record_.location_record, record_.hand_offs};
  auto announcement = announcing(context_.locations, record_.spec, std::move(proof));
  const auto announced = co_await sys::within(clock_, kAnnounceLimit, "announce the location", std::move(announcement));
  if (!announced) log_.warn("{}", announced.error().message);
  log_.info("announced");
  if (!guest_) {
    auto opening = context_.guests.open_received(record_.spec.id);
    auto opened = co_await sys::within(clock_, kOpenGuestLimit, "open its QEMU", std::move(opening));
    if (opened) {
      guest_ = std::move(*opened);
    } else {
      log_.warn("{}", opened.error().message);
    }
  }
  if (guest_) {
    auto starting = guest_->start();
    const auto started = co_await sys::within(clock_, kStartLimit, "start the vCPUs", std::move(starting));
    if (!started) log_.error("{}", started.error().message);
    if (started) log_.info("runs");
    if (started && released_at_) started_after_ = context_.now() - *released_at_;
  }
  if (record_.options.post_copy) co_await see_it_whole();
  perform(handover_.carried_out(context_.now()));
  co_await course_gate_.close();
  guest_.reset();
}

// By post-copy the rest of the memory comes while it runs; we say that we own it when all is here, for until then the
// source is needed. What is lost can't be had again: the agent boots the instance anew, from a disk that is whole.
sys::Task<void> Destination::see_it_whole() {
  phase_ = MigrationPhase::post_copy;
  if (control_) control_->set_silence_limit(kSilenceLimit);
  context_.changed();
  Result<> whole = fail(Errc::unavailable, "its QEMU is gone");
  while (guest_) {
    auto waiting = guest_->wait_whole();
    whole = co_await sys::within(clock_, kWholeLook, "load the rest of the memory", std::move(waiting));
    if (whole || whole.error().code != Errc::timed_out) break;
    if (memory_connections_ > 0 || context_.now() - memory_ended_at_ <= kWholePatience) continue;
    whole = fail(Errc::closed, "its connection with the source has ended");
    break;
  }
  if (whole) co_return;
  guest_.reset();
  record_.error = "the rest of its memory was lost in post-copy, and it has booted anew from its disk: " +
                  whole.error().message.substr(0, kReasonLimit_bytes);
  log_.error("{}", record_.error);
  const auto ended = co_await context_.guests.end_received(record_.spec.id);
  if (!ended) log_.error("{}", ended.error().message);
}

sys::Task<void> Destination::discard() {
  nonce_.clear();
  co_await course_gate_.close();
  guest_.reset();
  co_await destroy(context_, log_, record_.spec.id, "what did not arrive");
  perform(handover_.carried_out(context_.now()));
}

sys::Task<void> Destination::keep_time() {
  return migrate::keep_time(handover_, clock_, changed_, [this](Step step) { perform(std::move(step)); });
}

void Destination::give_up(const Error& why) {
  if (!open()) return;
  record_.error = why.message.substr(0, kReasonLimit_bytes);
  log_.warn("given up: {}", why.message);
  perform(handover_.abort(context_.now()));
}

void Destination::forget() {
  migrate::forget(context_, log_, record_);
  changed_.notify();
}

bool Destination::may_drop() const {
  // What was never prepared was never released by the source, which needs no answer of ours.
  if (!record_.forgotten || record_.ballot.settled || !record_.promised) return record_.forgotten;
  return Millis{context_.unix_ms() - record_.ended_ms} > kTombstoneLimit;
}

// ---- what others are told

wire::MigrationReport Destination::report() const {
  const Ballot& ballot = record_.ballot;
  auto report = report_of(record_);
  report.phase = phase_;
  if (ballot.vote == Vote::prepared) {
    const bool in_doubt = !control_ && context_.now() - control_changed_at_ > kInDoubtAfter;
    report.phase = in_doubt ? MigrationPhase::in_doubt : MigrationPhase::prepared;
  }
  if (ballot.decision == Decision::released) {
    const bool whole = phase_ != MigrationPhase::post_copy;
    report.phase = whole ? MigrationPhase::owned : MigrationPhase::post_copy;
    if (ballot.carried_out) report.phase = MigrationPhase::completed;
  }
  if (ballot.decision == Decision::aborted && ballot.carried_out) report.phase = MigrationPhase::aborted;
  report.progress = progress_;
  if (report.phase == MigrationPhase::in_doubt) {
    report.error = fmt::format(
        "host {} or its cloud {} must say who has the instance, and neither can be reached; if both are dead for ever, "
        "godwit instance resolve {} --fence",
        record_.source.host, record_.source.cloud, record_.spec.id);
  }
  if (handover_.known().disputed) report.error = kDisputed;
  return report;
}

Standing standing_of_destination(const Record& record) {
  const Ballot& ballot = record.ballot;
  if (ballot.decision == Decision::aborted) return ballot.carried_out ? Standing::may_run : Standing::gone;
  return ballot.decision == Decision::released && ballot.carried_out ? Standing::may_run : Standing::must_not_run;
}

}  // namespace godwit::migrate
