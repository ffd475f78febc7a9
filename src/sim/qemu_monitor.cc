#include "sim/qemu_monitor.h"

#include "sys/lines.h"

namespace godwit::sim {
namespace {

constexpr std::size_t kLineLimit = 1024UL * 1024;
constexpr const char* kGreeting =
    R"({"QMP":{"version":{"qemu":{"micro":22,"minor":2,"major":7},"package":"simulated"},"capabilities":["oob"]}})";

json::object refusal(const Error& error) {
  const char* kind = "GenericError";
  if (error.code == Errc::not_found) kind = "DeviceNotActive";
  if (error.code == Errc::unsupported) kind = "CommandNotFound";
  return {{"class", kind}, {"desc", error.message}};
}

}  // namespace

sys::Task<void> MainLoop::wait_free() {
  while (holds_ > 0) co_await freed_.wait();
}

struct QemuMonitor::Client {
  Client(const sys::Executor& executor, std::unique_ptr<sys::Stream> connected)
      : stream(std::move(connected)), changed(executor) {}
  std::unique_ptr<sys::Stream> stream;
  std::deque<std::string> outbox;
  bool negotiated{false};
  bool gone{false};
  sys::Signal changed;
};

QemuMonitor::QemuMonitor(sys::Runtime& runtime, MainLoop& loop, Execute execute)
    : runtime_(runtime), loop_(loop), execute_(std::move(execute)), gate_(runtime.executor) {}

Result<> QemuMonitor::open(const std::string& path) {
  auto listener = runtime_.local.listen(path, 0600, 0);
  if (!listener) return pass(listener);
  gate_.spawn(serve(std::move(*listener)));
  return {};
}

sys::Task<void> QemuMonitor::serve(std::unique_ptr<sys::Listener> listener) {
  for (;;) {
    auto stream = co_await listener->accept();
    if (!stream) co_return;
    co_await loop_.wait_free();
    auto client = std::make_shared<Client>(runtime_.executor, std::move(*stream));
    client->outbox.emplace_back(std::string(kGreeting) + "\r\n");
    client_ = client;
    gate_.spawn(write(client));
    co_await read(client);
    client->gone = true;
    client->stream->close();
    client->changed.notify();
    client_.reset();
  }
}

sys::Task<void> QemuMonitor::write(std::shared_ptr<Client> client) {
  while (!client->gone) {
    if (client->outbox.empty()) {
      co_await client->changed.wait();
      continue;
    }
    const auto line = std::move(client->outbox.front());
    client->outbox.pop_front();
    const auto written = co_await client->stream->write(as_bytes(line));
    if (!written) co_return;
  }
}

sys::Task<void> QemuMonitor::read(std::shared_ptr<Client> client) {
  sys::LineReader lines(*client->stream, kLineLimit);
  for (;;) {
    const auto line = co_await lines.next();
    if (!line) co_return;
    co_await loop_.wait_free();
    const auto reply = co_await answer(*client, std::string(*line));
    send(*client, reply);
  }
}

sys::Task<json::object> QemuMonitor::answer(Client& client, std::string line) {
  json::object reply;
  const auto request = wire::parse_json(line, kLineLimit);
  const auto* object = request ? request->if_object() : nullptr;
  const auto* execute = object ? object->if_contains("execute") : nullptr;
  if (!execute || !execute->is_string()) {
    reply["error"] = refusal({Errc::invalid_argument, "QMP input lacks member 'execute'"});
    co_return reply;
  }
  if (const auto* id = object->if_contains("id")) reply["id"] = *id;
  const auto command = std::string(execute->get_string());
  if (!client.negotiated && command != "qmp_capabilities") {
    reply["error"] = refusal({Errc::unsupported, "Expecting capabilities negotiation with 'qmp_capabilities'"});
    co_return reply;
  }
  client.negotiated = true;
  const auto* arguments = object->if_contains("arguments");
  json::object given;
  if (arguments && arguments->is_object()) given = arguments->get_object();
  const auto result = co_await execute_(command, std::move(given));
  if (result) {
    reply["return"] = *result;
  } else {
    reply["error"] = refusal(result.error());
  }
  co_return reply;
}

void QemuMonitor::send(Client& client, const json::object& message) {
  client.outbox.emplace_back(wire::print_json(message) + "\r\n");
  client.changed.notify();
}

json::object QemuMonitor::timestamp() const {
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(runtime_.clock.now().time_since_epoch());
  return {{"seconds", now.count() / 1'000'000}, {"microseconds", now.count() % 1'000'000}};
}

void QemuMonitor::event(const std::string& name, json::object data) {
  if (!client_ || !client_->negotiated) return;
  json::object message{{"timestamp", timestamp()}, {"event", name}};
  if (!data.empty()) message["data"] = std::move(data);
  send(*client_, message);
}

}  // namespace godwit::sim
