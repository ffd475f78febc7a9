#include "os/tls.h"

#include "base/assert.h"
#include "crypto/tls_ciphers.h"
#include "os/tls_connection.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>

namespace godwit::os {
namespace {

constexpr std::size_t kPemBytes = 16UL * 1024;
constexpr long kPeerChainBytes = 16L * 1024;
// With AES in hardware the first is the fastest, at no cost in safety.
constexpr const char* kCiphers = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kGroups = "X25519:P-256";
// Nobody makes us verify a 16,384-bit RSA key.
constexpr const char* kSignatures = "ECDSA+SHA256:ed25519";

int no_password(char*, int, int, void*) { return 0; }
int believe_anybody(X509_STORE_CTX*, void*) { return 1; }

std::unexpected<Error> refuse(std::string_view what) {
  std::array<char, 256> reason{};
  ERR_error_string_n(ERR_peek_error(), reason.data(), reason.size());
  ERR_clear_error();
  return fail(Errc::invalid_argument, "TLS identity: {}: {}", what, reason.data());
}

SslContextPtr new_context(const TlsOptions& options, PeerRole peer) {
  SslContextPtr context(SSL_CTX_new_ex(nullptr, crypto::fastest_tls_properties(), TLS_method()));
  auto* raw = context.get();
  GODWIT_ASSERT(raw && SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION) == 1);
  GODWIT_ASSERT(SSL_CTX_set_ciphersuites(raw, kCiphers) == 1 && SSL_CTX_set1_groups_list(raw, kGroups) == 1 &&
                SSL_CTX_set1_sigalgs_list(raw, kSignatures) == 1);
  // A resumed session would skip the check of the certificate against the trust of today.
  SSL_CTX_set_num_tickets(raw, 0);
  SSL_CTX_set_options(raw, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_cert_list(raw, kPeerChainBytes);
  SSL_CTX_set_read_ahead(raw, 1);
  SSL_CTX_set_default_read_buffer_len(raw, options.read_bytes);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);
  if (peer == PeerRole::server && !options.server_must_identify) {
    SSL_CTX_set_cert_verify_callback(raw, believe_anybody, nullptr);
    return context;
  }
  const bool must = peer == PeerRole::server || options.client_must_identify;
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | (must ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  SSL_CTX_set_cert_verify_callback(raw, TlsConnection::verify_callback, nullptr);
  return context;
}

Result<> show(SSL_CTX* context, X509* certificate, EVP_PKEY* key) {
  if (SSL_CTX_use_certificate(context, certificate) != 1) return refuse("certificate not usable");
  if (SSL_CTX_use_PrivateKey(context, key) != 1) return refuse("the key is not that of the certificate");
  return {};
}

class Stream final : public TlsStream {
 public:
  explicit Stream(std::shared_ptr<TlsConnection> connection) : connection_(std::move(connection)) {}
  ~Stream() override { connection_->close(); }

  sys::Task<Result<std::size_t>> read_some(ByteSpan into) override {
    return TlsConnection::read_some(connection_, into);
  }
  sys::Task<Result<>> write(ByteView bytes) override { return TlsConnection::write(connection_, bytes); }
  sys::Task<Result<>> shutdown_write() override { return TlsConnection::shutdown_write(connection_); }
  void close() override { connection_->close(); }
  [[nodiscard]] bool identified() const override { return connection_->peer().has_value(); }
  [[nodiscard]] const sys::PeerIdentity& peer() const override {
    GODWIT_ASSERT(identified());
    return *connection_->peer();
  }

 private:
  std::shared_ptr<TlsConnection> connection_;
};

sys::Task<Result<std::unique_ptr<TlsStream>>> shake_hands(std::shared_ptr<TlsConnection> connection) {
  const auto shaken = co_await TlsConnection::shake_hands(connection);
  if (!shaken) co_return pass(shaken);
  co_return std::make_unique<Stream>(std::move(connection));
}

}  // namespace

struct Tls::Impl {
  TlsOptions options;
  SslContextPtr to_servers;  // null until the first connection or identity
  SslContextPtr to_clients;
  std::shared_ptr<const TrustSet> trust;  // shared with connections whose handshake began under it

  std::shared_ptr<TlsConnection> connection(Socket socket, PeerRole peer, std::string expected_name) {
    auto& context = peer == PeerRole::server ? to_servers : to_clients;
    if (!context) context = new_context(options, peer);
    return std::make_shared<TlsConnection>(context.get(), std::move(socket), trust, peer, std::move(expected_name));
  }
};

Tls::Tls(TlsOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->options = options;
  impl_->trust = std::make_shared<const TrustSet>();
}
Tls::~Tls() = default;

Result<> Tls::use_identity(const TlsIdentity& identity) {
  if (identity.certificate_pem.size() > kPemBytes || identity.key_pem.size() > kPemBytes) {
    return fail(Errc::invalid_argument, "TLS identity: larger than {} bytes", kPemBytes);
  }
  const auto read = [](const std::string& pem) {
    return BioPtr(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  };
  const X509Ptr certificate(PEM_read_bio_X509(read(identity.certificate_pem).get(), nullptr, no_password, nullptr));
  if (!certificate) return refuse("certificate is no PEM");
  const PkeyPtr key(PEM_read_bio_PrivateKey(read(identity.key_pem).get(), nullptr, no_password, nullptr));
  if (!key) return refuse("key is no PEM");
  auto to_servers = new_context(impl_->options, PeerRole::server);
  auto to_clients = new_context(impl_->options, PeerRole::client);
  for (auto* context : {to_servers.get(), to_clients.get()}) {
    auto shown = show(context, certificate.get(), key.get());
    if (!shown) return shown;
  }
  impl_->to_servers = std::move(to_servers);
  impl_->to_clients = std::move(to_clients);
  return {};
}

bool Tls::has_identity() const {
  return impl_->to_clients && SSL_CTX_get0_certificate(impl_->to_clients.get()) != nullptr;
}

Result<> Tls::trust(const std::vector<sys::TrustedCa>& authorities) {
  auto set = TrustSet::parse(authorities);
  if (!set) return pass(set);
  impl_->trust = std::make_shared<const TrustSet>(std::move(*set));
  return {};
}

sys::Task<Result<std::unique_ptr<TlsStream>>> Tls::connect(Socket socket, std::string expected_name) {
  return shake_hands(impl_->connection(std::move(socket), PeerRole::server, std::move(expected_name)));
}

sys::Task<Result<std::unique_ptr<TlsStream>>> Tls::accept(Socket socket) {
  return shake_hands(impl_->connection(std::move(socket), PeerRole::client, {}));
}

}  // namespace godwit::os
