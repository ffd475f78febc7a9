// The user data of people, which is merged with ours into one MIME message (docs/formats/user-data.md).
// Input: the user data.
#include "sky/user_data.h"

#include "base/assert.h"
#include "support/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  fuzz::Input input(data, size);
  sky::ClusterContext context;
  context.cluster = "demo";
  context.domain = "demo.internal";
  context.login = {"private", "ssh-ed25519 AAAA login"};
  context.host = {"private", "ssh-ed25519 AAAA host"};
  context.members = {{"demo-1", "10.77.0.11", {"head"}}, {"demo-2", "10.77.0.12", {}}};
  context.user_data = input.text();
  const auto made = sky::user_data_of(context, "demo-1");
  if (!made) {
    GODWIT_ASSERT(made.error().code == Errc::invalid_argument);
    return 0;
  }
  GODWIT_ASSERT(made->size() <= wire::kUserDataLimit);
  const auto again = sky::user_data_of(context, "demo-1");
  GODWIT_ASSERT(again && *again == *made);
  return 0;
}
