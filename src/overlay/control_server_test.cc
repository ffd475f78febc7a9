#include "overlay/control_server.h"

#include "support/pipes.h"
#include "support/scripted_listener.h"
#include "support/virtual_time.h"
#include "sys/accepting.h"
#include "sys/lines.h"

namespace godwit::overlay {
namespace {

sys::Task<wire::SwitchReply> answer(wire::SwitchRequest /*request*/) {
  wire::SwitchReply reply;
  reply.peers = 3;
  co_return reply;
}
sys::Task<void> capture(wire::SwitchRequest /*request*/, sys::Stream& /*stream*/) { co_return; }

TEST(ControlServer, AnswersWhoComesAfterOneThatCouldNotBeAccepted) {
  godwit::testing::VirtualTime time;
  auto [client, served] = godwit::testing::pipe(time.executor(), 1);
  std::deque<godwit::testing::ScriptedListener::Came> script;
  script.emplace_back(fail(Errc::io, "accept"));
  script.emplace_back(std::move(served));
  script.emplace_back(fail(Errc::closed, "closed"));
  auto listener = std::make_unique<godwit::testing::ScriptedListener>(std::move(script));
  ControlServer server(time.executor(), time, std::move(listener), answer, capture, Log());
  server.start();
  wire::SwitchRequest request;
  request.id = 7;
  request.op = wire::SwitchOp::stats;
  const auto line = wire::encode(request) + "\n";
  ASSERT_TRUE(time.wait(client->write(as_bytes(line))));
  auto ask = [](sys::Stream& stream) -> sys::Task<std::string> {
    sys::LineReader lines(stream, ControlServer::kLineLimit);
    const auto next = co_await lines.next();
    co_return next ? std::string(*next) : next.error().message;
  };
  const auto reply = wire::decode<wire::SwitchReply>(time.wait(ask(*client)));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->id, 7U);
  EXPECT_EQ(reply->peers, 3U);
  time.wait(server.stop());
}

}  // namespace
}  // namespace godwit::overlay
