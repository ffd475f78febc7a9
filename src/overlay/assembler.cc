#include "overlay/assembler.h"

#include <algorithm>

namespace godwit::overlay {

ByteVector JoinBuffers::take() {
  ByteVector out;
  if (!free_.empty()) {
    out = std::move(free_.back());
    free_.pop_back();
  }
  return out;
}

void JoinBuffers::give(ByteVector buffer) {
  if (free_.size() >= kMostFree) return;
  buffer.clear();
  free_.push_back(std::move(buffer));
}

ByteSpan JoinBuffers::give_later(ByteVector buffer) { return lent_.emplace_back(std::move(buffer)); }

void JoinBuffers::end_batch() {
  for (auto& each : lent_) give(std::move(each));
  lent_.clear();
}

bool Assembler::on_slice(std::uint32_t session, std::uint64_t counter, ByteSpan slice, std::vector<Record>& out) {
  if (slice.size() < kSliceHeader) return false;
  const std::size_t continued = load_be16(slice);
  const auto bytes = slice.subspan(kSliceHeader);
  if (continued > bytes.size()) return false;
  if (session != session_) {  // records never go over from one session to the next
    forget_all();
    session_ = session;
    highest_ = counter;
  }
  highest_ = std::max(highest_, counter);
  if (!open_.empty() || !early_.empty()) forget_old();
  bool good = true;
  if (continued > 0) good = go_on(counter, bytes.first(continued), continued == bytes.size(), out);
  return read_records(counter, bytes.subspan(continued), out) && good;
}

void Assembler::forget_all() {
  while (!open_.empty()) drop_open(open_.end() - 1);
  early_.clear();
  early_bytes_ = 0;
}

void Assembler::sweep() {
  if (swept_at_ == highest_) forget_all();
  swept_at_ = highest_;
}

void Assembler::forget_old() {
  const auto oldest = highest_ > kReorderedSlices ? highest_ - kReorderedSlices : 0;
  for (auto each = open_.begin(); each != open_.end();) {
    if (each->next >= oldest) {
      ++each;
      continue;
    }
    drop_open(each);
    each = open_.begin();
  }
  std::erase_if(early_, [&](const Early& each) {
    if (each.counter >= oldest) return false;
    early_bytes_ -= each.bytes.size();
    return true;
  });
}

void Assembler::drop_open(std::vector<Open>::iterator at) {
  buffers_->give(std::move(at->bytes));
  open_.erase(at);
}

bool Assembler::go_on(std::uint64_t counter, ByteView bytes, bool to_the_end, std::vector<Record>& out) {
  const auto open = std::find_if(open_.begin(), open_.end(), [&](const Open& each) { return each.next == counter; });
  if (open == open_.end()) {
    keep_early(counter, bytes, to_the_end);
    return true;
  }
  const auto missing = open->header.size - open->bytes.size();
  const bool ends = bytes.size() == missing;
  if (bytes.size() > missing || (!ends && !to_the_end)) {
    drop_open(open);
    return false;
  }
  append(open->bytes, bytes);
  if (ends) {
    auto whole = std::move(*open);
    open_.erase(open);
    out.push_back({whole.header, buffers_->give_later(std::move(whole.bytes))});
    return true;
  }
  open->next = counter + 1;
  const auto early = std::find_if(early_.begin(), early_.end(), [&](const Early& e) { return e.counter == counter + 1; });
  if (early == early_.end()) return true;
  const auto next = std::move(*early);
  early_.erase(early);
  early_bytes_ -= next.bytes.size();
  return go_on(next.counter, next.bytes, next.to_the_end, out);
}

void Assembler::keep_early(std::uint64_t counter, ByteView bytes, bool to_the_end) {
  while (!early_.empty() && early_bytes_ + bytes.size() > kMostEarlyBytes) {
    early_bytes_ -= early_.front().bytes.size();
    early_.pop_front();
  }
  early_.push_back({counter, to_the_end, {bytes.begin(), bytes.end()}});
  early_bytes_ += bytes.size();
}

bool Assembler::read_records(std::uint64_t counter, ByteSpan bytes, std::vector<Record>& out) {
  while (!bytes.empty()) {
    if (bytes[0] == static_cast<std::byte>(RecordKind::padding)) return true;
    const auto header = read_record_header(bytes);
    if (!header) return false;
    bytes = bytes.subspan(header->bytes());
    if (header->size > bytes.size()) return begin(counter, *header, bytes, out);
    out.push_back({*header, bytes.first(header->size)});
    bytes = bytes.subspan(header->size);
  }
  return true;
}

bool Assembler::begin(std::uint64_t counter, const RecordHeader& header, ByteView bytes, std::vector<Record>& out) {
  if (bytes.size() < kLeastBeginning) return false;
  if (open_.size() == kMostOpenRecords) drop_open(open_.begin());
  auto buffer = buffers_->take();
  buffer.reserve(header.size);
  append(buffer, bytes);
  open_.push_back({header, counter + 1, std::move(buffer)});
  const auto early = std::find_if(early_.begin(), early_.end(), [&](const Early& e) { return e.counter == counter + 1; });
  if (early == early_.end()) return true;
  const auto next = std::move(*early);
  early_.erase(early);
  early_bytes_ -= next.bytes.size();
  return go_on(next.counter, next.bytes, next.to_the_end, out);
}

std::size_t Assembler::kept_bytes() const {
  std::size_t out = early_bytes_;
  for (const auto& each : open_) out += each.bytes.capacity();
  return out;
}

}  // namespace godwit::overlay
