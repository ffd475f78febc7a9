// The handshake that sessions come of: Noise_IKpsk2 (noiseprotocol.org, revision 34) with X25519 and BLAKE2s, and with
// ChaCha20-Poly1305 as WireGuard has it or AES-256-GCM as ours. Only what Noise says; docs/protocols/session.md has the
// rest.
#pragma once

#include "crypto/aead.h"
#include "crypto/blake2s.h"
#include "overlay/session_messages.h"

namespace godwit::overlay {

struct TransportKeys {
  crypto::Secret sending;
  crypto::Secret receiving;
};

// "SymmetricState" of Noise. Each message's key is used once, so every nonce is 0.
class NoiseState {
 public:
  // `responder` is the static key that the initiator must know beforehand.
  NoiseState(Profile profile, const crypto::PublicKey& responder);
  NoiseState(Profile profile, const crypto::PublicKey& responder, ByteView prologue);  // another than the profile's

  void mix_hash(ByteView bytes);
  void mix_key(ByteView material);
  void mix_psk(const crypto::Secret& psk);
  // In place; `tag` follows `text` on the wire.
  void encrypt_and_hash(const crypto::Ciphers& ciphers, ByteSpan text, crypto::Tag tag);
  [[nodiscard]] bool decrypt_and_hash(const crypto::Ciphers& ciphers, ByteSpan text, crypto::TagView tag);
  // Of the side that sends with the first of the two keys: the initiator.
  [[nodiscard]] TransportKeys split() const;
  [[nodiscard]] const crypto::Blake2sDigest& hash() const { return hash_; }

 private:
  Profile profile_;
  crypto::Blake2sDigest hash_{};
  crypto::Secret chain_;
  crypto::Secret key_;
};

// One handshake as its initiator.
class NoiseInitiator {
 public:
  NoiseInitiator(const crypto::Ciphers& ciphers, Profile profile, const crypto::KeyPair& own, const PeerSpec& peer,
                 crypto::KeyPair ephemeral);

  // Fills ephemeral, key and payload of `message`, whose size says how long `payload` (timestamp, record) is.
  // False: the peer's key agrees on nothing.
  [[nodiscard]] bool write_first(ByteSpan message, const crypto::Secret& static_shared, ByteView payload);
  // Reads a response. None: not authentic, and then the true one can still come.
  [[nodiscard]] std::optional<TransportKeys> read_second(ByteView message) const;

 private:
  const crypto::Ciphers& ciphers_;
  const crypto::KeyPair& own_;
  crypto::PublicKey peer_;
  crypto::Secret psk_;
  crypto::KeyPair ephemeral_;
  NoiseState state_;
};

// What a first message says, read in two steps: who claims to speak, and then, once it is known what our two static
// keys agree on, whether that is so and what the payload is.
struct FirstMessage {
  crypto::PublicKey key{};
  Tai64n timestamp{};
  ByteView record;  // inside the message
};

// One handshake as its responder.
class NoiseResponder {
 public:
  NoiseResponder(const crypto::Ciphers& ciphers, Profile profile, const crypto::KeyPair& own);

  // Decrypts in place. False: not made for our key.
  [[nodiscard]] bool read_key(ByteSpan message);
  [[nodiscard]] const crypto::PublicKey& key() const { return initiator_; }
  [[nodiscard]] std::optional<FirstMessage> read_payload(ByteSpan message, const crypto::Secret& static_shared);
  // Fills ephemeral and nothing of `message`. None: the initiator's ephemeral key agrees on nothing.
  [[nodiscard]] std::optional<TransportKeys> write_second(ByteSpan message, const crypto::KeyPair& ephemeral,
                                                          const crypto::Secret& psk);

 private:
  const crypto::Ciphers& ciphers_;
  const crypto::KeyPair& own_;
  NoiseState state_;
  crypto::PublicKey initiator_{};
  crypto::PublicKey initiator_ephemeral_{};
};

}  // namespace godwit::overlay
