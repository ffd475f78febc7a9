// Certificates, signing requests and keys that others send as PEM.
// Input: what to read it as (one byte), and the PEM.
#include "base/assert.h"
#include "crypto/identity.h"
#include "support/counting_random.h"
#include "support/input.h"

namespace {

using namespace godwit;

const crypto::Validity kEver{WallTime{Seconds{1'700'000'000}}, WallTime{Seconds{1'800'000'000}}};

struct Cloud {
  testing::CountingRandom random;
  crypto::Key key{crypto::Key::generate().value()};
  std::string pem{crypto::make_authority(key, "cloud-a", kEver, random).value()};
};

void sign(Cloud& cloud, std::string_view request) {
  const auto info = crypto::inspect_request(request);
  const auto certificate =
      crypto::sign_request(cloud.key, cloud.pem, request, "a1.cloud-a.godwit", kEver, cloud.random);
  GODWIT_ASSERT(info.has_value() == certificate.has_value());
  if (!certificate) return;
  // Whatever was asked for, the certificate says what its signer chose.
  const auto made = crypto::inspect_certificate(*certificate);
  GODWIT_ASSERT(made && made->name == "a1.cloud-a.godwit" && !made->authority);
  GODWIT_ASSERT(made->key_sha256 == info->key_sha256);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Cloud cloud;
  fuzz::Input input(data, size);
  switch (input.byte()) {
    case 'r': sign(cloud, input.text()); break;
    case 'k': {
      const auto key = crypto::Key::from_pem(input.text());
      if (key) GODWIT_ASSERT(crypto::Key::from_pem(key->to_pem())->sha256() == key->sha256());
      break;
    }
    default: {
      const auto info = crypto::inspect_certificate(input.text());
      if (info) GODWIT_ASSERT(info->key_sha256.size() == 64);
    }
  }
  return 0;
}
