#include "overlay/announcer.h"

#include <algorithm>

namespace godwit::overlay {

void Announcer::start(TimePoint now, std::uint64_t ticket, Segment& segment, const std::string& instance,
                      const std::vector<PeerId>& told, const Peers& peers) {
  Job job{ticket, segment.id(), instance, segment.find(instance)->location.version, now, now, {}};
  Nanos farthest{0};
  for (const auto& peer : told) {
    const auto round_trip = peers.round_trip(peer);
    farthest = std::max<Nanos>(farthest, round_trip.value_or(kAnnounceLimit));
    const Nanos repeat = round_trip ? std::max<Nanos>(*round_trip / 2, kLeastRepeat) : Nanos(kUnknownRepeat);
    job.told.push_back({peer, draw_nonce(random_), now, repeat, false});
  }
  job.limit = now + std::min<Nanos>(farthest + kAnnounceSlack, kAnnounceLimit);
  if (told.empty()) {
    answer(now, job);
    return;
  }
  jobs_.push_back(std::move(job));
  next_ = now;
}

void Announcer::answer(TimePoint now, Job& job) {
  if (job.ticket == 0) return;
  const auto acknowledged =
      std::count_if(job.told.begin(), job.told.end(), [](const Told& t) { return t.acknowledged; });
  finished_.push_back({job.ticket, now - job.began, static_cast<std::uint32_t>(acknowledged),
                       static_cast<std::uint32_t>(job.told.size())});
  job.ticket = 0;
}

bool Announcer::on_ack(TimePoint now, PeerId from, std::uint64_t nonce, const Ack& ack) {
  for (auto& job : jobs_) {
    for (auto& told : job.told) {
      if (told.nonce != nonce || told.peer != from || job.instance != ack.instance) continue;
      if (ack.version < job.version) return false;
      told.acknowledged = true;
      if (std::all_of(job.told.begin(), job.told.end(), [](const Told& t) { return t.acknowledged; })) {
        answer(now, job);
        next_ = now;
      }
      return true;
    }
  }
  return false;
}

void Announcer::add_hosts(std::unordered_set<PeerId>& out) const {
  for (const auto& job : jobs_) {
    for (const auto& told : job.told) out.insert(told.peer);
  }
}

void Announcer::poll(TimePoint now, const Segments& segments, Outbox& out) {
  if (!next_ || now < *next_) return;
  next_.reset();
  std::erase_if(jobs_, [&](Job& job) { return !advance(now, job, segments, out); });
}

bool Announcer::advance(TimePoint now, Job& job, const Segments& segments, Outbox& out) {
  auto* segment = segments.find(job.network);
  auto* member = segment ? segment->find(job.instance) : nullptr;
  // It has moved on, or is gone: whoever has it now tells the others.
  if (!member || !member->here || member->location.version != job.version) {
    answer(now, job);
    return false;
  }
  if (now >= job.limit) answer(now, job);
  bool open = false;
  for (auto& told : job.told) {
    if (told.acknowledged) continue;
    open = true;
    if (told.due <= now) {
      send_control(*segment, told.peer, {told.nonce, Announce{job.instance, member->location}}, out);
      if (job.ticket == 0) told.repeat = std::min<Nanos>(told.repeat * 2, kMostRepeat);
      told.due = now + told.repeat;
    }
    next_ = std::min(next_.value_or(told.due), told.due);
  }
  if (job.ticket != 0) next_ = std::min(next_.value_or(job.limit), job.limit);
  return open && now < job.began + kAnnounceGiveUp;
}

}  // namespace godwit::overlay
