// What the destination says of pages that the source asks about: those that some host of its cloud holds are copied to
// where nothing is evicted before the migration ends, and get a number, as if they had crossed.
#pragma once

#include "migrate/batch_decoder.h"
#include "sys/task.h"

namespace godwit::migrate {

class Answers final {
 public:
  explicit Answers(Arrivals& arrivals) : arrivals_(arrivals) {}

  // Once, and after the rapport is settled: what the welcome says of us.
  [[nodiscard]] std::optional<std::array<std::byte, 32>> begin();
  [[nodiscard]] std::uint32_t connection() const { return connection_; }
  // The payload of `held`, for that of `ask`. Errors: protocol. Ends within about a second.
  [[nodiscard]] sys::Task<Result<ByteVector>> answer(ByteVector asked);
  // The source has taken all answers: this side may refer to those pages, too.
  void taken();

 private:
  [[nodiscard]] content::PageId keep(content::PageId id);

  Arrivals& arrivals_;
  std::uint32_t connection_{0};
  std::uint64_t numbers_{0};
  content::PageId first_{0};  // what has come since is held until the migration has ended
};

}  // namespace godwit::migrate
