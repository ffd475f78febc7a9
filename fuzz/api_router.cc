// The APIs' router: methods, paths, bearer tokens and bodies of any client.
// Input: METHOD PATH, newline, Authorization header, newline, body.
#include "api/router.h"
#include "support/input.h"
#include "support/run_dry.h"
#include "wire/cluster.h"

#include <set>

namespace {

using namespace godwit;

sys::Task<Result<sys::HttpResponse>> answer(api::Call call) {
  GODWIT_ASSERT(call.id().size() <= 128 && !call.id().empty());
  GODWIT_ASSERT(call.bearer_token().size() <= call.request.headers["authorization"].size());
  const auto body = api::decode_body<wire::ClusterSpec>(call);
  co_return api::encode_answer(body);
}

api::Router make_router() {
  api::Router router;
  for (const auto* pattern : {"/v1/clusters/{id}", "/v1/clusters/{id}/members", "/v1/instances/{id}"}) {
    api::Route route;
    route.method = "POST";
    route.pattern = pattern;
    route.handler = answer;
    router.add(std::move(route));
  }
  return router;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const api::Router router = make_router();
  fuzz::Input input(data, size);
  sys::HttpRequest request;
  request.method = input.until(' ');
  request.path = input.until('\n');
  request.headers["authorization"] = input.until('\n');
  request.body = input.text();
  const auto response = fuzz::run_dry(router.handle(std::move(request)));
  static const std::set<int> known{200, 400, 404, 405};
  GODWIT_ASSERT(known.contains(response.status));
  GODWIT_ASSERT(wire::parse_json(response.body));
  return 0;
}
