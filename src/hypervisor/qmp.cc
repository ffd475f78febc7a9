#include "hypervisor/qmp.h"

#include "sys/begun.h"
#include "sys/lines.h"

namespace godwit::hypervisor {
namespace {

constexpr Millis kConnectLimit{5'000};
constexpr std::size_t kLineLimit = 4UL * 1024 * 1024;  // query-qmp-schema, the longest, is 0.2 MiB
constexpr std::size_t kEventsKept = 1024;
constexpr std::size_t kEventsKept_bytes = kLineLimit;  // of their lines

}  // namespace

// A command that is under way; lives in the frame of ask().
struct Qmp::Pending {
  explicit Pending(const sys::Executor& executor) : answered(executor) {}
  sys::Signal answered;
  std::optional<Result<wire::json::value>> answer;
};

Qmp::Qmp(sys::Runtime& runtime, std::unique_ptr<sys::Stream> stream)
    : runtime_(runtime),
      stream_(std::move(stream)),
      gate_(runtime.executor),
      changed_(runtime.executor),
      written_(runtime.executor) {}

Qmp::~Qmp() = default;

sys::Task<Result<std::unique_ptr<Qmp>>> Qmp::connect(sys::Runtime& runtime, std::string path) {
  auto stream = co_await sys::within(runtime.clock, kConnectLimit, "connect " + path, runtime.local.dial(path));
  if (!stream) co_return fail(stream, "QEMU monitor");
  std::unique_ptr<Qmp> made(new Qmp(runtime, std::move(*stream)));
  sys::Begun<Qmp> qmp(runtime.executor, std::move(made), &Qmp::close);
  qmp->gate_.spawn(qmp->read());
  const auto deadline = runtime.clock.now() + kConnectLimit;
  while (!qmp->greeted_ && qmp->connected_ && runtime.clock.now() < deadline) {
    co_await qmp->changed_.wait_until(runtime.clock, deadline);
  }
  Result<wire::json::value> negotiated = fail(Errc::timed_out, "no greeting");
  if (qmp->greeted_) negotiated = co_await qmp->execute("qmp_capabilities", wire::json::object(), kConnectLimit);
  if (negotiated) co_return qmp.take();
  co_await qmp.close();
  co_return fail(negotiated, "QEMU monitor " + path);
}

sys::Task<void> Qmp::read() {
  const auto ended = co_await read_lines();
  runtime_.log.debug("QEMU monitor: {}", ended.error().message);
  connected_ = false;
  stream_->close();
  for (auto& [id, pending] : pending_) {
    if (!pending->answer) pending->answer.emplace(fail(Errc::closed, "the monitor's connection is lost"));
    pending->answered.notify();
  }
  changed_.notify();
}

sys::Task<Result<>> Qmp::read_lines() {
  sys::LineReader lines(*stream_, kLineLimit);
  for (;;) {
    const auto line = co_await lines.next();
    if (!line) co_return pass(line);
    const auto taken = take(*line);
    if (!taken) co_return taken;
  }
}

// One line: the greeting, an event, or the answer to a command.
Result<> Qmp::take(std::string_view line) {
  const auto value = wire::parse_json(line, kLineLimit);
  if (!value) return pass(value);
  const auto* object = value->if_object();
  if (!object) return fail(Errc::protocol, "a line that is no object");
  if (object->contains("QMP")) {
    greeted_ = true;
    changed_.notify();
    return {};
  }
  if (const auto* name = object->if_contains("event"); name && name->is_string()) {
    QmpEvent event;
    event.sequence = next_sequence_++;
    event.line_bytes = line.size();
    event.name = std::string(name->get_string());
    if (const auto* data = object->if_contains("data"); data && data->is_object()) event.data = data->get_object();
    if (listener_) listener_(event);
    keep(std::move(event));
    changed_.notify();
    return {};
  }
  const auto* id = object->if_contains("id");
  const auto found = id && id->is_int64() ? pending_.find(static_cast<std::uint64_t>(id->get_int64())) : pending_.end();
  if (found == pending_.end()) return {};  // its caller has given up
  if (const auto* result = object->if_contains("return")) {
    found->second->answer.emplace(*result);
  } else {
    std::string reason = "unknown error";
    if (const auto* error = object->if_contains("error"); error && error->is_object()) {
      const auto text = [&](const char* key) {
        const auto* field = error->get_object().if_contains(key);
        return field && field->is_string() ? std::string(field->get_string()) : std::string("?");
      };
      reason = text("class") + ": " + text("desc");
    }
    found->second->answer.emplace(fail(Errc::conflict, "{}", reason));
  }
  found->second->answered.notify();
  return {};
}

void Qmp::keep(QmpEvent event) {
  events_bytes_ += event.line_bytes;
  events_.push_back(std::move(event));
  while (events_.size() > kEventsKept || events_bytes_ > kEventsKept_bytes) {
    events_bytes_ -= events_.front().line_bytes;
    events_.pop_front();
  }
}

sys::Task<Result<wire::json::value>> Qmp::ask(std::string command, wire::json::object arguments) {
  Pending pending(runtime_.executor);
  const auto id = next_id_++;
  struct Registered {
    std::map<std::uint64_t, Pending*>& map;
    std::uint64_t id;
    ~Registered() { map.erase(id); }
  } const registered{pending_, id};
  pending_[id] = &pending;

  wire::json::object request;
  request["execute"] = command;
  if (!arguments.empty()) request["arguments"] = std::move(arguments);
  request["id"] = static_cast<std::int64_t>(id);
  const auto line = wire::print_json(request) + "\n";

  while (writing_) co_await written_.wait();
  if (!connected_) co_return fail(Errc::closed, "the monitor's connection is lost");
  {
    // A line that was cut would garble the next one: then the connection ends.
    struct Writing {
      Qmp& qmp;
      bool whole{false};
      explicit Writing(Qmp& q) : qmp(q) { qmp.writing_ = true; }
      ~Writing() {
        if (!whole) qmp.stream_->close();
        qmp.writing_ = false;
        qmp.written_.notify();
      }
    } writing(*this);
    const auto sent = co_await stream_->write(as_bytes(line));
    if (!sent) co_return pass(sent);
    writing.whole = true;
  }
  while (!pending.answer) co_await pending.answered.wait();
  co_return std::move(*pending.answer);
}

sys::Task<Result<wire::json::value>> Qmp::execute(std::string command, wire::json::object arguments, Nanos limit) {
  auto answer = co_await sys::within(runtime_.clock, limit, "the monitor", ask(command, std::move(arguments)));
  if (!answer) co_return fail(answer, command);
  co_return std::move(*answer);
}

sys::Task<Result<QmpEvent>> Qmp::wait_event(std::uint64_t mark, std::function<bool(const QmpEvent&)> wanted,
                                            Nanos limit) {
  const auto deadline = runtime_.clock.now() + limit;
  auto next = mark;
  for (;;) {
    for (const auto& event : events_) {
      if (event.sequence >= next && wanted(event)) co_return event;
    }
    next = next_sequence_;
    if (!connected_) co_return fail(Errc::closed, "the monitor's connection is lost");
    if (runtime_.clock.now() >= deadline) {
      co_return fail(Errc::timed_out, "the event that was waited for did not come within {:.0f} ms", to_ms(limit));
    }
    co_await changed_.wait_until(runtime_.clock, deadline);
  }
}

sys::Task<void> Qmp::lost() {
  while (connected_) co_await changed_.wait();
}

sys::Task<void> Qmp::close() {
  stream_->close();
  co_await gate_.close();
}

}  // namespace godwit::hypervisor
