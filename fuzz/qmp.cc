// QEMU's monitor, from a QEMU that its guest has taken over.
// Input: the length of the pieces in which it writes (two bytes, big-endian, in units of 16), and what it writes.
#include "hypervisor/qmp.h"

#include "support/input.h"
#include "support/one_host.h"

namespace {

using namespace godwit;

constexpr const char* kPath = "/run/qmp.sock";

sys::Task<void> taken_over(sys::Listener& listener, ByteView script, std::size_t piece) {
  const auto stream = co_await listener.accept();
  if (!stream) co_return;
  while (!script.empty()) {
    const auto part = script.first(std::min(piece, script.size()));
    const auto written = co_await (*stream)->write(part);
    if (!written) co_return;
    script = script.subspan(part.size());
  }
}

sys::Task<void> use(sys::Runtime& runtime) {
  auto qmp = co_await hypervisor::Qmp::connect(runtime, kPath);
  if (!qmp) co_return;
  const auto mark = (*qmp)->mark();
  const auto status = co_await (*qmp)->execute("query-status", wire::json::object(), Seconds{1});
  if (!status) GODWIT_ASSERT(!status.error().message.empty());
  const std::function<bool(const hypervisor::QmpEvent&)> any = [](const auto& event) { return event.name == "STOP"; };
  const auto event = co_await (*qmp)->wait_event(mark, any, Seconds{1});
  if (event) GODWIT_ASSERT(event->sequence >= mark);
  co_await (*qmp)->close();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t piece = 16U * (1U + (static_cast<std::size_t>(input.byte()) << 8U | input.byte()));
  fuzz::OneHost host;
  auto listener = host.runtime().local.listen(kPath, 0600, 0);
  GODWIT_ASSERT(listener);
  host.spawn(taken_over(**listener, input.bytes(), piece));
  host.run(use(host.runtime()));
  return 0;
}
