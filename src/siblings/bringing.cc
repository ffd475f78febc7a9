#include "siblings/bringing.h"

#include "base/page.h"
#include "sys/gather.h"

#include <algorithm>

namespace godwit::siblings {
namespace {

constexpr std::size_t kFetchesAtOnce = 2;  // of one holder: it reads while the LAN carries

using Places = std::vector<std::size_t>;  // of what is wanted, in the question
using Keys = std::vector<std::size_t>;    // what owners are asked about, by number

// What is wanted: pages of these digests. Each key is of one place.
struct Exact {
  [[nodiscard]] std::size_t size() const { return digests.size(); }
  [[nodiscard]] std::size_t keys() const { return digests.size(); }
  [[nodiscard]] std::optional<PageDigest> key(std::size_t number) const { return digests[number]; }
  [[nodiscard]] std::size_t place_of(std::size_t key) const { return key; }
  [[nodiscard]] Lookup lookup(const Keys& asked) const {
    Lookup question;
    for (const auto each : asked) question.digests.push_back(digests[each]);
    return question;
  }
  [[nodiscard]] content::PageId find(const Holder& holder, std::size_t place) const {
    return holder.find(tenant, digests[place]);
  }
  [[nodiscard]] Fetch fetch(const Places& places) const {
    Fetch question{0, tenant, {}, {}};
    for (const auto place : places) question.digests.push_back(digests[place]);
    return question;
  }
  [[nodiscard]] Result<content::PageId> take(Holder& holder, std::size_t place, ByteView page) const {
    return holder.take(tenant, digests[place], page);
  }

  std::string tenant;
  std::vector<PageDigest> digests;
};

// Pages that are like these: each is known to owners by its super-features.
struct Alike {
  [[nodiscard]] std::size_t size() const { return sketches.size(); }
  [[nodiscard]] std::size_t keys() const { return tags.size() * content::kSuperFeatures; }
  [[nodiscard]] std::optional<SketchTag> key(std::size_t number) const {
    const auto tag = tags[place_of(number)].at(number % content::kSuperFeatures);
    return tag == 0 ? std::nullopt : std::optional(tag);
  }
  [[nodiscard]] std::size_t place_of(std::size_t key) const { return key / content::kSuperFeatures; }
  [[nodiscard]] Seek lookup(const Keys& asked) const {
    Seek question;
    for (const auto each : asked) question.tags.push_back(*key(each));
    return question;
  }
  [[nodiscard]] content::PageId find(const Holder& holder, std::size_t place) const {
    return holder.find_alike(tenant, sketches[place]);
  }
  [[nodiscard]] FetchAlike fetch(const Places& places) const {
    FetchAlike question{0, tenant, {}, {}};
    for (const auto place : places) question.sketches.push_back(sketches[place]);
    return question;
  }
  [[nodiscard]] Result<content::PageId> take(Holder& holder, std::size_t place, ByteView page) const {
    return holder.take_alike(tenant, sketches[place], page);
  }

  std::string tenant;
  std::vector<Sketch> sketches;
  std::vector<Holder::Tags> tags;
};

// One bringing; its parts end before it.
template <class Wanted>
struct Job {
  const Sources& from;
  Wanted wanted;
  TimePoint deadline;
  std::vector<content::PageId> ids{};  // what has been found so far
  std::vector<bool> named{};           // whether a holder is known
  std::map<std::string, Places> places_by_holder{};

