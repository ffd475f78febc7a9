#include "agent/served_base.h"

namespace godwit::agent {
namespace {

constexpr Millis kServerAgain{500};  // after one has been started, before the next is

}  // namespace

ServedBase::ServedBase(sys::Runtime& runtime, Options options, image::PieceDesk::Want want, std::function<void()> ended)
    : runtime_(runtime), options_(std::move(options)), want_(std::move(want)), ended_(std::move(ended)) {}

ServedBase::~ServedBase() = default;

sys::Task<Result<>> ServedBase::ensure(PartialDisk disk) {
  may_be_there_ = true;
  if (!desk_) {
    image::PieceDeskOptions options;
    options.socket = image::desk_socket_of(options_.directory);
    options.uid = options_.uid;
    options.first_piece = disk.first_piece;
    options.bytes = disk.bytes;
    auto desk = std::make_unique<image::PieceDesk>(runtime_, std::move(options), disk.pieces, want_);
    const auto started = desk->start();
    if (!started) co_return fail(started, "serve its disk");
    desk_ = std::move(desk);
  }
  auto program = options_.program;
  auto directory = options_.directory;
  const auto server = co_await image::ensure_disk_server(runtime_, std::move(program), std::move(directory),
                                                         std::move(disk.file), options_.uid);
  if (!server) co_return pass(server);
  if (*server != watched_) {
    watched_ = *server;
    started_at_ = runtime_.clock.now();
    if (!gate_) gate_ = std::make_unique<sys::Gate>(runtime_.executor);
    gate_->spawn(watch(*server));
  }
  co_return Result<>{};
}

// One that ends as soon as it is started is started seldom.
sys::Task<void> ServedBase::watch(sys::ProcessId process) {
  co_await runtime_.processes.wait_gone(process);
  const auto until = started_at_ + kServerAgain;
  if (runtime_.clock.now() < until) co_await runtime_.clock.sleep_until(until);
  if (watched_ != process) co_return;
  watched_ = {};
  ended_();
}

sys::Task<Result<>> ServedBase::end() {
  if (!may_be_there_) co_return Result<>{};
  watched_ = {};
  auto directory = options_.directory;
  const auto ended = co_await image::end_disk_server(runtime_, std::move(directory));
  co_await let_go();
  if (!ended) co_return ended;
  may_be_there_ = false;
  co_return Result<>{};
}

sys::Task<void> ServedBase::let_go() {
  watched_ = {};
  if (const auto gate = std::move(gate_)) co_await gate->close();
  if (const auto desk = std::move(desk_)) co_await desk->stop();
}

std::vector<std::uint32_t> ServedBase::touched() const {
  return desk_ ? desk_->touched() : std::vector<std::uint32_t>();
}

}  // namespace godwit::agent
