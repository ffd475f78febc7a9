// How the pieces of images get to all hosts of a cloud: each host pulls from the one before it and serves the one
// behind it, so that every link carries an image once. docs/protocols/chain.md.
//
//   Distribution distribution(runtime, "a1.cloud-a.godwit");
//   distribution.start(std::move(listener));
//   whenever the cloud says something new:  distribution.set({{image, pieces, hosts}});
#pragma once

#include "image/pieces.h"
#include "sys/runtime.h"

#include <memory>
#include <string>
#include <vector>

namespace godwit::image {

// A host that has an image, or shall have it.
struct ChainHost {
  sys::PeerAddress address;  // its name is the certificate's
  std::string site;          // between two of them lies a WAN

  bool operator==(const ChainHost& other) const {
    return address.name == other.address.name && address.host == other.address.host &&
           address.port == other.address.port && address.by_overlay == other.address.by_overlay && site == other.site;
  }
};

// In the order of the chain: the origin, which has all of the image, stays first; then whoever is of its site, then
// each other site's hosts together. Otherwise as they were given.
[[nodiscard]] std::vector<ChainHost> in_chain_order(std::vector<ChainHost> hosts);

inline constexpr std::size_t kMostChainHosts = 16'384;
// Less would look like a dead upstream.
inline constexpr std::uint64_t kLeastFill_bytes_per_s = kPiece_bytes;
inline constexpr std::uint64_t kLeastSendRate_bytes_per_s = 16 * kPiece_bytes;  // shared by some images and connections

struct Assignment {
  std::string image;
  // Shared with connections that end a little after the assignment.
  std::shared_ptr<Pieces> pieces;
  std::vector<ChainHost> hosts;  // in any order but for the origin, which is first; this host among them
};

struct ImageProgress {
  std::string image;
  std::uint64_t pieces{0};  // that are here
  std::uint64_t of{0};
  std::uint64_t bytes_per_s{0};     // of the image, that come in
  std::string upstream;             // a name; empty: none
  std::vector<std::string> behind;  // who pulls from this host
  std::string trouble;              // of this host's own: a full disk; empty: none
};

// One strand. Memory: 4 MiB an image, 1 MiB a connection, and 1 MiB.
class Distribution final {
 public:
  // `name`: this host's, as its certificate says.
  Distribution(sys::Runtime runtime, std::string name);
  ~Distribution();
  Distribution(const Distribution&) = delete;
  Distribution& operator=(const Distribution&) = delete;

  // All that this host sends of all images goes no faster, on the wire: kLeastSendRate at least, 0: as fast as can be.
  void limit(std::uint64_t bytes_per_s);
  void start(std::unique_ptr<sys::PeerListener> listener);
  [[nodiscard]] sys::Task<void> stop();
  // All images from now on. Errors: invalid_argument (this host is not in one's list, or the list is too long), of
  // which nothing is done then.
  [[nodiscard]] Result<> set(std::vector<Assignment> assignments);
  [[nodiscard]] std::vector<ImageProgress> progress() const;
  // These before all others, at most 1024; passed on up the chain by those who lack them. Forgotten where the
  // connection to the upstream is lost: to be said again as long as it matters.
  void want(const std::string& image, const std::vector<std::uint32_t>& pieces);
  // Of what is not wanted no more of the image than so much a second comes from now on: kLeastFill at least, 0: as much
  // as can. Hosts behind this one go past it. For as long as the image is assigned.
  void pace(const std::string& image, std::uint64_t fill_bytes_per_s);
  // Its pieces have changed by other ways than this: an audit, or somebody who brought them. What is missing is pulled.
  void look_again(const std::string& image);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with connections, which may end after it
};

}  // namespace godwit::image
