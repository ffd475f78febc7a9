#include "image/disk_client.h"

#include "image/disk_server.h"

namespace godwit::image {
namespace {

constexpr std::size_t kFeed_bytes = 16UL << 10U;  // of requests

}  // namespace

// Of one read: its pieces are touched, and it is counted, as long as it lives.
class DiskClient::Reading {
 public:
  Reading(DiskClient& client, desk::Range range) : client_(client), range_(range) {
    ++client_.reads_;
    client_.disk_->pieces.touch(range_);
    client_.disk_->touched();
  }
  ~Reading() {
    --client_.reads_;
    client_.disk_->pieces.leave(range_);
    client_.changed_.notify();
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  [[nodiscard]] bool here() const { return client_.disk_->pieces.has(range_); }

 private:
  DiskClient& client_;
  desk::Range range_;
};

// For as long as it lives, so much memory is taken.
class DiskClient::Turn {
 public:
  Turn(DiskClient& client, std::size_t bytes) : client_(client), bytes_(bytes) { client_.answers_bytes_ += bytes_; }
  ~Turn() {
    client_.answers_bytes_ -= bytes_;
    client_.changed_.notify();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  DiskClient& client_;
  std::size_t bytes_;
};

DiskClient::DiskClient(std::shared_ptr<SharedDisk> disk, std::unique_ptr<sys::Stream> stream)
    : disk_(std::move(disk)),
      stream_(std::move(stream)),
      nbd_(kDiskExport, disk_->file->size()),
      changed_(disk_->executor),
      gate_(disk_->executor) {}

void DiskClient::close() {
  closed_ = true;
  stream_->close();
  changed_.notify();
  gate_.cancel();
}

sys::Task<Result<>> DiskClient::run(std::shared_ptr<DiskClient> self) {
  auto ended = co_await converse(self);
  self->close();
  co_await self->gate_.close();
  co_return ended;
}

// Until it fails, which it does in the end.
sys::Task<Result<>> DiskClient::converse(std::shared_ptr<DiskClient> self) {
  ByteVector feed(kFeed_bytes);
  ByteView rest;
  for (;;) {
    const auto answers = self->nbd_.take_answers();
    if (!answers.empty()) {
      const auto written = co_await self->write(answers);
      if (!written) co_return written;
    }
    if (rest.empty()) {
      const auto count = co_await self->stream_->read_some(feed);
      if (!count) co_return pass(count);
      rest = ByteView(feed).first(*count);
    }
    const auto wanted = self->nbd_.next(rest);
    if (!wanted) {
      const auto last = self->nbd_.take_answers();
      if (!last.empty()) (void)co_await self->write(last);
      co_return pass(wanted);
    }
    if (!*wanted) continue;
    while (self->reads_ >= kDiskReads && !self->closed_) co_await self->changed_.wait();
    if (self->closed_) co_return fail(Errc::closed, "closed on this side");
    auto reading = std::make_shared<Reading>(*self, DiskPieces::range_of((*wanted)->offset, (*wanted)->length));
    self->gate_.spawn(read(self, **wanted, std::move(reading)));
  }
}

sys::Task<void> DiskClient::read(std::shared_ptr<DiskClient> self, wire::NbdRead wanted,
                                 std::shared_ptr<Reading> reading) {
  while (!reading->here()) co_await self->disk_->came.wait();
  while (self->answers_bytes_ > 0 && self->answers_bytes_ + wanted.length > kDiskAnswers_bytes) {
    co_await self->changed_.wait();
  }
  const Turn turn(*self, wanted.length);
  const auto answered = co_await self->answer(wanted);
  if (!answered) self->close();
}

sys::Task<Result<>> DiskClient::answer(wire::NbdRead wanted) {
  ByteVector bytes(wire::kNbdReply_bytes + wanted.length);
  const auto content = ByteSpan(bytes).subspan(wire::kNbdReply_bytes);
  const auto read = disk_->file->read_at(wanted.offset, content);
  if (!read) {
    disk_->log.error("{}", read.error().message);
    bytes.resize(wire::kNbdReply_bytes);
  }
  wire::store_nbd_reply(bytes, wanted.cookie, read ? 0 : wire::kNbdErrorIo);
  co_return co_await write(bytes);
}

// One at a time.
sys::Task<Result<>> DiskClient::write(ByteView bytes) {
  while (writing_) co_await changed_.wait();
  if (closed_) co_return fail(Errc::closed, "closed on this side");
  struct Writing {
    DiskClient& client;
    ~Writing() {
      client.writing_ = false;
      client.changed_.notify();
    }
  } writing{*this};
  writing_ = true;
  co_return co_await stream_->write(bytes);
}

}  // namespace godwit::image
