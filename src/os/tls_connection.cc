#include "os/tls_connection.h"

#include "base/assert.h"
#include "os/awaiting.h"
#include "os/tcp.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <cerrno>

namespace godwit::os {
namespace {

constexpr std::size_t kPieceBytes = 128UL * 1024;   // encrypted, then sent in one system call
constexpr std::size_t kUnsentBytes = 512UL * 1024;  // a peer that makes us answer without reading gets no further
constexpr std::size_t kRunBytes = 1024UL * 1024;    // of one stream, before the others' turn

// The peer's alerts that mean "I do not believe you" (RFC 8446, section 6.2).
bool is_disbelief(unsigned long reason) {
  switch (ERR_GET_REASON(reason)) {
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED: return true;
    default: return false;
  }
}

}  // namespace

TlsConnection::TlsConnection(SSL_CTX* context, Socket socket, std::shared_ptr<const TrustSet> trust, PeerRole peer,
                             std::string expected_name)
    : socket_(std::move(socket)),
      remote_(remote_of(socket_.native_handle())),
      trust_(std::move(trust)),
      peer_role_(peer),
      expected_name_(std::move(expected_name)),
      ssl_(SSL_new(context)) {
  BIO* wire = BIO_new(wire_method());
  GODWIT_ASSERT(ssl_ && wire);
  BIO_set_data(wire, this);
  BIO_set_init(wire, 1);
  SSL_set_bio(ssl_.get(), wire, wire);
  SSL_set_app_data(ssl_.get(), this);
  if (peer_role_ == PeerRole::server) {
    SSL_set_connect_state(ssl_.get());
    SSL_set_tlsext_host_name(ssl_.get(), expected_name_.c_str());
  } else {
    SSL_set_accept_state(ssl_.get());
  }
}

// --- The wire: OpenSSL's side
// -----------------------------------------------------------------------------------------

BIO_METHOD* TlsConnection::wire_method() {
  static BIO_METHOD* const method = [] {  // immutable once made, and OpenSSL wants it to outlive every BIO
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "godwit wire");
    GODWIT_ASSERT(made);
    BIO_meth_set_read(made, read_wire);
    BIO_meth_set_write(made, write_wire);
    BIO_meth_set_ctrl(made, control_wire);
    return made;
  }();
  return method;
}

int TlsConnection::read_wire(BIO* bio, char* into, int size) {
  auto& self = *static_cast<TlsConnection*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (!self.socket_.is_open()) return -1;
  for (;;) {
    const auto count = ::recv(self.socket_.native_handle(), into, static_cast<std::size_t>(size), 0);
    if (count > 0) {
      self.incoming_.pass(godwit::as_bytes({into, static_cast<std::size_t>(count)}));
      return static_cast<int>(count);
    }
    if (count == 0) {
      self.wire_ended_ = true;
      return 0;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      BIO_set_retry_read(bio);
    } else {
      self.wire_errno_ = errno;
    }
    return -1;
  }
}

int TlsConnection::write_wire(BIO* bio, const char* bytes, int size) {
  auto& self = *static_cast<TlsConnection*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const auto more = static_cast<std::size_t>(size);
  if (self.unsent_.size() + more > kUnsentBytes) return -1;
  append(self.unsent_, godwit::as_bytes({bytes, more}));
  return size;
}

long TlsConnection::control_wire(BIO* bio, int command, long, void*) {
  const auto& self = *static_cast<const TlsConnection*>(BIO_get_data(bio));
  switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return self.wire_ended_ ? 1 : 0;
    default: return 0;
  }
}

int TlsConnection::verify_callback(X509_STORE_CTX* context, void*) {
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
  return static_cast<TlsConnection*>(SSL_get_app_data(ssl))->verify(context) ? 1 : 0;
}

