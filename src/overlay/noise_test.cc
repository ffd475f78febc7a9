#include "overlay/noise.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::overlay {
namespace {

// Published by the library cacophony for all of Noise's protocols; these two are ours.
struct Message {
  std::string_view payload;
  std::string_view bytes;
};
struct Vector {
  Profile profile;
  std::string_view hash;
  std::array<Message, 4> messages;  // two of the handshake, one of either side
};
const Vector kVectors[] = {
    // clang-format off
    {Profile::native,
     "60f2139120264f109f2bd525a8d94877d7896d64394c34a7abedbc114154a6d5",
     {{{"Ludwig von Mises", "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944f70d65fedfd7ad294f4c8f5c1324c7c9"
         "0e54cd8af05652112a27b261e11ce99d9d517c4a1e0753038edb26066b4087b4c230aafa22b0552550b723eb69374a67"
         "4d306a84e1852e30af2e2dbefeb4fd2f"},
      {"Murray Rothbard", "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088434190dae84b6887641a5f81e03d83f7be"
         "91fa1134c18dde966e18fc404b97a8"},
      {"F. A. Hayek", "061b631b380a639a0801920ddf205e2dbf6606c3328683c6af50fc"},
      {"Carl Menger", "c4b5ecd181f80279f2cc41217d490ed56459e3e3fb5e758e522d0d"}}}},
    {Profile::wireguard,
     "f5191b875290abcd41347ac3622d9679688a7e980229cb937ef748336cfde0e5",
     {{{"Ludwig von Mises", "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944001e21de9f98ddd8e2ad57527207feb5"
         "6253c9c94a9e496782ecfcb2a75fbcaf1b52948cc48daefe660c62119ab5000980c84831215f2441eba616548e832985"
         "464cf17e51ee93109008399a21f7e13f"},
      {"Murray Rothbard", "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843cb765f2caef0751b8f007572dab03222"
         "17755c0632f365717edbf34d33e87a"},
      {"F. A. Hayek", "8153ca9833bc3c1b91a7e66e5f4d4f5b59bf9e64c2f20d15f0bba7"},
      {"Carl Menger", "07af0c9c86e1b4e80f36b04ff7688d51141af3debd0332f0a705ef"}}}},
    // clang-format on
};

crypto::KeyPair pair_of(std::string_view hex) {
  crypto::PublicKey bytes;
  std::ranges::copy(*from_hex(hex), bytes.begin());
  return crypto::KeyPair::of(crypto::Secret(bytes));
}

// One side's writing, token by token, so that a payload can be where we have none.
class Writer {
 public:
  explicit Writer(NoiseState& state) : state_(state) {}
  void public_key(const crypto::PublicKey& key) {
    append(bytes_, key);
    state_.mix_hash(key);
    state_.mix_key(key);
  }
  void agreement(const std::optional<crypto::Secret>& shared) { state_.mix_key(shared.value().bytes()); }
  void sealed(ByteView plain) {
    ByteVector text(plain.begin(), plain.end());
    std::array<std::byte, kSealTag> tag;
    state_.encrypt_and_hash(ciphers_, text, tag);
    append(bytes_, text);
    append(bytes_, tag);
  }
  std::string take() { return to_hex(std::exchange(bytes_, {})); }

 private:
  NoiseState& state_;
  crypto::Ciphers ciphers_ = crypto::Ciphers::fastest();
  ByteVector bytes_;
};

std::string transport(const Vector& vector, const crypto::Secret& key, std::string_view text) {
  const auto cipher =
      vector.profile == Profile::native ? crypto::Cipher::aes256_gcm : crypto::Cipher::chacha20_poly1305;
  ByteVector out(as_bytes(text).begin(), as_bytes(text).end());
  std::array<std::byte, kSealTag> tag;
  crypto::Ciphers::fastest().key(cipher, key.bytes())->seal({}, {}, out, tag);
  append(out, tag);
  return to_hex(out);
}

TEST(NoiseTest, WritesWhatCacophonyWrites) {
  const auto initiator = pair_of("e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1");
  const auto responder = pair_of("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893");
  const auto ie = pair_of("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a");
  const auto re = pair_of("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b");
  for (const auto& vector : kVectors) {
    NoiseState state(vector.profile, responder.public_key(), as_bytes("John Galt"));
    Writer writer(state);
    writer.public_key(ie.public_key());
    writer.agreement(ie.agree(responder.public_key()));
    writer.sealed(initiator.public_key());
    writer.agreement(initiator.agree(responder.public_key()));
    writer.sealed(as_bytes(vector.messages[0].payload));
    EXPECT_EQ(writer.take(), vector.messages[0].bytes);

    writer.public_key(re.public_key());
    writer.agreement(re.agree(ie.public_key()));
    writer.agreement(re.agree(initiator.public_key()));
    crypto::Secret psk;
    std::ranges::copy(as_bytes("This is my Austrian perspective!"), psk.writable().begin());
    state.mix_psk(psk);
    writer.sealed(as_bytes(vector.messages[1].payload));
    EXPECT_EQ(writer.take(), vector.messages[1].bytes);
    EXPECT_EQ(to_hex(state.hash()), vector.hash);

    const auto keys = state.split();
    EXPECT_EQ(transport(vector, keys.sending, vector.messages[2].payload), vector.messages[2].bytes);
    EXPECT_EQ(transport(vector, keys.receiving, vector.messages[3].payload), vector.messages[3].bytes);
  }
}

}  // namespace
}  // namespace godwit::overlay
