#include "migrate/inquiry.h"

#include "base/zero.h"
#include "wire/memory_place.h"

#include <algorithm>

namespace godwit::migrate {
namespace {

constexpr std::size_t kCrowd_bytes = 96UL * 1024;  // so much waits for the link that a round trip more is not noticed
// A digest costs 1/256 of its page: where fewer are held, the rest is not asked. Of about the last 4,096 questions.
constexpr double kWorth = 0.01;
constexpr double kForget = 1.0 / 4096;

}  // namespace

void Inquiry::begin(const ShrinkWelcome& welcome) {
  if (!welcome.key) return;
  key_.emplace(*welcome.key);
  connection_ = welcome.connection;
}

ByteVector Inquiry::look(const Backlog& backlog) {
  ByteVector digests;
  if (!asks()) return digests;
  // What was taken meanwhile is past asking.
  if (seen_stretches_ < backlog.stretches_before) {
    seen_stretches_ = backlog.stretches_before;
    seen_bytes_ = backlog.bytes_before;
  }
  const bool crowded = backlog.bytes.size() >= kCrowd_bytes;
  std::vector<Question> questions;
  // The last stretch may go on with the next bytes.
  for (auto at = seen_stretches_ - backlog.stretches_before; at + 1 < backlog.stretches->size(); ++at) {
    const auto& stretch = (*backlog.stretches)[at];
    if (questions.size() == content::kLookupLimit) break;
    if (is_whole_page(stretch) && is_first(stretch.place, crowded)) {
      const auto page = backlog.bytes.subspan(seen_bytes_ - backlog.bytes_before, kPage_bytes);
      const auto fingerprint = content::fingerprint_of(page);
      if (is_worth_asking(page, fingerprint)) {
        questions.push_back({seen_stretches_, seen_bytes_, fingerprint});
        last_asked_ = seen_bytes_ + kPage_bytes;
        append(digests, key_->digest(page));
      }
    }
    ++seen_stretches_;
    seen_bytes_ += stretch.size_bytes;
  }
  if (!questions.empty()) asked_.push_back(std::move(questions));
  return digests;
}

bool Inquiry::is_first(std::uint64_t place, bool crowded) {
  if (channel_ == Channel::disk) return crowded && departure_.places.get(place) == 0;
  auto& furthest = furthest_[place >> wire::kPageNumberBits];
  if (place < furthest) return false;
  furthest = place + 1;
  return true;
}

bool Inquiry::is_worth_asking(ByteView page, std::uint64_t fingerprint) const {
  if (is_zero(page)) return false;
  const auto& image = departure_.image;
  return !(image && image->index->find(page, fingerprint, 0)) && !encoder_.is_held(page, fingerprint);
}

Result<> Inquiry::answered(const Backlog& backlog, ByteView held, bool seek) {
  if (asked_.empty()) return fail(Errc::protocol, "the destination answers what was not asked");
  const auto questions = std::move(asked_.front());
  asked_.pop_front();
  if (held.size() != (questions.size() + 7) / 8)
    return fail(Errc::protocol, "the destination's answer has another size");
  auto& rapport = *departure_.rapport;
  for (std::size_t at = 0; at < questions.size(); ++at) {
    const bool is_held = (held[at / 8] >> (at % 8) & std::byte{1}) != std::byte{0};
    worth_ += ((is_held ? 1.0 : 0.0) - worth_) * kForget;
    const auto& question = questions[at];
    const auto page = backlog.bytes.subspan(question.byte - backlog.bytes_before, kPage_bytes);
    if (!is_held) {
      const auto place = (*backlog.stretches)[question.stretch - backlog.stretches_before].place;
      if (seek) seeking_.consider({question.stretch, question.byte, place}, page);
      continue;
    }
    const auto number = number_++;
    const auto stored = departure_.store.append(rapport.domain, page, question.fingerprint);
    if (stored) rapport.theirs.add({connection_, number}, *stored, 1);
  }
  rapport.settle(departure_.store, departure_.memory);
  if (worth_ < kWorth) worth_ = 0;
  return {};
}

Inquiry::Ready Inquiry::ready(const Backlog& backlog) const {
  if (const auto first = seeking_.first()) {  // it was answered before what is asked now
    return {first->byte - backlog.bytes_before, first->stretch - backlog.stretches_before};
  }
  if (asked_.empty()) return {backlog.bytes.size(), backlog.stretches->size()};
  const auto& first = asked_.front().front();
  return {first.byte - backlog.bytes_before, first.stretch - backlog.stretches_before};
}

std::size_t Inquiry::ahead_bytes() const {
  const bool asking = last_asked_ != 0 && seen_bytes_ - last_asked_ < kAhead_bytes;
  return asking && asks() ? kAhead_bytes : 0;
}

}  // namespace godwit::migrate
