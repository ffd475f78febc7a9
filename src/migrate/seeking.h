// Which of the pages to come are like one that both clouds hold, though it never crossed between these two hosts:
// sought by sketch where the page itself is not held there. The destination's cloud says the digest of what it found,
// this host's own cloud brings that, and a batch may be compressed against it. Pure but for the reads of the store.
#pragma once

#include "content/siblings.h"
#include "migrate/batch_encoder.h"
#include "migrate/shrink_frames.h"

#include <deque>
#include <optional>
#include <span>
#include <vector>

namespace godwit::migrate {

class Seeking final {
 public:
  // A page of the backlog.
  struct Page {
    std::uint64_t stretch{0};
    std::uint64_t byte{0};
    std::uint64_t place{0};  // as the stretch says
  };

  Seeking(Departure& departure, const BatchEncoder& encoder) : departure_(departure), encoder_(encoder) {}

  // What the hello says of it: the key of this host's cloud, where anything may be sought at all.
  [[nodiscard]] std::optional<CloudKey> key() const;
  // The destination has that key, and has said this.
  void begin(const ShrinkWelcome& welcome);

  // `page` is not held there. It may be sought, if nothing that it could be compared with is known.
  void consider(const Page& at, ByteView page);
  // The payload of one `seek` for what was considered since the last one; empty: nothing.
  [[nodiscard]] ByteVector seek();
  // What to bring from this host's own cloud, of which brought() is told then; empty: nothing. Errors: protocol.
  [[nodiscard]] Result<std::vector<content::PageDigest>> answered(ByteView alike);
  void brought(std::span<const content::PageId> ids);

  // The first page that waits for an answer, or for what is to be brought.
  [[nodiscard]] std::optional<Page> first() const;
  [[nodiscard]] std::size_t open() const { return sought_.size(); }

 private:
  struct Awaited {
    Page page;
    std::optional<std::uint64_t> number;  // of what it is like, where it had none before
  };
  void note(bool found);

  Departure& departure_;
  const BatchEncoder& encoder_;
  std::uint32_t connection_{0};  // theirs, that numbers what was found; 0: nothing is sought
  std::uint64_t number_{0};
  std::vector<Page> considered_;
  std::vector<content::Sketch> sketches_;  // of those
  std::deque<std::vector<Page>> sought_;
  std::deque<std::vector<Awaited>> awaited_;
  double worth_{0.25};  // how many of the last pages that were sought were of use; 0: not worth seeking any more
};

}  // namespace godwit::migrate
