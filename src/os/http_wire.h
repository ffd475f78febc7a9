// HTTP/1.1 (RFC 9112) as bytes: readers that take what came, and writers. No I/O. Boost.Beast is in http_wire.cc alone.
#pragma once

#include "sys/http.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace godwit::os {

// One request from a client that may be hostile.
class RequestReader {
 public:
  explicit RequestReader(const sys::HttpLimits& limits);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  // Takes from the front of `buffer` what belongs to this request; what follows it stays. After an error refusal() is
  // the status to answer with, and nothing more can be read from this client.
  [[nodiscard]] Result<> feed(std::string& buffer);
  [[nodiscard]] int refusal() const { return refusal_; }
  [[nodiscard]] bool header_done() const;
  [[nodiscard]] bool done() const;
  [[nodiscard]] bool expects_continue() const;  // the client waits for "100 Continue" before it sends the body
  [[nodiscard]] bool keep_alive() const;
  // Once done(). Errors: invalid_argument (the target), with refusal() 400.
  [[nodiscard]] Result<sys::HttpRequest> take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  int refusal_{400};
};

// One response, with its chunks joined, or given out one by one.
class ResponseReader {
 public:
  // `to_head`: no body follows, whatever the header says. `on_chunk`: gets each chunk of a chunked response, or is
  // empty.
  ResponseReader(bool to_head, std::size_t body_bytes, std::function<void(std::string)> on_chunk);
  ~ResponseReader();
  ResponseReader(const ResponseReader&) = delete;
  ResponseReader& operator=(const ResponseReader&) = delete;

  [[nodiscard]] Result<> feed(std::string& buffer);
  [[nodiscard]] Result<> feed_end();  // the server closed the stream: the end of some responses, an error in others
  [[nodiscard]] bool started() const;
  [[nodiscard]] bool done() const;
  [[nodiscard]] bool keep_alive() const;
  [[nodiscard]] sys::HttpResponse take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Errors: invalid_argument (a control character in a name or value).
[[nodiscard]] Result<std::string> write_request(const sys::HttpRequest& request, std::string_view host);

enum class Framing : std::uint8_t { counted = 1, chunked };
// The header, and with Framing::counted the body unless `to_head`.
[[nodiscard]] std::string write_response(const sys::HttpResponse& response, Framing framing, bool to_head,
                                         bool keep_alive);
[[nodiscard]] std::string write_chunk(std::string_view content);  // an empty one is the last

// {"error":{"code":…,"message":…}}
[[nodiscard]] sys::HttpResponse error_response(int status, Errc code, std::string_view message);

}  // namespace godwit::os
