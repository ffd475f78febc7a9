// The guests' metadata service: any request of any guest.
// Input: requests, each METHOD PATH, newline, token's age, newline, token, newline. "=" stands for the last token
// given.
#include "agent/metadata.h"

#include "base/assert.h"
#include "support/counting_random.h"
#include "support/input.h"

namespace {

using namespace godwit;

constexpr int kMostRequests = 64;

class StoppedClock final : public sys::Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return {}; }
  [[nodiscard]] WallTime wall_now() const override { return {}; }
  [[nodiscard]] sys::Task<void> sleep_until(TimePoint /*deadline*/) override { co_return; }
};

agent::Guest guest() {
  agent::Guest out;
  out.spec.id = "i-0123456789abcdef0";
  out.spec.name = "demo-1";
  out.spec.tenant = "alice";
  out.spec.type = "t3.nano";
  out.spec.roles = {"head", "db"};
  out.spec.interface = {"net-0123456789abcdef0", "02:00:00:00:00:01", "10.77.0.11"};
  out.spec.ssh_keys = {"ssh-ed25519 AAAA one"};
  out.spec.user_data = "the user's own";
  out.cloud = "cloud-a";
  out.domain = "demo.internal";
  out.cidr = "10.77.0.0/24";
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  StoppedClock clock;
  testing::CountingRandom random;
  agent::Metadata service(clock, random, [](const std::string& id) { GODWIT_ASSERT(id == guest().spec.id); });
  service.set_guests({guest()});
  std::string last_token;
  bool given = false;
  for (int i = 0; i < kMostRequests && !input.empty(); ++i) {
    sys::HttpRequest request;
    request.remote = "10.77.0.11:40000";
    request.method = input.until(' ');
    request.path = input.until('\n');
    request.headers["x-aws-ec2-metadata-token-ttl-seconds"] = input.until('\n');
    const auto token = input.until('\n');
    request.headers["x-aws-ec2-metadata-token"] = token == "=" ? last_token : token;
    const auto response = service.answer(request);
    GODWIT_ASSERT(response.status >= 200 && response.status < 500);
    // Secrets only for who holds a token.
    if (!given) GODWIT_ASSERT(response.body.find(guest().spec.user_data) == std::string::npos);
    if (request.method == "PUT" && response.status == 200) {
      last_token = response.body;
      given = true;
    }
  }
  return 0;
}
