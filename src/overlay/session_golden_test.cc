// The bytes of docs/protocols/session.md. A change of them is a new protocol.
#include "overlay/session_test_host.h"

#include <gtest/gtest.h>

namespace godwit::overlay::testing {
namespace {

constexpr TimePoint kStart{Seconds{1000}};

struct Golden {
  Profile profile;
  std::string_view initiation, response, confirmation, data, cookie;
};

const Golden kGolden[] = {
    {Profile::native,
     "110000004de94da66f593bcdeed35b721038191cd25ccfade5cc9516e41770b2117ab726047c20428ae544e224e57c86846f"
     "d399b88f72087c0ecc364ffcd44a64501828f874899cd84c42519c9cecb0d2f85f8bf57c2d14df4b80b84e5d346bb78b8d80"
     "c240ad7171bf38cca13e3d0d80e4c4288d8a5bd937c9bccec5cc29327c3031c0c06eaae490b4000000000000000000000000"
     "00000000",
     "120000002de551fb4de94da6bcf488c901ff033976c729657672261a09deea9e3f19b9baf057db816660b9548679e0bbc1a4"
     "84e61f4b5bfc760debce7cb536a80f0d743865fedd2c0d0dc92c00000000000000000000000000000000",
     "140000002de551fb00000000000000007c406b48c9676d5ddac83538b1c9b58f",
     "140000002de551fb000000000000000183bc9360d7fd7ab0c7d8517e0c96188efc27eded420a6935edddcaa8c477ad23",
     "1300000001020304abe7d395856457e84a03be4250eef05791c4b9e2251346cafd572bef9d63b08eea96f4770558f14b4587"
     "2eb993b79c2422140212bb0849c6"},
    {Profile::wireguard,
     "01000000a64de94d6f593bcdeed35b721038191cd25ccfade5cc9516e41770b2117ab726047c204206dd8ae2a91ed87db564"
     "7c0b6a6b378241116f082180e77ee707aea11b90ebb3c3170dcbd010f37476eedf3ca0e9336d66bb1c11ab66ac78033f3d8a"
     "3355e3fee35e6b2ddb5d37a534ff715d31d1012f27254156c3495aa46a47261700000000000000000000000000000000",
     "02000000fb51e52da64de94dbcf488c901ff033976c729657672261a09deea9e3f19b9baf057db816660b95425b9a1c2a4b7"
     "145cf48d61ad19bff6effada7e24db15d8e1f28a09cb7c0b4f2900000000000000000000000000000000",
     "04000000fb51e52d0000000000000000db4cb615902834ec0311cd5bdbac7467",
     "04000000fb51e52d0100000000000000ce1fabe81b9978edbcaa860260ee8bee6980c2965b778af8407a936dde2a014e",
     "0300000004030201abe7d395856457e84a03be4250eef05791c4b9e2251346cafd572bef9d63b08eea96f4770558f14b12d8"
     "33ff7fe9eb087bc57d45b3b0bf50"},
};

class Recording {
 public:
  explicit Recording(Profile profile) {
    auto to_b = spec_of(2, profile);
    auto to_a = spec_of(1, profile);
    to_b.psk.writable()[0] = to_a.psk.writable()[0] = std::byte{0x70};
    EXPECT_TRUE(a.sessions.set_record(as_bytes("record")));
    const auto b_id = a.sessions.add(to_b);
    static_cast<void>(b.sessions.add(to_a));
    a.sessions.begin(kStart, b_id);
    initiation = next(a);
    auto bytes = initiation;
    static_cast<void>(b.open(kStart, a, bytes));
    bytes = response = next(b);
    static_cast<void>(a.open(kStart, b, bytes));
    confirmation = next(a);
    data = a.seal(kStart, b_id, "sixteen bytes...");
    DrawnRandom random(3);
    cookie =
        CookieOffice(b.sessions.public_key(), random).reply(kStart, endpoint_of(1), profile, 0x01020304, initiation);
  }

  ByteVector initiation, response, confirmation, data, cookie;

 private:
  static ByteVector next(SessionHost& host) { return host.sessions.take_out().at(0).bytes; }

  SessionHost a{1, 11};
  SessionHost b{2, 12};
};

TEST(SessionGolden, TheBytesOnTheWireAreTheSpecifications) {
  for (const auto& golden : kGolden) {
    const Recording now(golden.profile);
    EXPECT_EQ(to_hex(now.initiation), golden.initiation);
    EXPECT_EQ(to_hex(now.response), golden.response);
    EXPECT_EQ(to_hex(now.confirmation), golden.confirmation);
    EXPECT_EQ(to_hex(now.data), golden.data);
    EXPECT_EQ(to_hex(now.cookie), golden.cookie);
  }
}

}  // namespace
}  // namespace godwit::overlay::testing
