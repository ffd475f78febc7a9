// Tickets and tokens that anybody may show.
// Input: 's' and a payload to sign, or any other byte and the text of a ticket.
#include "crypto/ticket.h"

#include "base/assert.h"
#include "crypto/token.h"
#include "support/counting_random.h"
#include "support/input.h"

namespace {

using namespace godwit;

crypto::TicketSigner make_signer() {
  testing::CountingRandom random;
  return crypto::TicketSigner::generate(random);
}

void read_encodings(std::string_view text) {
  if (const auto bytes = from_hex(text)) GODWIT_ASSERT(to_hex(*bytes).size() == text.size());
  if (const auto bytes = from_base64url(text)) GODWIT_ASSERT(to_base64url(*bytes).size() == text.size());
  GODWIT_ASSERT(crypto::token_matches(text, crypto::token_digest(text)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const crypto::TicketSigner signer = make_signer();
  fuzz::Input input(data, size);
  const bool sign = input.byte() == 's';
  const auto text = input.text();
  if (!sign) {
    // Whatever opens is, to the letter, what signing gives.
    if (const auto payload = signer.verifier().open(text)) GODWIT_ASSERT(signer.sign(*payload) == std::string(text));
    static_cast<void>(crypto::TicketVerifier::from_hex(text));
    read_encodings(text);
  } else if (const auto ticket = signer.sign(text)) {
    GODWIT_ASSERT(signer.verifier().open(*ticket) == std::string(text));
  }
  return 0;
}
