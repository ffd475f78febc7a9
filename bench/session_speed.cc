// How fast one core seals and opens datagrams of 1440 bytes of payload, and answers handshakes; and how often that
// allocates; and the records of the TLS beside it. bench_session runs it. Speeds are of processor time. Usage:
// session_speed; lines of "name value".
#include "base/assert.h"
#include "crypto/tls_ciphers.h"
#include "overlay/session.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <time.h>

#include <cstdlib>
#include <iostream>
#include <new>
#include <random>

namespace {
std::size_t allocations = 0;

void* counted(std::size_t size, const char* /*file*/, int /*line*/) {
  ++allocations;
  return std::malloc(size);
}
void* counted_again(void* old, std::size_t size, const char* /*file*/, int /*line*/) {
  ++allocations;
  return std::realloc(old, size);
}
void freed(void* old, const char* /*file*/, int /*line*/) { std::free(old); }
}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* const room = std::malloc(size)) return room;
  throw std::bad_alloc();
}
void operator delete(void* old) noexcept { std::free(old); }
void operator delete(void* old, std::size_t /*size*/) noexcept { std::free(old); }

namespace godwit::overlay {
namespace {

constexpr std::size_t kPayload = 1440;
constexpr std::size_t kBatch = 512;  // datagrams: fits the second-level cache, as a receive batch does
constexpr std::size_t kRounds = 400;

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

class Drawn final : public sys::Random {
 public:
  void fill(ByteSpan out) override {
    for (auto& each : out) each = static_cast<std::byte>(engine_());
  }

