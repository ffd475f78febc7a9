#include "overlay/noise.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

using crypto::Secret;

struct Name {
  std::string_view protocol;
  std::string_view prologue;
};

Name name_of(Profile profile) {
  if (profile == Profile::wireguard) {
    return {"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s", "WireGuard v1 zx2c4 Jason@zx2c4.com"};
  }
  return {"Noise_IKpsk2_25519_AESGCM_BLAKE2s", "Godwit overlay v1"};
}

// HKDF of Noise, section 4.3, with as many outputs as there are.
void hkdf(const Secret& chain, ByteView material, std::initializer_list<Secret*> outputs) {
  auto key = crypto::hmac_blake2s(chain.bytes(), {material});
  crypto::Blake2sDigest last{};
  ByteView before;
  std::byte number{1};
  for (auto* output : outputs) {
    last = crypto::hmac_blake2s(key, {before, ByteView(&number, 1)});
    *output = Secret(last);
    before = last;
    number = static_cast<std::byte>(std::to_integer<int>(number) + 1);
  }
  crypto::wipe(key);
  crypto::wipe(last);
}

crypto::Cipher cipher_of(Profile profile) {
  return profile == Profile::native ? crypto::Cipher::aes256_gcm : crypto::Cipher::chacha20_poly1305;
}

crypto::PublicKey key_at(ByteView message, std::size_t offset) {
  crypto::PublicKey key;
  std::ranges::copy(message.subspan(offset, key.size()), key.begin());
  return key;
}

crypto::Tag tag_at(ByteSpan message, std::size_t offset) { return message.subspan(offset).first<kSealTag>(); }

std::size_t payload_size(ByteView message) { return message.size() - kMacs - kSealTag - initiation_at::payload; }

}  // namespace

NoiseState::NoiseState(Profile profile, const crypto::PublicKey& responder)
    : NoiseState(profile, responder, as_bytes(name_of(profile).prologue)) {}

NoiseState::NoiseState(Profile profile, const crypto::PublicKey& responder, ByteView prologue) : profile_(profile) {
  hash_ = crypto::blake2s({as_bytes(name_of(profile).protocol)});  // longer than 32 bytes, both
  chain_ = Secret(hash_);
  mix_hash(prologue);
  mix_hash(responder);
}

void NoiseState::mix_hash(ByteView bytes) { hash_ = crypto::blake2s({hash_, bytes}); }

void NoiseState::mix_key(ByteView material) {
  const auto chain = chain_;
  hkdf(chain, material, {&chain_, &key_});
}

void NoiseState::mix_psk(const Secret& psk) {
  const auto chain = chain_;
  Secret mixed;
  hkdf(chain, psk.bytes(), {&chain_, &mixed, &key_});
  mix_hash(mixed.bytes());
}

void NoiseState::encrypt_and_hash(const crypto::Ciphers& ciphers, ByteSpan text, crypto::Tag tag) {
  ciphers.key(cipher_of(profile_), key_.bytes())->seal(crypto::Nonce{}, hash_, text, tag);
  hash_ = crypto::blake2s({hash_, text, tag});
}

bool NoiseState::decrypt_and_hash(const crypto::Ciphers& ciphers, ByteSpan text, crypto::TagView tag) {
  const auto after = crypto::blake2s({hash_, text, tag});
  if (!ciphers.key(cipher_of(profile_), key_.bytes())->open(crypto::Nonce{}, hash_, text, tag)) return false;
  hash_ = after;
  return true;
}

TransportKeys NoiseState::split() const {
  TransportKeys keys;
  hkdf(chain_, {}, {&keys.sending, &keys.receiving});
  return keys;
}

NoiseInitiator::NoiseInitiator(const crypto::Ciphers& ciphers, Profile profile, const crypto::KeyPair& own,
                               const PeerSpec& peer, crypto::KeyPair ephemeral)
    : ciphers_(ciphers),
      own_(own),
      peer_(peer.key),
      psk_(peer.psk),
      ephemeral_(std::move(ephemeral)),
      state_(profile, peer.key) {}

