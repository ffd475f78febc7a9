// GET /metrics of a process, for Prometheus: plain HTTP, for loopback or an operator's own network.
#pragma once

#include "sys/http.h"

#include <functional>
#include <memory>
#include <string>

namespace godwit::apps {

// What --metrics takes.
inline constexpr const char* kMetricsHelp = "IP:PORT, HTTP: /metrics, in Prometheus' text format; off otherwise";

// `where`: "127.0.0.1:9100"; empty: none, and the result is null. `text` is called for each request.
// Errors: invalid_argument, conflict (the port is taken).
[[nodiscard]] Result<std::unique_ptr<sys::HttpServer>> serve_metrics(sys::Http& http, std::string_view where,
                                                                     std::function<std::string()> text);

}  // namespace godwit::apps
