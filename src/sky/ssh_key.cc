#include "sky/ssh_key.h"

#include <openssl/evp.h>

#include <array>
#include <memory>

namespace godwit::sky {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kBlockBytes = 8;  // cipher "none" pads to this
constexpr std::string_view kAlgorithm = "ssh-ed25519";
using Raw = std::array<std::byte, kKeyBytes>;

// RFC 4251 section 5: a length, then the bytes.
void append_string(ByteVector& out, ByteView bytes) {
  append_be32(out, static_cast<std::uint32_t>(bytes.size()));
  append(out, bytes);
}

// RFC 4648 section 4, with padding.
std::string base64(ByteView bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const auto length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

Result<Raw> public_half(const Raw& seed) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, reinterpret_cast<const unsigned char*>(seed.data()),
                                   seed.size()),
      &EVP_PKEY_free);
  Raw half{};
  std::size_t length = half.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(half.data()), &length) != 1 ||
      length != half.size()) {
    return fail(Errc::unsupported, "draw an Ed25519 key: OpenSSL refused (is this a FIPS build?)");
  }
  return half;
}

ByteVector private_section(const Raw& seed, const Raw& half, std::uint32_t check, std::string_view comment) {
  ByteVector out;
  append_be32(out, check);  // twice, so that a wrong passphrase shows
  append_be32(out, check);
  append_string(out, as_bytes(kAlgorithm));
  append_string(out, half);
  ByteVector both(seed.begin(), seed.end());
  append(both, half);
  append_string(out, both);
  append_string(out, as_bytes(comment));
  for (unsigned char pad = 1; out.size() % kBlockBytes != 0; ++pad) out.push_back(std::byte{pad});
  return out;
}

std::string armoured(ByteView bytes) {
  const auto text = base64(bytes);
  std::string out = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
  for (std::size_t at = 0; at < text.size(); at += 70) out += text.substr(at, 70) + "\n";
  return out + "-----END OPENSSH PRIVATE KEY-----\n";
}

}  // namespace

Result<SshKey> draw_ssh_key(sys::Random& random, std::string_view comment) {
  Raw seed{};
  random.fill(seed);
  std::array<std::byte, 4> check{};
  random.fill(check);
  const auto half = public_half(seed);
  if (!half) return pass(half);

  ByteVector blob;
  append_string(blob, as_bytes(kAlgorithm));
  append_string(blob, *half);

  ByteVector file;
  append(file, as_bytes(std::string_view("openssh-key-v1\0", 15)));
  append_string(file, as_bytes("none"));  // cipher
  append_string(file, as_bytes("none"));  // key derivation
  append_string(file, {});
  append_be32(file, 1);  // keys in this file
  append_string(file, blob);
  append_string(file, private_section(seed, *half, load_be32(check), comment));
  return SshKey{armoured(file), fmt::format("{} {} {}", kAlgorithm, base64(blob), comment)};
}

}  // namespace godwit::sky
