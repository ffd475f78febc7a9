// Byte streams and who is at their other end.
#pragma once

#include "base/bytes.h"
#include "sys/clock.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace godwit::sys {

// A connected, reliable, ordered stream. One reader and one writer at a time; one owner.
class Stream {
 public:
  virtual ~Stream() = default;  // closes

  // At least one byte. Errors: closed (end of stream), io, cancelled.
  [[nodiscard]] virtual Task<Result<std::size_t>> read_some(ByteSpan into) = 0;
  // All of `bytes`, or an error. Back-pressure is the peer's.
  [[nodiscard]] virtual Task<Result<>> write(ByteView bytes) = 0;
  // Says "no more" to the reader at the other end; reading goes on.
  [[nodiscard]] virtual Task<Result<>> shutdown_write() = 0;
  // Ends both directions at once; pending operations end with an error. May be called twice.
  virtual void close() = 0;
};

// Exactly `into.size()` bytes. Errors as read_some(); closed when the stream ends before that.
[[nodiscard]] Task<Result<>> read_exactly(Stream& stream, ByteSpan into);

class Listener {
 public:
  virtual ~Listener() = default;  // closes
  // Errors: cancelled or closed when there is nothing more to accept.
  [[nodiscard]] virtual Task<Result<std::unique_ptr<Stream>>> accept() = 0;
  virtual void close() = 0;
};

// Unix sockets of this host: QEMU's monitors, migration and NBD streams, control sockets.
class LocalSockets {
 public:
  virtual ~LocalSockets() = default;
  [[nodiscard]] virtual Task<Result<std::unique_ptr<Stream>>> dial(std::string path) = 0;
  // Replaces a stale socket file. Mode of the file: `mode`; owner: `owner_uid` unless it is 0 (the caller).
  [[nodiscard]] virtual Result<std::unique_ptr<Listener>> listen(const std::string& path, unsigned mode,
                                                                 unsigned owner_uid) = 0;
};

// Who a verified certificate says the peer is.
struct PeerIdentity {
  std::string name;        // subjectAltName: "a1.cloud-a.godwit" for a host, "api.cloud-a.godwit" for a cloud
  std::string cloud;       // whose CA signed it, by the name under which that CA is trusted here
  std::string key_sha256;  // of the SubjectPublicKeyInfo, in lower-case hex

  bool operator==(const PeerIdentity&) const = default;
};

struct PeerAddress {
  std::string host;  // numeric IPv4 or IPv6
  std::uint16_t port{0};
  std::string name;  // what the certificate must say
  // The same host's address inside the overlay, numeric: where NATs and firewalls let nothing through to `host`, the
  // switches' sessions may have found a way. Empty: none.
  std::string by_overlay{};
};

// A CA that is trusted for the hosts of one cloud.
struct TrustedCa {
  std::string cloud;
  std::string pem;

  bool operator==(const TrustedCa&) const = default;
};

// A stream between hosts: mutually authenticated TLS 1.3, whatever carries it.
class PeerStream : public Stream {
 public:
  [[nodiscard]] virtual const PeerIdentity& peer() const = 0;
};

class PeerListener {
 public:
  virtual ~PeerListener() = default;
  // A connection whose handshake fails is dropped and counted, never returned.
  [[nodiscard]] virtual Task<Result<std::unique_ptr<PeerStream>>> accept() = 0;
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  virtual void close() = 0;
};

// The one seam through which migrations, disks and images pass between hosts: by TCP to the host's own address, or
// through the overlay where that leads nowhere.
class PeerNetwork {
 public:
  virtual ~PeerNetwork() = default;
  // Whose hosts are believed from now on; open streams are not affected.
  virtual void trust(std::vector<TrustedCa> authorities) = 0;
  // Errors: unavailable, timed_out, not_authentic (name, CA or date of the certificate).
  [[nodiscard]] virtual Task<Result<std::unique_ptr<PeerStream>>> dial(PeerAddress address) = 0;
  // `port` 0: any free one.
  [[nodiscard]] virtual Result<std::unique_ptr<PeerListener>> listen(const std::string& host, std::uint16_t port) = 0;
};

}  // namespace godwit::sys
