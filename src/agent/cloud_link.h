// The agent's calls to clouds: its own (as a host that has joined) and those whose instances it receives. Typed, one
// attempt each.
#pragma once

#include "sys/runtime.h"
#include "wire/cloud_api.h"
#include "wire/observation.h"

namespace godwit::agent {

class CloudLink {
 public:
  // `runtime` outlives the link.
  CloudLink(sys::Runtime& runtime, sys::HttpEndpoint own_cloud) : runtime_(runtime), own_(std::move(own_cloud)) {}

  // Long poll: answered when the desired state's generation is another than report.seen_generation, or after
  // report.wait_ms.
  [[nodiscard]] sys::Task<Result<wire::DesiredState>> sync(wire::HostReport report);
  // What this host's switch saw.
  [[nodiscard]] sys::Task<Result<>> observe(wire::Observation observation);
  [[nodiscard]] sys::Task<Result<wire::RedeemAnswer>> redeem(wire::RedeemRequest request);
  // Tells the own cloud of the source's vote; gives the cloud's.
  [[nodiscard]] sys::Task<Result<wire::Decision>> release(std::string migration);
  [[nodiscard]] sys::Task<Result<wire::Decision>> abort(std::string migration);
  // Asks the cloud of the source, at `api_url` of the cloud named `cloud`, for its vote; it casts one if it has none.
  [[nodiscard]] sys::Task<Result<wire::DecisionAnswer>> resolve(std::string api_url, std::string cloud,
                                                                std::string migration);

  // A call of docs/protocols/image-store.md to the own cloud, with the body of its answer.
  [[nodiscard]] sys::Task<Result<std::string>> image_call(std::string method, std::string path, std::string body);

 private:
  sys::Task<Result<std::string>> call(sys::HttpEndpoint to, std::string method, std::string path, std::string body,
                                      Nanos limit);
  template <class Answer>
  sys::Task<Result<Answer>> post(sys::HttpEndpoint to, std::string path, std::string body, Nanos limit);

  sys::Runtime& runtime_;
  sys::HttpEndpoint own_;
};

}  // namespace godwit::agent
