#include "os/http_wire.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <limits>
#include <optional>

namespace godwit::os {
namespace http = boost::beast::http;
namespace {

using Fields = http::fields;

constexpr std::size_t kResponseHeaderBytes = 64UL * 1024;
constexpr std::size_t kPairs = 1024;  // of a query

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Percent-decoding (RFC 3986). Nothing for a broken escape or a NUL, which would cut a path short somewhere below.
std::optional<std::string> decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i] == '+' && plus_is_space ? ' ' : text[i];
    }
  }
  return out;
}

std::string encode(std::string_view text, std::string_view also_safe) {
  std::string out;
  for (const char c : text) {
    const bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (alnum || std::string_view("-._~").find(c) != std::string_view::npos ||
        also_safe.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::optional<std::map<std::string, std::string>> parse_query(std::string_view text) {
  std::map<std::string, std::string> pairs;
  while (!text.empty()) {
    const auto end = text.find('&');
    const auto pair = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    const auto name = decode(pair.substr(0, equals), true);
    const auto value = decode(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), true);
    if (!name || !value || pairs.size() >= kPairs) return std::nullopt;
    pairs[*name] = *value;
  }
  return pairs;
}

std::map<std::string, std::string> headers_of(const Fields& fields) {
  std::map<std::string, std::string> headers;
  for (const auto& field : fields) {
    std::string name(field.name_string());
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    auto& value = headers[name];
    if (!value.empty()) value += ", ";  // RFC 9110, section 5.3
    value += std::string_view(field.value());
  }
  return headers;
}

// Gives `parser` all that it takes from the front of `buffer`.
template <class Parser>
boost::system::error_code put_all(Parser& parser, std::string& buffer) {
  boost::system::error_code error;
  std::size_t used = 0;
  while (used < buffer.size() && !parser.is_done()) {
    const auto count = parser.put(boost::asio::buffer(buffer.data() + used, buffer.size() - used), error);
    used += count;
    if (error || count == 0) break;
  }
  buffer.erase(0, used);
  return error == http::error::need_more ? boost::system::error_code() : error;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

}  // namespace

// --- Requests
// ---------------------------------------------------------------------------------------------------------

struct RequestReader::Impl {
  http::request_parser<http::string_body> parser;
};

RequestReader::RequestReader(const sys::HttpLimits& limits) : impl_(std::make_unique<Impl>()) {
  impl_->parser.eager(true);
  impl_->parser.header_limit(static_cast<std::uint32_t>(limits.header_bytes));
  impl_->parser.body_limit(limits.body_bytes);
}
RequestReader::~RequestReader() = default;

Result<> RequestReader::feed(std::string& buffer) {
  const auto error = put_all(impl_->parser, buffer);
  if (!error) return {};
  if (error == http::error::header_limit) {
    refusal_ = 431;
    return fail(Errc::exhausted, "the request's header is too large");
  }
  if (error == http::error::body_limit) {
    refusal_ = 413;
    return fail(Errc::exhausted, "the request's body is too large");
  }
  refusal_ = 400;
  return fail(Errc::invalid_argument, "the request is no HTTP: {}", error.message());
}

bool RequestReader::header_done() const { return impl_->parser.is_header_done(); }
bool RequestReader::done() const { return impl_->parser.is_done(); }
bool RequestReader::keep_alive() const { return impl_->parser.keep_alive(); }
bool RequestReader::expects_continue() const {
  return boost::beast::iequals(impl_->parser.get()[http::field::expect], "100-continue");
}

Result<sys::HttpRequest> RequestReader::take() {
  auto& message = impl_->parser.get();
  const std::string_view target(message.target());
  const auto question = target.find('?');
  auto path = decode(target.substr(0, question), false);
  auto query = parse_query(question == std::string_view::npos ? std::string_view() : target.substr(question + 1));
  refusal_ = 400;
  if (!path || !path->starts_with('/')) return fail(Errc::invalid_argument, "the request's path is malformed");
  if (!query) return fail(Errc::invalid_argument, "the request's query is malformed");
  sys::HttpRequest request;
  request.method = std::string(message.method_string());
  request.path = std::move(*path);
  request.query = std::move(*query);
  request.headers = headers_of(message);
  request.body = std::move(message.body());
  return request;
}

// --- Responses
// --------------------------------------------------------------------------------------------------------

struct ResponseReader::Impl {
  http::response_parser<http::string_body> parser;
  std::function<void(std::string)> on_chunk;
  std::function<std::size_t(std::uint64_t, boost::beast::string_view, boost::system::error_code&)> take_chunk;
  std::string chunk;
  std::size_t limit_bytes{0};

  // Beast gives a chunk in the pieces that came.
  std::size_t append_chunk(std::uint64_t remain, std::string_view piece, boost::system::error_code& error) {
    if (remain > limit_bytes || chunk.size() + piece.size() > limit_bytes) {
      error = http::error::body_limit;
      return 0;
    }
    chunk += piece;
    if (piece.size() == remain && !chunk.empty()) on_chunk(std::exchange(chunk, {}));
    return piece.size();
  }
};

ResponseReader::ResponseReader(bool to_head, std::size_t body_bytes, std::function<void(std::string)> on_chunk)
    : impl_(std::make_unique<Impl>()) {
  auto& parser = impl_->parser;
  parser.eager(false);  // until its header is read: see feed()
  parser.header_limit(kResponseHeaderBytes);
  impl_->limit_bytes = body_bytes;
  impl_->on_chunk = std::move(on_chunk);
  if (to_head) parser.skip(true);
  if (!impl_->on_chunk) {
    parser.body_limit(body_bytes);
    return;
  }
  parser.body_limit(std::numeric_limits<std::uint64_t>::max());  // a watch has no end; each chunk has its limit
  impl_->take_chunk = [impl = impl_.get()](std::uint64_t remain, boost::beast::string_view piece,
                                           boost::system::error_code& error) {
    return impl->append_chunk(remain, std::string_view(piece.data(), piece.size()), error);
  };
  parser.on_chunk_body(impl_->take_chunk);
}
ResponseReader::~ResponseReader() = default;

Result<> ResponseReader::feed(std::string& buffer) {
  auto& parser = impl_->parser;
  boost::system::error_code error;
  while (!error && !buffer.empty() && !parser.is_header_done()) {
    const auto count = parser.put(boost::asio::buffer(buffer), error);
    buffer.erase(0, count);
  }
  if (error == http::error::need_more) return {};
  // Beast would make room for whatever length it is told.
  if (!error && parser.content_length().value_or(0) > impl_->limit_bytes) error = http::error::body_limit;
  parser.eager(true);
  if (!error) error = put_all(parser, buffer);
  if (!error && impl_->parser.get().body().size() <= impl_->limit_bytes) return {};
  return fail(Errc::protocol, "the response is no HTTP of ours: {}", error ? error.message() : "its body is too large");
}

Result<> ResponseReader::feed_end() {
  boost::system::error_code error = boost::beast::http::error::partial_message;
  if (impl_->parser.got_some()) impl_->parser.put_eof(error);
  if (error) return fail(Errc::unavailable, "the server closed the stream before its answer was whole");
  return {};
}

bool ResponseReader::started() const { return impl_->parser.got_some(); }
bool ResponseReader::done() const { return impl_->parser.is_done(); }
bool ResponseReader::keep_alive() const { return impl_->parser.keep_alive() && !impl_->parser.need_eof(); }

sys::HttpResponse ResponseReader::take() {
  auto& message = impl_->parser.get();
  sys::HttpResponse response;
  response.status = static_cast<int>(message.result_int());
  response.headers = headers_of(message);
  response.body = std::move(message.body());
  return response;
}

// --- Writers
// ----------------------------------------------------------------------------------------------------------

Result<std::string> write_request(const sys::HttpRequest& request, std::string_view host) {
  std::string target = encode(request.path, "/:@!$&'()*,;=");
  char separator = '?';
  for (const auto& [name, value] : request.query) {
    target += separator + encode(name, "") + '=' + encode(value, "");
    separator = '&';
  }
  std::string text = fmt::format("{} {} HTTP/1.1\r\nhost: {}\r\n", request.method, target, host);
  const bool typed = request.headers.contains("content-type");
  if (!request.body.empty() && !typed) text += "content-type: application/json\r\n";
  const bool may_have_body = request.method != "GET" && request.method != "HEAD" && request.method != "DELETE";
  if (!request.body.empty() || may_have_body) text += fmt::format("content-length: {}\r\n", request.body.size());
  if (has_control(request.method) || has_control(host)) {
    return fail(Errc::invalid_argument, "request {}: a control character in the method or host", request.path);
  }
  for (const auto& [name, value] : request.headers) {
    if (has_control(name) || has_control(value)) {
      return fail(Errc::invalid_argument, "request {}: a control character in header {}", request.path,
                  encode(name, ""));
    }
    text += fmt::format("{}: {}\r\n", name, value);
  }
  return text + "\r\n" + request.body;
}

std::string write_response(const sys::HttpResponse& response, Framing framing, bool to_head, bool keep_alive) {
  const auto reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(response.status)));
  std::string text = fmt::format("HTTP/1.1 {} {}\r\n", response.status, std::string_view(reason.data(), reason.size()));
  if (!response.headers.contains("content-type")) text += "content-type: application/json\r\n";
  for (const auto& [name, value] : response.headers) {
    std::string safe = value;  // what a handler copied from outside must not split the response
    std::replace_if(safe.begin(), safe.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
    text += fmt::format("{}: {}\r\n", name, safe);
  }
  const bool bodiless = response.status == 204 || response.status == 304 || response.status < 200;
  if (framing == Framing::chunked) {
    text += "transfer-encoding: chunked\r\n";
  } else if (!bodiless) {
    text += fmt::format("content-length: {}\r\n", response.body.size());
  }
  if (!keep_alive) text += "connection: close\r\n";
  text += "\r\n";
  if (framing == Framing::counted && !to_head && !bodiless) text += response.body;
  return text;
}

std::string write_chunk(std::string_view content) {
  if (content.empty()) return "0\r\n\r\n";
  return fmt::format("{:x}\r\n{}\r\n", content.size(), content);
}

sys::HttpResponse error_response(int status, Errc code, std::string_view message) {
  const boost::json::value body{{"error", {{"code", to_string(code)}, {"message", message}}}};
  sys::HttpResponse response;
  response.status = status;
  response.body = boost::json::serialize(body);
  return response;
}

}  // namespace godwit::os