bool NoiseInitiator::write_first(ByteSpan message, const Secret& static_shared, ByteView payload) {
  const auto shared = ephemeral_.agree(peer_);
  if (!shared) return false;
  const auto& e = ephemeral_.public_key();
  std::ranges::copy(e, message.begin() + initiation_at::ephemeral);
  state_.mix_hash(e);
  state_.mix_key(e);  // as all patterns with a pre-shared key do (section 9.2)
  state_.mix_key(shared->bytes());
  const auto key = message.subspan(initiation_at::key, sizeof(crypto::PublicKey));
  std::ranges::copy(own_.public_key(), key.begin());
  state_.encrypt_and_hash(ciphers_, key, tag_at(message, initiation_at::key + key.size()));
  state_.mix_key(static_shared.bytes());
  const auto text = message.subspan(initiation_at::payload, payload.size());
  std::ranges::copy(payload, text.begin());
  state_.encrypt_and_hash(ciphers_, text, tag_at(message, initiation_at::payload + text.size()));
  return true;
}

std::optional<TransportKeys> NoiseInitiator::read_second(ByteView message) const {
  auto state = state_;
  const auto e = key_at(message, response_at::ephemeral);
  state.mix_hash(e);
  state.mix_key(e);
  const auto ephemeral_shared = ephemeral_.agree(e);
  const auto static_shared = own_.agree(e);
  if (!ephemeral_shared || !static_shared) return std::nullopt;
  state.mix_key(ephemeral_shared->bytes());
  state.mix_key(static_shared->bytes());
  state.mix_psk(psk_);
  const auto tag = message.subspan(response_at::nothing).first<kSealTag>();
  if (!state.decrypt_and_hash(ciphers_, {}, tag)) return std::nullopt;
  return state.split();
}

NoiseResponder::NoiseResponder(const crypto::Ciphers& ciphers, Profile profile, const crypto::KeyPair& own)
    : ciphers_(ciphers), own_(own), state_(profile, own.public_key()) {}

bool NoiseResponder::read_key(ByteSpan message) {
  initiator_ephemeral_ = key_at(message, initiation_at::ephemeral);
  const auto shared = own_.agree(initiator_ephemeral_);
  if (!shared) return false;
  state_.mix_hash(initiator_ephemeral_);
  state_.mix_key(initiator_ephemeral_);
  state_.mix_key(shared->bytes());
  const auto key = message.subspan(initiation_at::key, initiator_.size());
  if (!state_.decrypt_and_hash(ciphers_, key, tag_at(message, initiation_at::key + key.size()))) return false;
  initiator_ = key_at(message, initiation_at::key);
  return true;
}

std::optional<FirstMessage> NoiseResponder::read_payload(ByteSpan message, const Secret& static_shared) {
  state_.mix_key(static_shared.bytes());
  const auto text = message.subspan(initiation_at::payload, payload_size(message));
  const auto tag = tag_at(message, initiation_at::payload + text.size());
  if (!state_.decrypt_and_hash(ciphers_, text, tag)) return std::nullopt;
  FirstMessage out{initiator_, {}, text.subspan(kTimestamp)};
  std::ranges::copy(text.first(kTimestamp), out.timestamp.begin());
  return out;
}

std::optional<TransportKeys> NoiseResponder::write_second(ByteSpan message, const crypto::KeyPair& ephemeral,
                                                          const Secret& psk) {
  const auto ephemeral_shared = ephemeral.agree(initiator_ephemeral_);
  const auto static_shared = ephemeral.agree(initiator_);
  if (!ephemeral_shared || !static_shared) return std::nullopt;
  const auto& e = ephemeral.public_key();
  std::ranges::copy(e, message.begin() + response_at::ephemeral);
  state_.mix_hash(e);
  state_.mix_key(e);
  state_.mix_key(ephemeral_shared->bytes());
  state_.mix_key(static_shared->bytes());
  state_.mix_psk(psk);
  state_.encrypt_and_hash(ciphers_, {}, tag_at(message, response_at::nothing));
  auto keys = state_.split();
  std::swap(keys.sending, keys.receiving);
  return keys;
}

}  // namespace godwit::overlay
