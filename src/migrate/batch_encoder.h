// Says the bytes of one connection as batches: which pages the destination has, which are like others that it has, and
// the rest compressed. Pure but for the reads of store and image, which are of this host's page cache.
#pragma once

#include "content/library.h"
#include "content/siblings.h"
#include "migrate/batch.h"
#include "migrate/host_memory.h"
#include "migrate/rapport.h"
#include "wire/migration.h"

#include <deque>
#include <string>
#include <unordered_map>

namespace godwit::migrate {

// How much the encoder tries, from nothing to all: chosen by whoever sees whether CPU or link is idle.
struct Effort {
  bool look{true};     // for pages that the destination has
  bool similar{true};  // for pages that are like others
  int level{3};        // zstd's, 0: not compressed
  bool keep{true};     // at both ends, what is new: it need not be sent again
};

// Where the last version of each page of one migration is held at both ends: 8 bytes a page, and of a guest that is
// larger than the host has memory for, not of each page.
class Places {
 public:
  void set(std::uint64_t place, content::PageId id, const std::shared_ptr<HostMemory>& memory);
  [[nodiscard]] content::PageId get(std::uint64_t place) const;  // 0: none

 private:
  static constexpr unsigned kRegionBits = 9;
  using Region = std::array<content::PageId, 1U << kRegionBits>;
  std::unordered_map<std::uint64_t, std::unique_ptr<Region>> regions_;
  std::shared_ptr<HostMemory> memory_;  // of which this is a share
  std::optional<Budget::Share> share_;
};

// What one migration's connections have in common.
struct Departure {
  content::Store& store;
  std::shared_ptr<Rapport> rapport;
  std::shared_ptr<content::Library::Volume> image;  // nullptr: none
  Places places;
  wire::Savings savings;
  std::optional<Effort> effort{};  // always this one; nothing: as CPU and link allow
  InstanceTag instance{kNoInstance};
  // Shared by all migrations of a host.
  std::shared_ptr<HostMemory> memory{std::make_shared<HostMemory>()};
  Favour::Member member{0};  // as memory->favour knows it
  // What this host's own cloud holds of the tenant's content; nullptr: nothing.
  content::Siblings* siblings{nullptr};
  std::string tenant{};
  std::uint8_t frames_version{1};  // that the destination speaks
};

class BatchEncoder final {
 public:
  BatchEncoder(Departure& departure, std::uint32_t connection);

  struct Encoded {
    ByteVector frame;
    std::size_t taken_bytes{0};
    std::size_t taken_stretches{0};
  };
  // As much as a batch holds of `bytes`, which `stretches` cover. No stretch taken: a part of the first one was.
  // Numbers are given in the order of calls. Errors: exhausted (memory).
  [[nodiscard]] Result<Encoded> encode(ByteView bytes, std::span<const wire::Stretch> stretches, Effort effort);
  // How many there were: the last one's number, and one.
  [[nodiscard]] std::uint64_t batches() const { return batches_; }
  // The other end has rebuilt all batches up to and with this one.
  void acknowledged(std::uint64_t batch);
  // The batch once more, referring to nothing. Errors: protocol where it was acknowledged, or never sent.
  [[nodiscard]] Result<ByteVector> again(std::uint64_t batch);
  // The other end keeps no pages of this connection from this number on: none gets it, and none that has it is referred
  // to. False: it was said before.
  [[nodiscard]] bool unkept(std::uint64_t number);
  // Of memory, for batches that were not acknowledged: kept for again(). Not less than stands on the wire of them.
  [[nodiscard]] std::size_t kept_bytes() const { return kept_bytes_; }
  // The destination has this page, and a batch may refer to it.
  [[nodiscard]] bool is_held(ByteView page, std::uint64_t fingerprint) const;
  // There is something that a batch would compare the page of this sketch and place with.
  [[nodiscard]] bool has_like(const content::Sketch& sketch, std::uint64_t place) const;
  // From now on pages of other connections may be referred to, and nothing else of what crossed before.
  void may_refer_to_others(bool may) { others_ = may; }

 private:
  struct Kept {
    std::uint64_t number{0};
    Check check{};
    ByteVector shape;
    ByteVector others;
    ByteVector pages;  // all but zeros
    std::vector<PageOrigin> origins;
    std::uint64_t numbers_after{0};
    std::size_t size{0};
  };
  struct Draft;

  [[nodiscard]] PageOrigin origin_of(ByteView page, std::uint64_t place, Effort effort, Draft& draft);
  [[nodiscard]] std::optional<PageOrigin> held(content::PageId id) const;
  [[nodiscard]] bool is_earlier(const PageOrigin& origin, std::uint64_t place, content::PageId id) const;
  struct Like {
    content::PageId id{0};
    PageOrigin origin;
  };
  [[nodiscard]] std::optional<Like> find_like(const content::Sketch& sketch, std::uint64_t place) const;
  // Whether there is a page that this one is like, among what the batch is compared with.
  [[nodiscard]] bool choose_prefix(const content::Sketch& sketch, std::uint64_t place, Draft& draft);
  [[nodiscard]] Result<ByteView> press(ByteView prefix, ByteView body, int level);  // of the scratch
  [[nodiscard]] Result<ByteVector> finish(const Kept& kept, Draft& draft, int level);
  void keep(Kept kept, std::size_t frame_bytes);

  Departure& departure_;
  std::uint32_t connection_;
  std::uint64_t batches_{0};
  std::uint64_t numbers_{0};
  std::uint64_t next_block_{0};
  bool others_{false};
  std::optional<std::uint64_t> numbers_end_;
  std::deque<Kept> kept_;
  std::size_t kept_bytes_{0};
};

}  // namespace godwit::migrate
