// What clouds say under their CA's key, and the claims that are made of it, as anybody may send them.
// Input: 't' and text, or any other byte and the bytes of a statement.
#include "base/assert.h"
#include "crypto/host_record.h"
#include "overlay/location_claim.h"
#include "support/counting_random.h"
#include "support/input.h"

namespace {

using namespace godwit;

constexpr WallTime kNow{Millis(1'800'000'000'000)};

struct Cloud {
  testing::CountingRandom random;
  crypto::Key key{crypto::Key::generate().value()};
  crypto::Authority authority{
      crypto::Authority::from_pem(
          "cloud-a", crypto::make_authority(key, "cloud-a", {kNow, kNow + std::chrono::hours(1)}, random).value())
          .value()};
};

// What can be read is spelled in one way.
void is_spelled_so(ByteView bytes, const Result<ByteVector>& again) {
  GODWIT_ASSERT(again && bytes.size() == again->size() + crypto::kStatementSignature);
  GODWIT_ASSERT(std::equal(again->begin(), again->end(), bytes.begin()));
}

// Nobody has signed it with this key.
void read_statement(const Cloud& cloud, ByteView bytes) {
  GODWIT_ASSERT(!crypto::open_host_record(bytes, cloud.authority, kNow));
  GODWIT_ASSERT(!crypto::open_location_record(bytes, cloud.authority, kNow));
  GODWIT_ASSERT(!crypto::open_hand_off(bytes, cloud.authority, kNow));
  if (const auto read = crypto::read_host_record(bytes)) is_spelled_so(bytes, crypto::encode_host_record(*read));
  if (const auto read = crypto::read_location_record(bytes)) {
    is_spelled_so(bytes, crypto::encode_location_record(*read));
  }
  if (const auto read = crypto::read_hand_off(bytes)) is_spelled_so(bytes, crypto::encode_hand_off(*read));
}

void read_claim(const Cloud& cloud, ByteView bytes) {
  const auto claim = overlay::decode_claim(bytes);
  if (!claim) return;
  const auto again = overlay::encode_claim(*claim);
  GODWIT_ASSERT(std::ranges::equal(again, bytes));
  const overlay::Authorities authorities{{"cloud-a", cloud.authority}};
  const overlay::Claimed of{"net-00000000000000001", 7, "i-00000000000000001"};
  GODWIT_ASSERT(!overlay::judge({"cloud-a", "a1", 1}, of, *claim, authorities, kNow));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Cloud cloud;
  fuzz::Input input(data, size);
  if (input.byte() == 't') {
    const auto text = input.text();
    const auto bytes = crypto::statement_from_text(text);
    if (bytes) {
      GODWIT_ASSERT(to_base64url(*bytes) == text);
      read_statement(cloud, *bytes);
    }
    return 0;
  }
  read_statement(cloud, input.bytes());
  read_claim(cloud, input.bytes());
  return 0;
}
