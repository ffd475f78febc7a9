// What whole images have in common takes space once, where the file system can do that: however they came. It goes
// slowly, beside all else, and gives way to whoever wants to remove an image.
#include "image/known_blocks.h"
#include "image/repository_entry.h"

namespace godwit::image {
namespace {

constexpr std::size_t kMemory_bytes = 16UL << 20U;  // of the index: of 5 GiB of content
constexpr std::uint64_t kIndexedAtOnce = 256;       // pieces
constexpr std::uint64_t kSharedAtOnce = 16;         // pieces: 1 MiB of reading, twice
constexpr Millis kPause{10};                        // between: at most 100 MiB/s
constexpr Seconds kAgain{60};                       // after a disk that failed

}  // namespace

struct Repository::Sharing {
  std::shared_ptr<Entry> entry;
  Lease image;
  KnownBlocks known;
  std::uint64_t next{0};  // piece
};

// Whether the file system can do it, by trying.
Result<bool> Repository::can_share() {
  const auto path = directory_ + "/sharing";
  const ByteVector page(kPage_bytes, std::byte{1});
  auto from = runtime_.page_files.create(path + ".from");
  auto into = runtime_.page_files.create(path + ".into");
  Result<bool> can = false;
  if (from && into) {
    auto written = (*from)->write_at(0, page);
    can = written ? (*into)->share_from(**from, 0, 0, kPage_bytes) : Result<bool>(pass(written));
  } else {
    can = from ? pass(into) : pass(from);
  }
  for (const auto* const name : {".from", ".into"}) (void)runtime_.page_files.remove(path + name);
  return can;
}

std::shared_ptr<Repository::Entry> Repository::next_to_share() const {
  if (can_share_ == false) return nullptr;
  std::shared_ptr<Entry> next;
  std::size_t whole = 0;
  for (const auto& [id, each] : entries_) {
    if (!each->is_whole()) continue;
    ++whole;
    if (!each->shared && !next) next = each;
  }
  return whole > 1 ? next : nullptr;
}

Result<> Repository::begin_sharing(const std::shared_ptr<Entry>& entry) {
  auto image = lend(entry, "what images have in common", Purpose::look);
  if (!image) return pass(image);
  const auto id = entry->status.id;
  sharing_ = std::make_shared<Sharing>(Sharing{entry, std::move(*image), KnownBlocks(*this, id, kMemory_bytes)});
  return {};
}

// False: it is done. Blocks that turned out to be bad are left as they are: whoever checks that image will say so.
Result<bool> Repository::share_more() {
  auto& now = *sharing_;
  if (now.known.advance(kIndexedAtOnce)) return true;
  std::array<std::byte, kPieceBlocks_bytes> blocks;
  for (std::uint64_t left = kSharedAtOnce; left > 0 && now.next < now.image->count(); ++now.next) {
    if (now.image->is_zero(now.next) || !now.image->has(now.next)) continue;
    --left;
    if (!now.image->read_blocks(now.next, blocks)) continue;
    const auto found = now.known.assemble(*now.image, now.next, blocks);
    if (!found) continue;
    const auto shared = now.image->share(now.next, found->known);
    if (!shared || !*shared) return shared;
  }
  return now.next < now.image->count();
}

void Repository::end_sharing() { sharing_.reset(); }

sys::Task<void> Repository::keep_shared() {
  for (;;) {
    const auto next = next_to_share();
    if (!next) {
      co_await whole_.wait();
      continue;
    }
    if (!can_share_) {
      const auto can = can_share();
      if (can) can_share_ = *can;
      if (!can) co_await runtime_.clock.sleep_for(kAgain);
      continue;
    }
    if (auto begun = begin_sharing(next); !begun) {
      runtime_.log.warn("{}: tried again in {} s", begun.error().message, kAgain.count());
      co_await runtime_.clock.sleep_for(kAgain);
      continue;
    }
    Result<bool> more = true;
    while (sharing_ && more && *more) {
      more = share_more();
      co_await runtime_.clock.sleep_for(kPause);
    }
    if (!sharing_) continue;  // it gave way
    const auto entry = sharing_->entry;
    end_sharing();
    if (!more) {
      runtime_.log.warn("{}: tried again in {} s", more.error().message, kAgain.count());
      co_await runtime_.clock.sleep_for(kAgain);
      continue;
    }
    entry->shared = true;
    const auto told = runtime_.files.write_atomic(file_of(entry->status.id, kSharedName), "", kImageFileMode);
    if (!told) runtime_.log.warn("{}", told.error().message);
  }
}

}  // namespace godwit::image