  void name(std::size_t place, const std::string& holder) {
    if (holder.empty() || holder == from.self || named[place]) return;
    named[place] = true;
    places_by_holder[holder].push_back(place);
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

template <class Wanted>
sys::Task<bool> look_up(Job<Wanted>& job, std::shared_ptr<Link> link, Keys keys) {
  auto question = job.wanted.lookup(keys);
  Link::Make make = [&question](std::uint32_t request, const Nonce&) -> Result<ByteVector> {
    question.request = request;
    return pack(question);
  };
  const auto until = std::min(job.deadline, job.from.runtime.clock.now() + kOwnersLimit);
  const auto frame = co_await link->ask(std::move(make), until);
  if (!frame) co_return false;
  const auto found = parse_found(*frame);
  if (!found || found->of.size() != keys.size()) {
    link->shun("it answered another question than was asked");
    co_return false;
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (found->of[i] != 0) job.name(job.wanted.place_of(keys[i]), found->holders[found->of[i] - 1U]);
  }
  co_return true;
}

template <class Wanted>
sys::Task<void> ask_owners(Job<Wanted>& job) {
  std::map<std::string, Keys> by_owner;
  for (std::size_t number = 0; number < job.wanted.keys(); ++number) {
    const auto key = job.wanted.key(number);
    if (key && job.ids[job.wanted.place_of(number)] == 0) by_owner[job.from.ring.owner_of(*key)].push_back(number);
  }
  std::vector<sys::Task<bool>> asked;
  for (auto& [owner, keys] : by_owner) {
    if (owner == job.from.self) {
      for (const auto each : keys) {
        job.name(job.wanted.place_of(each), job.from.owner.holder_of(*job.wanted.key(each)));
      }
    } else if (auto link = link_to(job.from, owner)) {
      asked.push_back(look_up(job, std::move(link), std::move(keys)));
    }
  }
  (void)co_await sys::gather(job.from.runtime.executor, std::move(asked));
}

// ---- holders

// False where something in it was not what had been asked for.
template <class Wanted>
bool keep_pages(Job<Wanted>& job, const Places& places, const Pages& pages) {
  if (pages.outcome != Outcome::served) return true;
  if (pages.held.size() != places.size()) return false;
  ByteView rest = pages.content;
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (!pages.held[i]) continue;
    const auto id = job.wanted.take(job.from.holder, places[i], rest.first(kPage_bytes));
    rest = rest.subspan(kPage_bytes);
    if (id) {
      job.ids[places[i]] = *id;
    } else if (id.error().code == Errc::not_authentic) {
      return false;
    }
  }
  return true;
}

template <class Wanted>
sys::Task<Result<ByteVector>> ask_for_pages(Job<Wanted>& job, const Order& order, const Places& places) {
  auto question = job.wanted.fetch(places);
  Link::Make make = [&job, &question](std::uint32_t request, const Nonce& nonce) -> Result<ByteVector> {
    const auto proof = job.from.holder.prove(question.tenant, nonce, job.from.self);
    if (!proof) return fail(Errc::denied, "fetch pages of tenant {}: its key is gone", question.tenant);
    question.request = request;
    question.proof = *proof;
    return pack(question);
  };
  co_return co_await order.link->ask(std::move(make), job.deadline);
}

// Until nothing is left to ask for, or the holder fails us.
template <class Wanted>
sys::Task<bool> fetch(Job<Wanted>& job, Order& order) {
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

template <class Wanted>
sys::Task<void> ask_holders(Job<Wanted>& job) {
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

template <class Wanted>
sys::Task<std::vector<content::PageId>> bring_wanted(const Sources& sources, Wanted wanted) {
  Job<Wanted> job{sources, std::move(wanted), sources.runtime.clock.now() + kBringLimit};
  auto oldest = sources.holder.appended();
  for (std::size_t place = 0; place < job.wanted.size(); ++place) {
    job.ids.push_back(job.wanted.find(sources.holder, place));
    if (job.ids.back() != 0) oldest = std::min(oldest, job.ids.back());
  }
  job.named.resize(job.ids.size());
  const bool whole = std::find(job.ids.begin(), job.ids.end(), 0U) == job.ids.end();
  const bool can_ask = sources.holder.find_key(job.wanted.tenant) != nullptr && !sources.ring.empty();
  const auto pin = sources.holder.pin(oldest);  // what is there already does not go meanwhile
  if (!whole && can_ask) {
    co_await ask_owners(job);
    co_await ask_holders(job);
  }
  co_return std::move(job.ids);
}

}  // namespace

sys::Task<std::vector<content::PageId>> bring_pages(const Sources& sources, std::string tenant,
                                                    std::vector<PageDigest> digests) {
  const auto asked = digests.size();
  digests.resize(std::min(asked, content::kLookupLimit));
  Exact wanted{std::move(tenant), std::move(digests)};
  auto ids = co_await bring_wanted(sources, std::move(wanted));
  ids.resize(asked, 0);
  co_return ids;
}

sys::Task<std::vector<content::PageId>> bring_alike(const Sources& sources, std::string tenant,
                                                    std::vector<Sketch> sketches) {
  const auto asked = sketches.size();
  sketches.resize(std::min(asked, content::kSeekLimit));
  Alike wanted{std::move(tenant), std::move(sketches), {}};
  for (const auto& each : wanted.sketches) wanted.tags.push_back(sources.holder.tags_of(wanted.tenant, each));
  auto ids = co_await bring_wanted(sources, std::move(wanted));
  ids.resize(asked, 0);
  co_return ids;
}

}  // namespace godwit::siblings
