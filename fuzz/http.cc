// HTTP/1.1 from clients and servers, as it comes in pieces; and URLs.
// Input: what to read it as (one byte), the length of the pieces (one byte), and the bytes.
#include "base/assert.h"
#include "os/http_wire.h"
#include "support/input.h"

namespace {

using namespace godwit;

constexpr std::size_t kBodyLimit = 4UL * 1024;

void read_requests(fuzz::Input input, std::size_t piece) {
  sys::HttpLimits limits;
  limits.header_bytes = 2048;
  limits.body_bytes = kBodyLimit;
  std::string buffer;
  auto reader = std::make_unique<os::RequestReader>(limits);
  while (!input.empty()) {
    buffer += as_text(input.take(piece));
    while (!buffer.empty()) {
      const auto before = buffer.size();
      if (!reader->feed(buffer)) {
        GODWIT_ASSERT(reader->refusal() >= 400 && reader->refusal() < 600);
        return;
      }
      if (!reader->done()) break;
      const auto request = reader->take();
      if (!request) {
        GODWIT_ASSERT(reader->refusal() == 400);
        return;
      }
      GODWIT_ASSERT(request->body.size() <= kBodyLimit);
      if (!reader->keep_alive() || buffer.size() == before) return;
      reader = std::make_unique<os::RequestReader>(limits);
    }
  }
}

void read_response(fuzz::Input input, std::size_t piece) {
  std::size_t in_chunks = 0;
  os::ResponseReader reader(false, kBodyLimit, [&](const std::string& chunk) { in_chunks += chunk.size(); });
  std::string buffer;
  while (!input.empty() && !reader.done()) {
    buffer += as_text(input.take(piece));
    if (!reader.feed(buffer)) return;
  }
  if (!reader.done() && !reader.feed_end()) return;
  if (reader.done()) GODWIT_ASSERT(reader.take().body.size() <= kBodyLimit);
}

void read_url(std::string_view text) {
  const auto endpoint = sys::parse_endpoint(text, "name");
  if (!endpoint) return;
  const auto again = sys::parse_endpoint(sys::to_url(*endpoint), "name");
  GODWIT_ASSERT(again && again->host == endpoint->host && again->port == endpoint->port);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto kind = input.byte();
  const std::size_t piece = 1U + input.byte();
  switch (kind) {
    case 'a': read_response(input, piece); break;
    case 'u': read_url(input.text()); break;
    default: read_requests(input, piece); break;
  }
  return 0;
}
