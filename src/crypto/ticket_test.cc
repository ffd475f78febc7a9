#include "crypto/ticket.h"

#include "crypto/digest.h"
#include "crypto/mac.h"
#include "crypto/token.h"
#include "support/counting_random.h"

#include <gtest/gtest.h>

namespace godwit::crypto {
namespace {

class Ticket : public ::testing::Test {
 protected:
  testing::CountingRandom random_;
  TicketSigner signer_{TicketSigner::generate(random_)};
};

TEST_F(Ticket, OpensWhereTheKeyIsKnown) {
  const auto ticket = signer_.sign(R"({"instance":"i-0123"})");
  ASSERT_TRUE(ticket);
  EXPECT_TRUE(ticket->starts_with("gwt1."));
  const auto verifier = TicketVerifier::from_hex(signer_.verifier().to_hex());
  ASSERT_TRUE(verifier);
  EXPECT_EQ(verifier->open(*ticket).value(), R"({"instance":"i-0123"})");
}

TEST_F(Ticket, KeyIsReadBack) {
  const auto again = TicketSigner::from_secret(signer_.secret());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->sign("x").value(), signer_.sign("x").value());
  EXPECT_FALSE(TicketSigner::from_secret("1234"));
  EXPECT_FALSE(TicketVerifier::from_hex(std::string(64, 'x')));
}

TEST_F(Ticket, EveryAlteredCharacterIsNoticed) {
  const auto ticket = signer_.sign("a payload that somebody would like to change").value();
  for (std::size_t i = 0; i < ticket.size(); ++i) {
    auto altered = ticket;
    altered[i] = altered[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(signer_.verifier().open(altered)) << "character " << i;
    EXPECT_FALSE(signer_.verifier().open(ticket.substr(0, i))) << "cut at " << i;
  }
  EXPECT_FALSE(signer_.verifier().open(ticket + "A"));
  EXPECT_FALSE(signer_.verifier().open(ticket + "."));
}

TEST_F(Ticket, OfAnotherKeyIsNotAuthentic) {
  const auto other = TicketSigner::generate(random_);
  const auto opened = signer_.verifier().open(other.sign("x").value());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::not_authentic);
}

TEST_F(Ticket, HasABoundedSize) {
  const auto opened = signer_.verifier().open("gwt1." + std::string(kTicketBytes, 'A'));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::invalid_argument);
  const auto signed_ticket = signer_.sign(std::string(kTicketBytes, 'x'));
  ASSERT_FALSE(signed_ticket);
  EXPECT_EQ(signed_ticket.error().code, Errc::exhausted);
}

TEST(Digest, IsSha256) {
  // FIPS 180-2, appendix B.
  const auto abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(sha256_hex(as_bytes("abc")), abc);
  Sha256 digest;
  for (int round = 0; round < 2; ++round) {
    digest.update(as_bytes("a"));
    digest.update(as_bytes("bc"));
    EXPECT_EQ(to_hex(digest.finish()), abc) << "round " << round;
  }
}

TEST(Mac, IsTruncatedHmacSha256) {
  // RFC 4231, test case 2.
  const MacKey key(as_bytes("Jefe"));
  const auto message = as_bytes("what do ya want for nothing?");
  const auto mac = key.compute(message);
  EXPECT_EQ(to_hex(mac), "5bdcc146bf60754e6a042426089575c7");
  EXPECT_EQ(key.compute(message.first(5), message.subspan(5)), mac);
  EXPECT_TRUE(key.verify(message, mac));
  EXPECT_FALSE(key.verify(message.first(5), mac));
  EXPECT_FALSE(key.verify(message, ByteView(mac).first(15)));
}

TEST(Token, IsKnownByItsDigestAlone) {
  testing::CountingRandom random;
  const auto token = make_token("gwu", random);
  EXPECT_EQ(token.size(), 4U + 43U);
  const auto digest = token_digest(token);
  EXPECT_TRUE(token_matches(token, digest));
  EXPECT_FALSE(token_matches(make_token("gwu", random), digest));
  EXPECT_FALSE(token_matches(token, ""));
}

}  // namespace
}  // namespace godwit::crypto
