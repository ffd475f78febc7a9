#include "os/http_wire.h"

#include "support/counting_random.h"

#include <gtest/gtest.h>

#include <array>

namespace godwit::os {
namespace {

const std::string kRequest =
    "POST /v1/instances%2Fx?b=2&a=%26+1 HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nx-one: 2\r\ntransfer-encoding: "
    "chunked\r\n\r\n"
    "3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\n\r\n";

// The request in pieces, as they come from a socket; empty when it is refused.
std::optional<sys::HttpRequest> read_in_pieces(std::string_view text, std::size_t first, std::size_t then) {
  RequestReader reader(sys::HttpLimits{});
  std::string buffer;
  while (!text.empty() && !reader.done()) {
    const auto piece = text.substr(0, std::min(first, text.size()));
    text.remove_prefix(piece.size());
    buffer += piece;
    if (!reader.feed(buffer)) return std::nullopt;
    first = then;
  }
  if (!reader.done()) return std::nullopt;
  auto request = reader.take();
  return request ? std::optional(std::move(*request)) : std::nullopt;
}

TEST(HttpWire, ARequestIsTheSameInWhateverPiecesItComes) {
  for (std::size_t cut = 1; cut <= kRequest.size(); ++cut) {
    for (const std::size_t then : {std::size_t{1}, kRequest.size()}) {
      const auto request = read_in_pieces(kRequest, cut, then);
      ASSERT_TRUE(request) << "cut at " << cut;
      EXPECT_EQ(request->path, "/v1/instances/x");
      EXPECT_EQ(request->query, (std::map<std::string, std::string>{{"a", "& 1"}, {"b", "2"}}));
      EXPECT_EQ(request->headers.at("x-one"), "1, 2");
      EXPECT_EQ(request->body, "abcdefg");
    }
  }
}

TEST(HttpWire, WhatFollowsARequestStays) {
  RequestReader reader(sys::HttpLimits{});
  std::string buffer = kRequest + "GET /next";
  ASSERT_TRUE(reader.feed(buffer));
  EXPECT_TRUE(reader.done());
  EXPECT_EQ(buffer, "GET /next");
}

TEST(HttpWire, DamagedRequestsAreReadOrRefusedNeverMore) {
  testing::CountingRandom random;
  std::array<std::byte, 4> dice{};
  for (int round = 0; round < 20'000; ++round) {
    auto text = kRequest;
    for (int change = 0; change < 3; ++change) {
      random.fill(dice);
      text[load_be16(dice) % text.size()] = static_cast<char>(dice[2]);
    }
    const auto request = read_in_pieces(text, 40, 17);
    EXPECT_TRUE(!request || request->path.starts_with('/'));
  }
}

TEST(HttpWire, AHandlersHeaderCannotSplitTheResponse) {
  sys::HttpResponse response;
  response.headers["x"] = "a\r\nset-cookie: b";
  const auto text = write_response(response, Framing::counted, false, true);
  EXPECT_EQ(text.find("\r\nset-cookie"), std::string::npos) << text;
}

TEST(HttpWire, AResponseIsReadUntilItsServerHangsUp) {
  ResponseReader reader(false, 1000, {});
  std::string buffer = "HTTP/1.0 200 OK\r\n\r\nbody";
  ASSERT_TRUE(reader.feed(buffer));
  EXPECT_FALSE(reader.done());
  ASSERT_TRUE(reader.feed_end());
  EXPECT_TRUE(reader.done());
  EXPECT_FALSE(reader.keep_alive());
  EXPECT_EQ(reader.take().body, "body");
}

TEST(HttpWire, AServerThatHangsUpWithoutAnAnswerIsUnavailable) {
  ResponseReader reader(false, 1000, {});
  EXPECT_EQ(reader.feed_end().error().code, Errc::unavailable);
}

TEST(HttpWire, NoRoomIsMadeForALengthThatIsRefused) {
  for (const bool watched : {false, true}) {
    auto on_chunk = [](const std::string&) {};
    ResponseReader reader(false, 1000, watched ? std::function<void(std::string)>(on_chunk) : nullptr);
    std::string buffer = "HTTP/1.1 200 OK\r\ncontent-length: 9999999999999999\r\n\r\nx";
    EXPECT_FALSE(reader.feed(buffer));
  }
}

TEST(HttpWire, AnEndlessResponseIsRefused) {
  ResponseReader reader(false, 1000, {});
  std::string buffer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n" + std::string(2000, 'x');
  EXPECT_FALSE(reader.feed(buffer));
  ResponseReader until_end(false, 1000, {});
  buffer = "HTTP/1.0 200 OK\r\n\r\n" + std::string(2000, 'x');
  EXPECT_FALSE(until_end.feed(buffer));
}

}  // namespace
}  // namespace godwit::os
