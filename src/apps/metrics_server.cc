#include "apps/metrics_server.h"

#include "apps/address.h"
#include "base/exposition.h"

namespace godwit::apps {

Result<std::unique_ptr<sys::HttpServer>> serve_metrics(sys::Http& http, std::string_view where,
                                                       std::function<std::string()> text) {
  if (where.empty()) return nullptr;
  const auto address = parse_address("--metrics", where);
  if (!address) return pass(address);
  sys::HttpListen listen;
  listen.host = address->host;
  listen.port = address->port;
  listen.tls = sys::HttpTls::none;
  return http.serve(listen, [text = std::move(text)](sys::HttpRequest request) -> sys::Task<sys::HttpResponse> {
    sys::HttpResponse out;
    out.status = request.path == "/metrics" && request.method == "GET" ? 200 : 404;
    if (out.status == 200) out.body = text();
    out.headers["content-type"] = Exposition::kContentType;
    co_return out;
  });
}

}  // namespace godwit::apps