 private:
  std::mt19937_64 engine_{1};  // NOLINT(bugprone-random-generator-seed): the same in every run
};

void say(const std::string& name, double value) { std::cout << name << " " << value << "\n"; }
double gbits(std::size_t datagrams, double seconds) {
  return static_cast<double>(datagrams * kPayload) * 8 / seconds / 1e9;
}

// The cipher alone, in place.
void measure_cipher(const std::string& name, crypto::AeadKey& key) {
  std::vector<ByteVector> datagrams(kBatch, ByteVector(kPayload + kSealTag));
  double sealing = 0;
  double opening = 0;
  for (std::size_t round = 0; round < kRounds; ++round) {
    crypto::Nonce nonce{};
    store_be32(nonce, static_cast<std::uint32_t>(round));
    auto began = cpu_seconds();
    for (auto& each : datagrams) {
      const ByteSpan bytes(each);
      key.seal(nonce, {}, bytes.first(kPayload), bytes.last<kSealTag>());
    }
    sealing += cpu_seconds() - began;
    began = cpu_seconds();
    for (auto& each : datagrams) {
      const ByteSpan bytes(each);
      GODWIT_ASSERT(key.open(nonce, {}, bytes.first(kPayload), bytes.last<kSealTag>()));
    }
    opening += cpu_seconds() - began;
  }
  say(name + "_seal", gbits(kBatch * kRounds, sealing));
  say(name + "_open", gbits(kBatch * kRounds, opening));
}

struct Pair {
  Pair(const crypto::Ciphers& ciphers, Profile profile)
      : a(
            crypto::KeyPair::generate(random), random, [] { return WallTime{Seconds{1'700'000'000}}; }, ciphers),
        b(
            crypto::KeyPair::generate(random), random, [] { return WallTime{Seconds{1'700'000'000}}; }, ciphers),
        to_b(a.add({b.public_key(), {}, profile})),
        to_a(b.add({a.public_key(), {}, profile})) {}

  void exchange() {
    while (a.has_out() || b.has_out()) {
      for (auto& each : a.take_out()) (void)b.on_datagram(now, here, each.bytes);
      for (auto& each : b.take_out()) (void)a.on_datagram(now, here, each.bytes);
    }
  }

  Drawn random;
  sys::UdpEndpoint here{{}, 4790};
  TimePoint now{Seconds{1}};
  Sessions a;
  Sessions b;
  PeerId to_b;
  PeerId to_a;
};

// What a datagram costs with header, session, timers and replay window.
void measure_sessions(const std::string& name, const crypto::Ciphers& ciphers, Profile profile) {
  Pair pair(ciphers, profile);
  pair.a.begin(pair.now, pair.to_b);
  pair.exchange();
  std::vector<ByteVector> datagrams(kBatch, ByteVector(kPayload + kSealOverhead));
  double sealing = 0;
  double opening = 0;
  std::size_t allocated = 0;
  for (std::size_t round = 0; round < kRounds; ++round) {
    const auto before = allocations;
    auto began = cpu_seconds();
    for (auto& each : datagrams) GODWIT_ASSERT(pair.a.seal(pair.now, pair.to_b, each));
    sealing += cpu_seconds() - began;
    began = cpu_seconds();
    for (auto& each : datagrams) GODWIT_ASSERT(pair.b.on_datagram(pair.now, pair.here, each).what == Heard::data);
    opening += cpu_seconds() - began;
    allocated += allocations - before;
  }
  say(name + "_session_seal", gbits(kBatch * kRounds, sealing));
  say(name + "_session_open", gbits(kBatch * kRounds, opening));
  say(name + "_session_both", gbits(kBatch * kRounds, sealing + opening));
  say(name + "_allocations", static_cast<double>(allocated));
}

void measure_handshakes(const crypto::Ciphers& ciphers) {
  Pair pair(ciphers, Profile::native);
  constexpr int kHandshakes = 200;
  double answering = 0;
  for (int i = 0; i < kHandshakes; ++i) {
    pair.now += Seconds{200};
    pair.a.poll(pair.now);
    pair.b.poll(pair.now);
    pair.a.begin(pair.now, pair.to_b);
    auto out = pair.a.take_out();
    const auto began = cpu_seconds();
    for (auto& each : out) (void)pair.b.on_datagram(pair.now, pair.here, each.bytes);
    answering += cpu_seconds() - began;
    pair.exchange();
  }
  say("handshakes_answered", kHandshakes / answering);
}

// AES-128-GCM as TLS 1.3 calls it, in records of 16 KiB, by what OpenSSL fetches for these `properties`.
double record_gbits(const char* properties) {
  constexpr std::size_t kRecord = 16'384;
  constexpr std::size_t kRecords = 16;
  EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "id-aes128-GCM", properties);
  EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
  GODWIT_ASSERT(cipher && context);
  const std::array<unsigned char, 16> key{};
  const std::array<unsigned char, 5> head{};
  std::array<unsigned char, 12> nonce{};
  std::array<unsigned char, 16> tag{};
  std::vector<unsigned char> text(kRecords * kRecord);
  int size = 0;
  GODWIT_ASSERT(EVP_EncryptInit_ex(context, cipher, nullptr, key.data(), nullptr) == 1);
  const auto began = cpu_seconds();
  for (std::size_t i = 0; i < kRounds * kRecords; ++i) {
    auto* const record = text.data() + i % kRecords * kRecord;
    ++nonce[i % nonce.size()];
    GODWIT_ASSERT(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1);
    GODWIT_ASSERT(EVP_EncryptUpdate(context, nullptr, &size, head.data(), head.size()) == 1);
    GODWIT_ASSERT(EVP_EncryptUpdate(context, record, &size, record, kRecord) == 1);
    GODWIT_ASSERT(EVP_EncryptFinal_ex(context, record, &size) == 1);
    GODWIT_ASSERT(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tag.size(), tag.data()) == 1);
  }
  const auto took = cpu_seconds() - began;
  EVP_CIPHER_CTX_free(context);
  EVP_CIPHER_free(cipher);
  return static_cast<double>(kRounds * kRecords * kRecord) * 8 / took / 1e9;
}

void measure_all() {
  const auto fastest = crypto::Ciphers::fastest();
  const auto openssl = crypto::Ciphers::openssl();
  const ByteVector key(32, std::byte{5});
  say("ipsec_mb", fastest.gcm_engine() == crypto::Ciphers::Engine::ipsec_mb ? 1 : 0);
  measure_cipher("fastest_gcm", *fastest.key(crypto::Cipher::aes256_gcm, key));
  measure_cipher("openssl_gcm", *openssl.key(crypto::Cipher::aes256_gcm, key));
  measure_cipher("openssl_chacha", *openssl.key(crypto::Cipher::chacha20_poly1305, key));
  measure_sessions("native", fastest, Profile::native);
  measure_sessions("native_openssl", openssl, Profile::native);
  measure_sessions("wireguard", fastest, Profile::wireguard);
  measure_handshakes(fastest);
  say("tls_record", record_gbits(crypto::fastest_tls_properties()));
  say("openssl_tls_record", record_gbits("provider=default"));
}

}  // namespace
}  // namespace godwit::overlay

int main() {
  if (CRYPTO_set_mem_functions(counted, counted_again, freed) != 1) return 1;
  godwit::overlay::measure_all();
  return 0;
}
