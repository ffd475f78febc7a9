// One TLS connection between OpenSSL and a socket. For os/tls.cc.
#pragma once

#include "os/openssl.h"
#include "os/socket.h"
#include "os/tls_records.h"
#include "os/tls_trust.h"

#include <optional>

namespace godwit::os {

// Shared by the stream and its pending operations, which may outlive it.
class TlsConnection {
 public:
  // `expected_name`: of a server; empty for clients.
  TlsConnection(SSL_CTX* context, Socket socket, std::shared_ptr<const TrustSet> trust, PeerRole peer,
                std::string expected_name);
  TlsConnection(const TlsConnection&) = delete;
  TlsConnection& operator=(const TlsConnection&) = delete;

  // Each holds the connection alive while it runs.
  [[nodiscard]] static sys::Task<Result<>> shake_hands(std::shared_ptr<TlsConnection> self);
  [[nodiscard]] static sys::Task<Result<std::size_t>> read_some(std::shared_ptr<TlsConnection> self, ByteSpan into);
  [[nodiscard]] static sys::Task<Result<>> write(std::shared_ptr<TlsConnection> self, ByteView bytes);
  [[nodiscard]] static sys::Task<Result<>> shutdown_write(std::shared_ptr<TlsConnection> self);
  void close();

  [[nodiscard]] const std::optional<sys::PeerIdentity>& peer() const { return identity_; }

  // Installed in every context: verifies the peer's certificate by the connection's own trust set.
  static int verify_callback(X509_STORE_CTX* context, void* unused);

 private:
  enum class Outcome : std::uint8_t { done = 1, wait_to_read, ended, failed };

  static int read_wire(BIO* bio, char* into, int size);
  static int write_wire(BIO* bio, const char* bytes, int size);
  static long control_wire(BIO* bio, int command, long number, void* pointer);
  static BIO_METHOD* wire_method();

  [[nodiscard]] Outcome outcome_of(int result);
  [[nodiscard]] Outcome take(ByteSpan into, std::size_t& got);
  [[nodiscard]] bool verify(X509_STORE_CTX* context);
  [[nodiscard]] Result<> send_some();  // without waiting
  // Until a record is here, or the stream's end.
  [[nodiscard]] static sys::Task<boost::system::error_code> wait_to_read(std::shared_ptr<TlsConnection> self);
  [[nodiscard]] static sys::Task<Result<>> flush(std::shared_ptr<TlsConnection> self);
  [[nodiscard]] std::unexpected<Error> error_of(std::string_view operation);
  [[nodiscard]] std::unexpected<Error> write_error(Error error);
  [[nodiscard]] std::string label() const;

  Socket socket_;
  std::string remote_;
  std::shared_ptr<const TrustSet> trust_;
  PeerRole peer_role_;
  std::string expected_name_;
  SslPtr ssl_;

  std::optional<sys::PeerIdentity> identity_;
  std::string refusal_;      // why we did not believe the peer
  unsigned long reason_{0};  // OpenSSL's, of the last failure
  int wire_errno_{0};
  bool wire_ended_{false};
  ByteVector unsent_;  // what OpenSSL wrote; sent_ of it are on their way
  std::size_t sent_{0};
  TlsRecords incoming_;
  int wanted_bytes_{1};      // SO_RCVLOWAT
  std::size_t read_run_{0};  // bytes since the reader last let others run
  std::size_t write_run_{0};
};

}  // namespace godwit::os
