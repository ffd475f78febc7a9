// What migrations through a tunnel would save, without doing one: the encoder on the pages of a guest that runs, or on
// a recorded stream of QEMU. Guests are taken in turn, as of one gang: what the first has, the next need not send.
#pragma once

#include "content/library.h"
#include "content/store.h"
#include "hypervisor/guest_memory.h"
#include "sys/page_file.h"
#include "wire/migration.h"
#include "wire/stretches.h"

#include <memory>
#include <vector>

namespace godwit::migrate {
struct Departure;
class BatchEncoder;
}  // namespace godwit::migrate

namespace godwit::tunnel {

struct Estimate {
  std::uint64_t looked_at_bytes{0};
  std::uint64_t plain_bytes{0};     // that QEMU would put out
  std::uint64_t crossing_bytes{0};  // TLS apart
  wire::Savings savings;
};

class Estimator final {
 public:
  // `store` outlives it. `image`: what the destination has; nullptr: nothing.
  Estimator(content::Store& store, std::shared_ptr<content::Library::Volume> image);
  ~Estimator();
  Estimator(const Estimator&) = delete;
  Estimator& operator=(const Estimator&) = delete;

  // One round of what runs: pages that the guest writes meanwhile would cross again. Takes nothing from it but a core.
  // Errors: those of PageFile.
  [[nodiscard]] Result<Estimate> memory(const sys::PageFile& process,
                                        const std::vector<hypervisor::MemoryRange>& ranges);
  // What QEMU wrote with `migrate` to a file. Errors: those of PageFile.
  [[nodiscard]] Result<Estimate> stream(const sys::PageFile& file);

 private:
  struct Guest;
  [[nodiscard]] Result<> encode(Guest& guest, ByteView bytes, const std::vector<wire::Stretch>& stretches);
  [[nodiscard]] Guest begin();
  [[nodiscard]] static Estimate end(Guest& guest);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::tunnel
