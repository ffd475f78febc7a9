#include "overlay/assembler.h"

#include "overlay/headers.h"
#include "overlay/salvage.h"

#include <algorithm>

namespace godwit::overlay {
namespace {

constexpr std::uint64_t kMostSlicesOfARecord = 64;  // of 1 KiB and more

}  // namespace

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

bool Assembler::on_slice(TimePoint now, std::uint32_t session, std::uint64_t counter, ByteSpan slice,
                         std::vector<Record>& out) {
  if (slice.size() < kSliceHeader) return false;
  const std::size_t continued = load_be16(slice);
  const auto bytes = slice.subspan(kSliceHeader);
  if (continued > bytes.size()) return false;
  if (session != session_) {  // records never go over from one session to the next
    forget_all();
    session_ = session;
    highest_ = counter;
  }
  heard_at_ = now;
  gave_out_ = false;
  highest_ = std::max(highest_, counter);
  bool good = true;
  if (continued > 0) good = go_on(counter, bytes.first(continued), continued == bytes.size(), out);
  good = read_records(counter, bytes.size(), bytes.subspan(continued), out) && good;
  if (open_.empty() && early_.empty()) return good;
  const auto lost_before = highest_ > kReorderedSlices ? highest_ - kReorderedSlices : 0;
  give_up_all(lost_before, out);
  forget_early();
  return good;
}

std::optional<TimePoint> Assembler::deadline() const {
  std::optional<TimePoint> out;
  for (const auto& each : open_) {
    const bool overtaken = highest_ >= each.next;
    const bool kept_back = !gave_out_ && each.header.kind == RecordKind::super_frame;
    if (!overtaken && !kept_back) continue;
    const auto at = heard_at_ + Nanos(overtaken ? kReorderedTime : kSlowTime);
    out = out ? std::min(*out, at) : at;
  }
  return out;
}

void Assembler::poll(TimePoint now, std::vector<Record>& out) {
  if (now < heard_at_ + Nanos(kReorderedTime)) return;
  give_up_all(highest_ + 1, out);
  if (now < heard_at_ + Nanos(kSlowTime)) return;
  for (auto& each : open_) give_out(each, out);
  gave_out_ = true;
}

void Assembler::give_up_all(std::uint64_t lost_before, std::vector<Record>& out) {
  for (std::size_t i = 0; i < open_.size();) {
    const auto before = open_.size();
    give_up(open_.begin() + static_cast<std::ptrdiff_t>(i), lost_before, out);
    if (open_.size() == before) ++i;
  }
}

void Assembler::give_up(Opens::iterator open, std::uint64_t lost_before, std::vector<Record>& out) {
  if (open->next >= lost_before) return;
  // The nearest slice behind the loss that can be of this record.
  auto after = early_.end();
  for (auto each = early_.begin(); each != early_.end(); ++each) {
    if (each->counter > open->next && (after == early_.end() || each->counter < after->counter)) after = each;
  }
  const auto have_until = open->from + open->bytes.size();
  give_out(*open, out);
  open->bytes.clear();
  const auto lost = after == early_.end() ? 0 : (after->counter - open->next) * open->whole;
  const bool hopeless = open->headers.empty() || lost == 0 || have_until + lost >= open->header.size;
  if (hopeless) return drop_open(open);
  open->from = have_until + lost;
  open->next = after->counter;
  [[maybe_unused]] const auto fits = go_on_with_early(after->counter, out);
}

void Assembler::give_out(Open& open, std::vector<Record>& out) {
  if (open.bytes.empty()) return;
  if (open.headers.empty()) {
    if (open.header.kind != RecordKind::super_frame) return;
    open.headers.assign(open.bytes.begin(),
                        open.bytes.begin() + static_cast<std::ptrdiff_t>(std::min(open.bytes.size(), kMostHeaders)));
  }
  auto buffer = buffers_->take();
  buffer.assign(open.headers.begin(), open.headers.end());
  const auto part = salvage(open.header, buffer, open.from, open.bytes.size());
  if (!part) return buffers_->give(std::move(buffer));
  buffer.resize(find_headers(open.header.offload, open.headers)->end);
  append(buffer, ByteView(open.bytes).subspan(part->from - open.from, part->size));
  auto header = open.header;
  header.offload = part->offload;
  header.size = buffer.size();
  out.push_back({header, buffers_->give_later(std::move(buffer))});
  const auto given_until = part->from + part->size;
  open.bytes.erase(open.bytes.begin(), open.bytes.begin() + static_cast<std::ptrdiff_t>(given_until - open.from));
  open.from = given_until;
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

// Whatever they go on with began in a slice that is lost.
void Assembler::forget_early() {
  const auto oldest = highest_ > kMostSlicesOfARecord ? highest_ - kMostSlicesOfARecord : 0;
  std::erase_if(early_, [&](const Early& each) {
    if (each.counter >= oldest) return false;
    early_bytes_ -= each.bytes.size();
    return true;
  });
}

void Assembler::drop_open(Opens::iterator at) {
  buffers_->give(std::move(at->bytes));
  open_.erase(at);
}

bool Assembler::go_on(std::uint64_t counter, ByteView bytes, bool to_the_end, std::vector<Record>& out) {
  const auto open = std::find_if(open_.begin(), open_.end(), [&](const Open& each) { return each.next == counter; });
  if (open == open_.end()) {
    keep_early(counter, bytes, to_the_end);
    return true;
  }
  const auto missing = open->header.size - open->from - open->bytes.size();
  const bool ends = bytes.size() == missing;
  if (bytes.size() > missing || (!ends && !to_the_end)) {
    drop_open(open);
    return false;
  }
  append(open->bytes, bytes);
  if (ends) {
    end(open, out);
    return true;
  }
  open->next = counter + 1;
  return go_on_with_early(counter + 1, out);
}

bool Assembler::go_on_with_early(std::uint64_t counter, std::vector<Record>& out) {
  const auto early = std::find_if(early_.begin(), early_.end(), [&](const Early& e) { return e.counter == counter; });
  if (early == early_.end()) return true;
  const auto next = std::move(*early);
  early_.erase(early);
  early_bytes_ -= next.bytes.size();
  return go_on(next.counter, next.bytes, next.to_the_end, out);
}

void Assembler::end(Opens::iterator open, std::vector<Record>& out) {
  if (open->headers.empty()) {
    out.push_back({open->header, buffers_->give_later(std::move(open->bytes))});
    open_.erase(open);
    return;
  }
  give_out(*open, out);
  drop_open(open);
}

void Assembler::keep_early(std::uint64_t counter, ByteView bytes, bool to_the_end) {
  while (!early_.empty() && early_bytes_ + bytes.size() > kMostEarlyBytes) {
    early_bytes_ -= early_.front().bytes.size();
    early_.pop_front();
  }
  early_.push_back({counter, to_the_end, {bytes.begin(), bytes.end()}});
  early_bytes_ += bytes.size();
}

bool Assembler::read_records(std::uint64_t counter, std::size_t whole, ByteSpan bytes, std::vector<Record>& out) {
  while (!bytes.empty()) {
    if (bytes[0] == static_cast<std::byte>(RecordKind::padding)) return true;
    const auto header = read_record_header(bytes);
    if (!header) return false;
    bytes = bytes.subspan(header->bytes());
    if (header->size > bytes.size()) return begin(counter, whole, *header, bytes, out);
    out.push_back({*header, bytes.first(header->size)});
    bytes = bytes.subspan(header->size);
  }
  return true;
}

bool Assembler::begin(std::uint64_t counter, std::size_t whole, const RecordHeader& header, ByteView bytes,
                      std::vector<Record>& out) {
  if (bytes.size() < kLeastBeginning) return false;
  if (open_.size() == kMostOpenRecords) drop_open(open_.begin());
  auto buffer = buffers_->take();
  buffer.reserve(header.size);
  append(buffer, bytes);
  open_.push_back({header, counter + 1, whole, 0, std::move(buffer), {}});
  return go_on_with_early(counter + 1, out);
}

std::size_t Assembler::kept_bytes() const {
  std::size_t out = early_bytes_;
  for (const auto& each : open_) out += each.bytes.capacity();
  return out;
}

}  // namespace godwit::overlay
