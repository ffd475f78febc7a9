// What the destination says of pages that the source asks about: those that some host of its cloud holds, or that are
// like them, are copied to where nothing is evicted before the migration ends, and get a number, as if they had
// crossed.
#pragma once

#include "migrate/batch_decoder.h"
#include "migrate/shrink_frames.h"
#include "sys/task.h"

namespace godwit::migrate {

class Answers final {
 public:
  explicit Answers(Arrivals& arrivals) : arrivals_(arrivals) {}

  // Once, and after the rapport is settled: what the welcome says of us. `theirs`: the hello's key.
  [[nodiscard]] std::optional<CloudKey> begin(const std::optional<CloudKey>& theirs = std::nullopt);
  [[nodiscard]] std::uint32_t connection() const { return connection_; }
  // The payload of `held`, for that of `ask`. Errors: protocol. Ends within about a second.
  [[nodiscard]] sys::Task<Result<ByteVector>> answer(ByteVector asked);
  // The payload of `alike`, for that of `seek`. Errors: protocol. Ends within about a second.
  [[nodiscard]] sys::Task<Result<ByteVector>> answer_alike(ByteVector sought);
  // The source has taken all answers: this side may refer to those pages, too.
  void taken();

 private:
  [[nodiscard]] content::PageId keep(content::PageId id);

  Arrivals& arrivals_;
  std::uint32_t connection_{0};
  std::uint64_t numbers_{0};
  // The source need not have what is like its pages: nothing is referred to from here, so it has numbers of its own.
  std::optional<content::PageKey> source_key_;
  std::uint64_t alike_numbers_{0};
  content::PageId first_{0};  // what has come since is held until the migration has ended
};

}  // namespace godwit::migrate
