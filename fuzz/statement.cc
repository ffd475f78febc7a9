// What clouds say under their CA's key, as anybody may send it.
// Input: 't' and text, or any other byte and the bytes of a statement.
#include "base/assert.h"
#include "crypto/host_record.h"
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

// What can be read is spelled in one way; and nobody has signed it with this key.
void read_host_record(const Cloud& cloud, ByteView bytes) {
  GODWIT_ASSERT(!crypto::open_host_record(bytes, cloud.authority, kNow));
  const auto read = crypto::read_host_record(bytes);
  if (!read) return;
  const auto again = crypto::encode_host_record(*read);
  GODWIT_ASSERT(again && bytes.size() == again->size() + crypto::kStatementSignature);
  GODWIT_ASSERT(std::equal(again->begin(), again->end(), bytes.begin()));
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
      read_host_record(cloud, *bytes);
    }
    return 0;
  }
  read_host_record(cloud, as_bytes(input.text()));
  return 0;
}
