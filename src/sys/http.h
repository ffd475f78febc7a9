// HTTP as a seam: control messages between processes, and the APIs. JSON in and out unless a header says otherwise.
#pragma once

#include "sys/stream.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace godwit::sys {

struct HttpRequest {
  std::string method;                          // "GET"
  std::string path;                            // decoded, without the query: "/v1/instances/i-0123"
  std::map<std::string, std::string> query;    // decoded
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // at most HttpLimits::body_bytes
  std::optional<PeerIdentity> peer;            // where the client showed a certificate that a trusted CA signed
  std::string remote;                          // "10.0.0.2:4711", for logs and for the metadata service's lookups
};

struct HttpResponse {
  int status{200};
  std::string body;
  std::map<std::string, std::string> headers;  // content-type defaults to application/json
  // A watch: after `body`, each call gives the next chunk; an empty chunk or an error ends the response.
  std::function<Task<Result<std::string>>()> next_chunk{};
};

struct HttpLimits {
  std::size_t header_bytes{16UL * 1024};
  std::size_t body_bytes{4UL * 1024 * 1024};
  Seconds idle{75};
  int connections{512};
};

// Called on the server's strand, many at a time interleaved. Never throws.
using HttpHandler = std::function<Task<HttpResponse>(HttpRequest)>;

enum class HttpTls : std::uint8_t {
  none = 1,  // loopback and the guests' metadata service only
  server,    // the server shows a certificate; a client may
};

struct HttpListen {
  std::string host;
  std::uint16_t port{0};  // 0: any free one
  HttpTls tls{HttpTls::server};
  std::string network_namespace;  // a name under /run/netns, empty for the process's own
  std::string device;             // SO_BINDTODEVICE, or empty
  HttpLimits limits{};
};

class HttpServer {
 public:
  virtual ~HttpServer() = default;  // stops
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  virtual void close() = 0;
};

struct HttpEndpoint {
  std::string host;
  std::uint16_t port{0};
  HttpTls tls{HttpTls::server};
  std::string name;  // what the server's certificate must say ("api.cloud-a.godwit")
};

// "https://10.1.0.2:7443". Errors: invalid_argument.
[[nodiscard]] Result<HttpEndpoint> parse_endpoint(std::string_view url, std::string_view name);
[[nodiscard]] std::string to_url(const HttpEndpoint& endpoint);

class Http {
 public:
  virtual ~Http() = default;
  // CAs for both directions: of servers that are called, and of clients that show a certificate.
  virtual void trust(std::vector<TrustedCa> authorities) = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<HttpServer>> serve(const HttpListen& where, HttpHandler handler) = 0;
  // The answer with whatever status, its chunks joined. Errors: unavailable, timed_out, not_authentic, protocol.
  // A failed call may or may not have been carried out: requests that change something are idempotent by their ids.
  [[nodiscard]] virtual Task<Result<HttpResponse>> call(HttpEndpoint to, HttpRequest request, Nanos limit) = 0;
  // The same, with each chunk of a watch given to `on_chunk` as it comes; the response's body is then empty.
  [[nodiscard]] virtual Task<Result<HttpResponse>> watch(HttpEndpoint to, HttpRequest request, Nanos idle_limit,
                                                         std::function<void(std::string)> on_chunk) = 0;
};

}  // namespace godwit::sys
