// TLS 1.3 over a socket, with certificates of clouds (os/tls_trust.h).
//
// OpenSSL reads the socket in blocks of `read_bytes` and writes into a buffer that is sent in one system call for many
// records; a coroutine waits for the socket between its calls. So a cancelled wait loses nothing.
#pragma once

#include "os/socket.h"
#include "sys/stream.h"

#include <memory>
#include <optional>

namespace godwit::os {

// What this process shows. Both PEM; the certificate is one that its cloud's CA signed directly.
struct TlsIdentity {
  std::string certificate_pem;
  std::string key_pem;
};

struct TlsOptions {
  bool client_must_identify{true};       // of those that we accept; a certificate that is shown must hold in any case
  bool server_must_identify{true};       // false: what is said inside tells who it is
  std::size_t read_bytes{256UL * 1024};  // memory of each connection, while it reads
};

class TlsStream : public sys::PeerStream {
 public:
  // Whether the peer showed a certificate; peer() is only for those.
  [[nodiscard]] virtual bool identified() const = 0;
};

// The identity and trust of one process, of which connections are made. One strand. Costs nothing before the first
// connection or identity: then OpenSSL is set up, and the engine of its ciphers chosen (crypto/tls_ciphers.h).
class Tls {
 public:
  explicit Tls(TlsOptions options);
  ~Tls();
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  // Of handshakes from now on. Errors: invalid_argument (no PEM, or the key is not the certificate's).
  [[nodiscard]] Result<> use_identity(const TlsIdentity& identity);
  [[nodiscard]] bool has_identity() const;
  // Replaces the set; after an error the old one holds. Errors: invalid_argument.
  [[nodiscard]] Result<> trust(const std::vector<sys::TrustedCa>& authorities);

  // Handshakes, without a limit of their own. Errors: not_authentic (here, or the other side did not believe us),
  // closed, protocol, io. In TLS 1.3 the client is done first: a server that refuses it shows in its first read.
  [[nodiscard]] sys::Task<Result<std::unique_ptr<TlsStream>>> connect(Socket socket, std::string expected_name);
  [[nodiscard]] sys::Task<Result<std::unique_ptr<TlsStream>>> accept(Socket socket);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::os
