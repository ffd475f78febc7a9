// The server side of HTTP, over TLS, TCP or a unix socket.
#pragma once

#include "base/log.h"
#include "os/tls.h"
#include "sys/http.h"

namespace godwit::os {

struct HttpTimes {
  Seconds handshake{5};
  Seconds header{10};  // from a request's first byte to the end of its header
  Seconds body{60};    // 4 MiB at 0.6 Mbit/s
  Seconds write{60};   // of a response, or of one chunk of a watch
};

// `tls` is for HttpTls::server. A host that starts with "/" is the path of a unix socket, of mode 0660. At the limit of
// connections, the one that has been idle for longest is closed for a new one. The clock and what the handler refers to
// outlive the server; handlers that still run when it closes are cancelled, and unwind when the executor next runs.
[[nodiscard]] Result<std::unique_ptr<sys::HttpServer>> serve_http(const sys::Executor& executor, sys::Clock& clock,
                                                                  Log log, std::shared_ptr<Tls> tls,
                                                                  const sys::HttpListen& where,
                                                                  sys::HttpHandler handler, HttpTimes times = {});

}  // namespace godwit::os
