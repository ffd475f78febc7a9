// What of an image is on disk for good, and the word that it is.
#include "image/stored_image.h"

#include <utility>

namespace godwit::image {
namespace {

class Flag {
 public:
  Flag(bool& flag, sys::Signal& cleared) : flag_(flag), cleared_(cleared) { flag_ = true; }
  ~Flag() {
    flag_ = false;
    cleared_.notify();
  }
  Flag(const Flag&) = delete;
  Flag& operator=(const Flag&) = delete;

 private:
  bool& flag_;
  sys::Signal& cleared_;
};

}  // namespace

sys::Task<Result<>> StoredImage::settle(std::shared_ptr<StoredImage> self) {
  while (self->settling_) co_await self->settled_.wait();
  const Flag settling(self->settling_, self->settled_);
  auto settled = co_await settle_once(self);
  co_return settled;
}

// What of an image is to be told by one settling. Where that ends early, it is still to be told.
class StoredImage::Attempt {
 public:
  explicit Attempt(StoredImage& of)
      : of_(of), sectors_(of.here_.take_changed()), fresh_(std::exchange(of.fresh_, {})) {}
  ~Attempt() {
    if (done_) return;
    of_.here_.give_back(sectors_);
    of_.fresh_.insert(of_.fresh_.end(), fresh_.begin(), fresh_.end());
    for (auto& each : of_.files_) each.dirty = true;
    of_.list_file_.dirty = of_.blocks_file_.dirty = true;
  }
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  [[nodiscard]] const std::vector<HereMap::Sector>& sectors() const { return sectors_; }
  void succeed() { done_ = true; }
  // After a failed sync nobody knows what the disk has of what was written, and asking again would not tell
  // (fsync(2): it reports an error once).
  void lose() {
    for (const auto piece : fresh_) of_.here_.set(piece, false);
    fresh_.clear();
  }

 private:
  StoredImage& of_;
  std::vector<HereMap::Sector> sectors_;
  std::vector<std::uint64_t> fresh_;
  bool done_{false};
};

// First the pieces, then the word that they are here: of those that were when it began.
sys::Task<Result<>> StoredImage::settle_once(std::shared_ptr<StoredImage> self) {
  Attempt attempt(*self);
  auto done = co_await sync_data(self);
  if (!done) {
    attempt.lose();
    co_return fail(done, "image " + ami_of(self->id_));
  }
  for (const auto& each : attempt.sectors()) {
    if (done) done = self->here_file_->write_at(each.number * HereMap::kSector_bytes, each.bytes);
  }
  if (done && !attempt.sectors().empty()) done = co_await self->here_file_->sync();
  if (!done) co_return fail(done, "image " + ami_of(self->id_));
  attempt.succeed();
  co_return Result<>{};
}

sys::Task<Result<>> StoredImage::sync_data(std::shared_ptr<StoredImage> self) {
  std::vector<File*> files{&self->list_file_, &self->blocks_file_};
  for (auto& each : self->files_) files.push_back(&each);
  for (auto* const each : files) {
    if (!each->dirty) continue;
    each->dirty = false;
    auto synced = co_await each->file->sync();
    if (!synced) co_return synced;
  }
  co_return Result<>{};
}

}  // namespace godwit::image