bool TlsConnection::verify(X509_STORE_CTX* context) {
  int error = X509_V_OK;
  auto identity = trust_->verify(X509_STORE_CTX_get0_cert(context), peer_role_, error);
  if (identity && peer_role_ == PeerRole::server && identity->name != expected_name_) {
    error = X509_V_ERR_HOSTNAME_MISMATCH;
    identity = fail(Errc::not_authentic, "certificate of \"{}\": expected \"{}\"", identity->name, expected_name_);
  }
  X509_STORE_CTX_set_error(context, error);
  if (!identity) {
    refusal_ = identity.error().message;
    return false;
  }
  X509_STORE_CTX_set_error(context, X509_V_OK);
  identity_ = std::move(*identity);
  return true;
}

// --- What an operation came to
// ----------------------------------------------------------------------------------------

TlsConnection::Outcome TlsConnection::outcome_of(int result) {
  if (result > 0) return Outcome::done;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ: return Outcome::wait_to_read;
    case SSL_ERROR_ZERO_RETURN: return Outcome::ended;
    default: break;
  }
  reason_ = ERR_peek_error();
  ERR_clear_error();
  return Outcome::failed;
}

std::string TlsConnection::label() const {
  if (identity_) return fmt::format("peer {} ({})", identity_->name, remote_);
  if (!expected_name_.empty()) return fmt::format("peer {} ({})", expected_name_, remote_);
  return fmt::format("peer {}", remote_);
}

std::unexpected<Error> TlsConnection::error_of(std::string_view operation) {
  const auto doing = fmt::format("{} {}", operation, label());
  if (!socket_.is_open()) return fail(Errc::cancelled, "{}: closed on this side", doing);
  if (!refusal_.empty()) return fail(Errc::not_authentic, "{}: {}", doing, refusal_);
  if (wire_errno_ != 0) return fail_errno(wire_errno_, doing);
  if (is_disbelief(reason_)) {
    return fail(Errc::not_authentic, "{}: it does not believe our certificate ({})", doing,
                ERR_reason_error_string(reason_));
  }
  // Without TLS's own goodbye this may be an attacker's or a crash's end: never taken for the end of what was sent.
  if (wire_ended_) return fail(Errc::io, "{}: the connection was cut", doing);
  const char* reason = reason_ == 0 ? nullptr : ERR_reason_error_string(reason_);
  return fail(Errc::protocol, "{}: {}", doing, reason ? reason : "TLS failed without a reason");
}

// --- Our side
// ---------------------------------------------------------------------------------------------------------

