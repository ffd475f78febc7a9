#include "siblings/bringing.h"

#include "base/page.h"
#include "sys/gather.h"

#include <algorithm>

namespace godwit::siblings {
namespace {

constexpr std::size_t kFetchesAtOnce = 2;  // of one holder: it reads while the LAN carries

using Places = std::vector<std::size_t>;  // of digests in the question

// One bringing; its parts end before it.
struct Job {
  const Sources& from;
  std::string tenant;
  std::vector<PageDigest> digests;
  TimePoint deadline;
  std::vector<content::PageId> ids;  // what has been found so far
  std::map<std::string, Places> places_by_holder{};

  [[nodiscard]] std::vector<PageDigest> digests_at(const Places& places) const {
    std::vector<PageDigest> out;
    for (const auto place : places) out.push_back(digests[place]);
    return out;
  }
};

// What one holder is still to be asked for.
struct Order {
  std::string holder;
  std::shared_ptr<Link> link;
  Places places;
  std::size_t asked{0};
  bool over{false};
};

std::shared_ptr<Link> link_to(const Sources& from, const std::string& name) {
  const auto found = from.links.find(name);
  return found == from.links.end() ? nullptr : found->second;
}

// ---- owners

void note_holders(Job& job, const Places& places, const Found& found) {
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (found.of[i] != 0) job.places_by_holder[found.holders[found.of[i] - 1U]].push_back(places[i]);
  }
}

sys::Task<bool> look_up(Job& job, std::shared_ptr<Link> link, Places places) {
  Lookup question;
  question.digests = job.digests_at(places);
  Link::Make make = [&question](std::uint32_t request, const Nonce&) -> Result<ByteVector> {
    question.request = request;
    return pack(question);
  };
  const auto until = std::min(job.deadline, job.from.runtime.clock.now() + kOwnersLimit);
  const auto frame = co_await link->ask(std::move(make), until);
  if (!frame) co_return false;
  const auto found = parse_found(*frame);
  if (!found || found->of.size() != places.size()) {
    link->shun("it answered another question than was asked");
    co_return false;
  }
  note_holders(job, places, *found);
  co_return true;
}

sys::Task<void> ask_owners(Job& job) {
  std::map<std::string, Places> by_owner;
  for (std::size_t i = 0; i < job.digests.size(); ++i) {
    if (job.ids[i] == 0) by_owner[job.from.ring.owner_of(job.digests[i])].push_back(i);
  }
  std::vector<sys::Task<bool>> asked;
  for (auto& [owner, places] : by_owner) {
    if (owner == job.from.self) {
      for (const auto place : places) {
        const auto& holder = job.from.owner.holder_of(job.digests[place]);
        if (!holder.empty()) job.places_by_holder[holder].push_back(place);
      }
    } else if (auto link = link_to(job.from, owner)) {
      asked.push_back(look_up(job, std::move(link), std::move(places)));
    }
  }
  (void)co_await sys::gather(job.from.runtime.executor, std::move(asked));
}

// ---- holders

// False where something in it was not what had been asked for.
bool keep_pages(Job& job, const Places& places, const Pages& pages) {
  if (pages.outcome != Outcome::served) return true;
  if (pages.held.size() != places.size()) return false;
  ByteView rest = pages.content;
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (!pages.held[i]) continue;
    const auto id = job.from.holder.take(job.tenant, job.digests[places[i]], rest.first(kPage_bytes));
    rest = rest.subspan(kPage_bytes);
    if (id) {
      job.ids[places[i]] = *id;
    } else if (id.error().code == Errc::not_authentic) {
      return false;
    }
  }
  return true;
}

sys::Task<Result<ByteVector>> ask_for_pages(Job& job, const Order& order, const Places& places) {
  Fetch question;
  question.tenant = job.tenant;
  question.digests = job.digests_at(places);
  Link::Make make = [&job, &question](std::uint32_t request, const Nonce& nonce) -> Result<ByteVector> {
    const auto proof = job.from.holder.prove(job.tenant, nonce, job.from.self);
    if (!proof) return fail(Errc::denied, "fetch pages of tenant {}: its key is gone", job.tenant);
    question.request = request;
    question.proof = *proof;
    return pack(question);
  };
  co_return co_await order.link->ask(std::move(make), job.deadline);
}

// Until nothing is left to ask for, or the holder fails us.
sys::Task<bool> fetch(Job& job, Order& order) {
  while (!order.over && order.asked < order.places.size()) {
    const auto count = std::min(kFetchLimit, order.places.size() - order.asked);
    const auto first = order.places.begin() + static_cast<std::ptrdiff_t>(order.asked);
    const Places places(first, first + static_cast<std::ptrdiff_t>(count));
    order.asked += count;
    const auto frame = co_await ask_for_pages(job, order, places);
    if (!frame) {
      order.over = true;
      break;
    }
    const auto pages = parse_pages(*frame);
    if (pages && keep_pages(job, places, *pages)) continue;
    order.link->shun("it sent a page that is not what was asked for");
    order.over = true;
  }
  co_return !order.over;
}

sys::Task<void> ask_holders(Job& job) {
  std::vector<Order> orders;
  for (auto& [holder, places] : job.places_by_holder) {
    auto link = link_to(job.from, holder);
    if (link) orders.push_back({holder, std::move(link), std::move(places), 0, false});
  }
  std::vector<sys::Task<bool>> asked;
  for (auto& each : orders) {
    for (std::size_t i = 0; i < kFetchesAtOnce; ++i) asked.push_back(fetch(job, each));
  }
  (void)co_await sys::gather(job.from.runtime.executor, std::move(asked));
}

}  // namespace

sys::Task<std::vector<content::PageId>> bring_pages(const Sources& sources, std::string tenant,
                                                    std::vector<PageDigest> digests) {
  const auto asked = digests.size();
  digests.resize(std::min(asked, content::kLookupLimit));
  Job job{sources, std::move(tenant), std::move(digests), sources.runtime.clock.now() + kBringLimit, {}, {}};
  auto oldest = sources.holder.appended();
  for (const auto& each : job.digests) {
    job.ids.push_back(sources.holder.find(job.tenant, each));
    if (job.ids.back() != 0) oldest = std::min(oldest, job.ids.back());
  }
  const bool whole = std::find(job.ids.begin(), job.ids.end(), 0U) == job.ids.end();
  const bool can_ask = sources.holder.find_key(job.tenant) != nullptr && !sources.ring.empty();
  const auto pin = sources.holder.pin(oldest);  // what is there already does not go meanwhile
  if (!whole && can_ask) {
    co_await ask_owners(job);
    co_await ask_holders(job);
  }
  job.ids.resize(asked, 0);
  co_return std::move(job.ids);
}

}  // namespace godwit::siblings
