#include "tunnel/hello.h"

#include <gtest/gtest.h>

#include "tunnel/sockets.h"

namespace godwit::tunnel {
namespace {

const std::string kMigration = "mig-0123456789abcdef0";

Hello memory_hello() {
  Hello hello;
  hello.version = kProtocolVersion;
  hello.channel = Channel::memory;
  hello.guest = 3;
  hello.migration = kMigration;
  hello.tenant = "default";
  hello.encodings = {"zstd", "plain"};
  return hello;
}

// docs/protocols/tunnel.md has these bytes.
TEST(TunnelHello, IsTheseBytes) {
  const auto bytes = migrate::pack(memory_hello());
  EXPECT_EQ(to_hex(ByteView(bytes).first(4)), "0000008a");
  EXPECT_EQ(as_text(ByteView(bytes).subspan(4)),
            R"({"version":1,"channel":"memory","guest":3,"migration":"mig-0123456789abcdef0","tenant":"default",)"
            R"("images":[],"encodings":["zstd","plain"]})");
}

TEST(TunnelHello, IsReadAsItWasWritten) {
  const auto again = parse_hello(wire::encode(memory_hello()));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(wire::encode(*again), wire::encode(memory_hello()));
}

TEST(TunnelHello, OfLibvirtNeedsNothingOfAGuest) {
  Hello hello;
  hello.version = kProtocolVersion;
  hello.channel = Channel::libvirt;
  EXPECT_TRUE(parse_hello(wire::encode(hello)));
}

TEST(TunnelHello, RefusesWhatItMustNotHold) {
  const auto refused = [](auto change, Errc code) {
    auto hello = memory_hello();
    change(hello);
    const auto parsed = parse_hello(wire::encode(hello));
    return !parsed && parsed.error().code == code;
  };
  EXPECT_TRUE(refused([](Hello& h) { h.version = 0; }, Errc::protocol));
  EXPECT_TRUE(refused([](Hello& h) { h.version = kProtocolVersion + 1; }, Errc::unsupported));
  EXPECT_TRUE(refused([](Hello& h) { h.channel = Channel::none; }, Errc::protocol));
  EXPECT_TRUE(refused([](Hello& h) { h.guest = 0; }, Errc::protocol));
  EXPECT_TRUE(refused([](Hello& h) { h.guest = kGuestsLimit + 1; }, Errc::protocol));
  EXPECT_TRUE(refused([](Hello& h) { h.migration = "../../etc"; }, Errc::protocol));
  EXPECT_TRUE(refused([](Hello& h) { h.tenant = ""; }, Errc::protocol));
  EXPECT_TRUE(refused([](Hello& h) { h.images = {"../disk"}; }, Errc::protocol));
  EXPECT_TRUE(refused([](Hello& h) { h.images.assign(2, std::string(64, 'a')); }, Errc::protocol));
  EXPECT_TRUE(refused([](Hello& h) { h.encodings.clear(); }, Errc::protocol));
  EXPECT_TRUE(refused([](Hello& h) { h.encodings.assign(17, "zstd"); }, Errc::protocol));
}

TEST(TunnelSockets, NumberTheGuestsInTheirPaths) {
  const Sockets sockets{"/run/t/{}.memory", "/run/t/{}.disk", "/run/t/libvirt", 2};
  ASSERT_TRUE(sockets.check());
  EXPECT_EQ(sockets.path(Channel::memory, 1), "/run/t/1.memory");
  EXPECT_EQ(sockets.path(Channel::disk, 2), "/run/t/2.disk");
  EXPECT_EQ(sockets.path(Channel::disk, 3), "");
  EXPECT_EQ(sockets.path(Channel::disk, 0), "");
  EXPECT_EQ(sockets.path(Channel::libvirt, 0), "/run/t/libvirt");
}

TEST(TunnelSockets, SayWhatIsWrong) {
  const auto message = [](const Sockets& sockets) {
    const auto checked = sockets.check();
    return checked ? std::string() : checked.error().message;
  };
  EXPECT_NE(message({"memory", "", "", 1}).find("--memory memory"), std::string::npos);
  EXPECT_NE(message({"/m", "/d{}", "", 2}).find("--memory /m"), std::string::npos);
  EXPECT_NE(message({"", "", "", 1}).find("nothing to carry"), std::string::npos);
  EXPECT_NE(message({"/m", "", "", 0}).find("--guests 0"), std::string::npos);
}

}  // namespace
}  // namespace godwit::tunnel