Result<> TlsConnection::send_some() {
  while (sent_ < unsent_.size() && socket_.is_open()) {
    const auto count =
        ::send(socket_.native_handle(), unsent_.data() + sent_, unsent_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return {};
    if (count < 0) return fail_errno(errno, "write to " + label());
    sent_ += static_cast<std::size_t>(count);
  }
  unsent_.clear();
  sent_ = 0;
  return {};
}

sys::Task<Result<>> TlsConnection::flush(std::shared_ptr<TlsConnection> self) {
  for (;;) {
    auto sent = self->send_some();
    if (!sent) co_return self->write_error(sent.error());
    if (self->unsent_.empty()) break;
    self->write_run_ = 0;
    auto [error] = co_await self->socket_.async_wait(Socket::wait_write, kAwait);
    co_await unless_cancelled();
    if (error) co_return failure(error, "write to " + self->label());
  }
  co_return Result<>{};
}

// A peer that refuses us says why and hangs up: the reason is worth more than the broken pipe.
std::unexpected<Error> TlsConnection::write_error(Error error) {
  ERR_clear_error();
  std::byte byte{};
  std::size_t got = 0;
  const auto outcome = outcome_of(SSL_peek_ex(ssl_.get(), &byte, 1, &got));
  if (outcome == Outcome::failed && is_disbelief(reason_)) return error_of("write to");
  return std::unexpected(std::move(error));
}

sys::Task<boost::system::error_code> TlsConnection::wait_to_read(std::shared_ptr<TlsConnection> self) {
  // A link that brings packets one by one would wake us for each of a record's twelve.
  const auto wanted = static_cast<int>(self->incoming_.missing());
  if (wanted != self->wanted_bytes_) {
    self->wanted_bytes_ = wanted;
    static_cast<void>(
        ::setsockopt(self->socket_.native_handle(), SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof wanted));  // a hint
  }
  auto [error] = co_await self->socket_.async_wait(Socket::wait_read, kAwait);
  co_await unless_cancelled();
  co_return error;
}

sys::Task<Result<>> TlsConnection::shake_hands(std::shared_ptr<TlsConnection> self) {
  for (;;) {
    ERR_clear_error();
    const auto outcome = self->outcome_of(SSL_do_handshake(self->ssl_.get()));
    auto error = outcome == Outcome::failed ? Result<>(self->error_of("TLS handshake with")) : Result<>{};
    if (!error) {  // the alert that says so goes out if it can
      static_cast<void>(self->send_some());
      self->close();
      co_return error;
    }
    auto flushed = co_await flush(self);
    if (!flushed || outcome == Outcome::done) co_return flushed;
    const auto wait_error = co_await wait_to_read(self);
    if (wait_error) co_return failure(wait_error, "TLS handshake with " + self->label());
  }
}

// As many records as are there and fit.
TlsConnection::Outcome TlsConnection::take(ByteSpan into, std::size_t& got) {
  auto outcome = Outcome::done;
  while (got < into.size() && outcome == Outcome::done) {
    std::size_t count = 0;
    ERR_clear_error();
    outcome = outcome_of(SSL_read_ex(ssl_.get(), into.data() + got, into.size() - got, &count));
    got += count;
  }
  return outcome;
}

sys::Task<Result<std::size_t>> TlsConnection::read_some(std::shared_ptr<TlsConnection> self, ByteSpan into) {
  if (self->read_run_ > kRunBytes) {
    self->read_run_ = 0;
    co_await give_way();  // before any byte is taken, so that being cancelled here loses none
  }
  for (;;) {
    if (!self->socket_.is_open()) co_return self->error_of("read from");
    std::size_t got = 0;
    const auto outcome = self->take(into, got);
    if (!self->unsent_.empty()) static_cast<void>(self->send_some());  // answers to key updates; else the next write
    self->read_run_ += got;
    if (got > 0 || into.empty()) co_return got;
    if (outcome == Outcome::ended) {
      co_return fail(Errc::closed, "read from {}: the other side closed the stream", self->label());
    }
    if (outcome == Outcome::failed) co_return self->error_of("read from");
    self->read_run_ = 0;
    const auto error = co_await wait_to_read(self);
    if (error) co_return failure(error, "read from " + self->label());
  }
}

sys::Task<Result<>> TlsConnection::write(std::shared_ptr<TlsConnection> self, ByteView bytes) {
  while (!bytes.empty()) {
    if (!self->socket_.is_open()) co_return self->error_of("write to");
    const auto piece = bytes.first(std::min(bytes.size(), kPieceBytes));
    std::size_t taken = 0;
    ERR_clear_error();
    const auto outcome = self->outcome_of(SSL_write_ex(self->ssl_.get(), piece.data(), piece.size(), &taken));
    if (outcome != Outcome::done) co_return self->error_of("write to");
    auto flushed = co_await flush(self);
    if (!flushed) co_return flushed;
    bytes = bytes.subspan(taken);
    self->write_run_ += taken;
    if (self->write_run_ > kRunBytes) {
      self->write_run_ = 0;
      co_await give_way();
    }
  }
  co_return Result<>{};
}

sys::Task<Result<>> TlsConnection::shutdown_write(std::shared_ptr<TlsConnection> self) {
  if (!self->socket_.is_open()) co_return self->error_of("shut down");
  ERR_clear_error();
  const int result = SSL_shutdown(self->ssl_.get());  // 0: ours is written, theirs not yet here
  ERR_clear_error();
  if (result < 0) co_return self->error_of("shut down");
  auto flushed = co_await flush(self);
  if (!flushed) co_return flushed;
  boost::system::error_code ignored;  // the peer may be gone by now, knowing all
  self->socket_.shutdown(Socket::shutdown_send, ignored);
  co_return Result<>{};
}

void TlsConnection::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace godwit::os
