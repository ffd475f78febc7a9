#include "os/tls.h"

#include "crypto/tls_ciphers.h"
#include "support/event_loop.h"

#include <gtest/gtest.h>
#include <openssl/provider.h>

namespace godwit::os {
namespace {

bool engine_is_loaded() { return OSSL_PROVIDER_available(nullptr, "godwit-ipsec-mb") == 1; }

// 0, or which step was not as it should be.
int connect_once() {
  testing::EventLoop loop;
  Tls tls({});
  if (!tls.trust({}) || engine_is_loaded()) return 1;
  static_cast<void>(tls.connect(Socket(loop.executor()), "api.cloud-a.godwit"));
  const bool loaded = engine_is_loaded();
  return loaded == (crypto::fastest_tls_properties() != nullptr) ? 0 : 2;
}

TEST(Tls, LooksForTheFastestCiphersAtItsFirstConnectionAndNotBefore) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a process of its own, in which nothing is loaded yet
  EXPECT_EXIT(std::exit(connect_once()), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace godwit::os
