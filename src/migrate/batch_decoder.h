// Rebuilds the bytes of one connection from its batches. It knows nothing of QEMU, and believes nothing: sizes are
// bounded, and what does not come to the bytes that were meant is asked for again.
#pragma once

#include "content/library.h"
#include "content/siblings.h"
#include "migrate/batch.h"
#include "migrate/host_memory.h"
#include "migrate/rapport.h"

#include <memory>
#include <string>

namespace godwit::migrate {

// What the connections of one migration have in common at the destination.
struct Arrivals {
  content::Store& store;
  std::shared_ptr<Rapport> rapport;
  std::shared_ptr<content::Library::Volume> image;  // nullptr: none
  bool flushes_cross{false};                        // as TransferSpec has it
  std::string tenant{};
  content::PageId leased_from{0};        // pages from here on stay while the migration goes on
  content::Siblings* siblings{nullptr};  // what else this cloud holds; nullptr: nothing
  InstanceTag instance{kNoInstance};
  // Shared by all migrations of a host.
  std::shared_ptr<HostMemory> memory{std::make_shared<HostMemory>()};
};

class BatchDecoder final {
 public:
  BatchDecoder(Arrivals& arrivals, std::uint32_t connection);

  // The bytes of the next batch; valid until the next call. Errors: not_found (it refers to what is not here) and
  // not_authentic (it came to other bytes than were meant): the same batch may be given again, said otherwise. All
  // others are final: protocol, exhausted.
  [[nodiscard]] Result<ByteView> decode(ByteView frame);
  [[nodiscard]] std::uint64_t next() const { return batches_; }  // its number
  // The number of this connection's pages from which on none is kept, as soon as that can be seen to come.
  [[nodiscard]] std::optional<std::uint64_t> unkept_from() const { return unkept_from_; }

 private:
  struct Parts;
  [[nodiscard]] Result<> expand(const Batch& batch, Parts& parts);
  [[nodiscard]] Result<> gather(Parts& parts);
  [[nodiscard]] Result<ByteView> page_of(const PageOrigin& origin, Parts& parts);
  void keep(ByteView page, std::uint64_t number);
  void see_room_end();
  [[nodiscard]] Result<> fetch(const PageOrigin& origin, ByteSpan into);

  Arrivals& arrivals_;
  std::uint32_t connection_;
  std::uint64_t batches_{0};
  std::uint64_t numbers_{0};  // of the batches that were rebuilt
  std::optional<std::uint64_t> unkept_from_;
  ByteVector bytes_;
};

}  // namespace godwit::migrate
