// Whose certificates are believed, and whom they make the peer. A CA signs its hosts directly (no intermediates), and
// each certificate is verified against one CA alone: so it is known which cloud vouches for the peer. A name must end
// in
// ".CLOUD.godwit" of that cloud: a foreign CA cannot make hosts of another cloud.
#pragma once

#include "os/openssl.h"
#include "sys/stream.h"

#include <string>
#include <vector>

namespace godwit::os {

enum class PeerRole : std::uint8_t { server = 1, client };

class TrustSet {
 public:
  // Errors: invalid_argument (which cloud's PEM is no CA certificate).
  [[nodiscard]] static Result<TrustSet> parse(const std::vector<sys::TrustedCa>& authorities);

  // Who the holder of `certificate` is, now. `x509_error` gets the X509_V_ERR_… that chooses the TLS alert.
  // Errors: not_authentic (signer, dates, purpose or name).
  [[nodiscard]] Result<sys::PeerIdentity> verify(X509* certificate, PeerRole role, int& x509_error) const;

 private:
  struct Authority {
    std::string cloud;
    X509Ptr certificate;
    StorePtr store;  // holds this CA alone
  };
  std::vector<Authority> authorities_;
};

}  // namespace godwit::os
