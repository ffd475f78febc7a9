#include "content/store.h"

#include "base/assert.h"
#include "content/id_table.h"
#include "content/page_log.h"

#if defined(__x86_64__)
#include <xxh_x86dispatch.h>  // picks AVX2 or AVX-512 as it runs
#else
#include <xxhash.h>
#endif

#include <algorithm>
#include <cstring>

namespace godwit::content {
namespace {

constexpr Domain kMostDomains = UINT16_MAX;
// Three tables of at most 8.6 bytes an entry, and one of them a second time while it grows.
constexpr std::uint64_t kIndex_bytes_a_page = 32;
constexpr std::uint64_t kMostPages = (1ULL << 24U) - 16'384;  // ids in the tables have 24 bits: 64 GiB

std::uint64_t pages_within(const StoreLimits& limits) {
  return std::min({limits.disk_bytes / kPage_bytes, limits.index_bytes / kIndex_bytes_a_page, kMostPages});
}

// One content has another hash in each domain: they don't meet in the tables.
std::uint32_t hash_in(Domain domain, std::uint64_t value) {
  const std::uint64_t mixed = (value ^ domain * 0x9e3779b97f4a7c15ULL) * 0xd6e8feb86659fd93ULL;
  return static_cast<std::uint32_t>(mixed >> 32U);
}

// Super-features are hashes already, and this finds them again: hash_of_feature(domain, hash) is the feature.
std::uint32_t hash_of_feature(Domain domain, std::uint32_t feature) {
  return feature ^ static_cast<std::uint32_t>((domain * 0x9e3779b97f4a7c15ULL) >> 32U);
}

class LogPin final : public Store::Pin {
 public:
  LogPin(PageLog::Pins& pins, PageId id) : pins_(pins), at_(pins.insert(id)) {}
  ~LogPin() override { pins_.erase(at_); }
  LogPin(const LogPin&) = delete;
  LogPin& operator=(const LogPin&) = delete;

 private:
  PageLog::Pins& pins_;
  PageLog::Pins::iterator at_;
};

}  // namespace

std::uint64_t fingerprint_of(ByteView page) { return XXH3_64bits(page.data(), page.size()); }

struct Store::Impl {
  Impl(sys::PageFiles& files, const std::string& in, const StoreLimits& limits, Begin begin)
      : limit_pages(pages_within(limits)),
        directory(in),
        kept(begin == Begin::kept),
        log(files, in, limit_pages, tenants()) {}
  std::uint64_t limit_pages;
  std::string directory;
  bool kept;
  std::map<std::string, Domain> domains;
  std::vector<std::string> names;  // of the domains from 1 on

  [[nodiscard]] Window alive() const { return {log.first(), log.next()}; }
  [[nodiscard]] Domain domain(const std::string& tenant) {
    const auto found = domains.find(tenant);
    if (found != domains.end()) return found->second;
    if (domains.size() >= kMostDomains) return kNoDomain;
    names.push_back(tenant);
    return domains.emplace(tenant, static_cast<Domain>(names.size())).first->second;
  }
  [[nodiscard]] std::optional<PageLog::Tenants> tenants() {
    if (!kept) return std::nullopt;
    return PageLog::Tenants{[this](const std::string& name) { return domain(name); },
                            [this](Domain number) { return names.at(number - 1); }};
  }
  // What is newer stays what is found.
  template <class Table>
  void add_old(Table& table, std::uint32_t hash, PageId id) {
    const auto there = table.find(hash, alive());
    if (std::ranges::none_of(there.all(), [&](PageId each) { return each > id; })) table.replace(hash, id, alive());
  }
  void take_up(PageId id, Domain domain, ByteView page);

  PageLog log;
  IdTable<3> exact;
  std::array<IdTable<3>, kSuperFeatures> alike;
};

Store::Store(sys::PageFiles& files, std::string directory, StoreLimits limits, Begin begin)
    : impl_(std::make_unique<Impl>(files, directory, limits, begin)) {}
Store::~Store() = default;

Domain Store::domain(const std::string& tenant) { return impl_->domain(tenant); }

// ---- what an earlier process left

void Store::Impl::take_up(PageId id, Domain domain, ByteView page) {
  add_old(exact, hash_in(domain, fingerprint_of(page)), id);
  const auto sketch = sketch_of(page);
  for (std::size_t i = 0; i < kSuperFeatures; ++i) {
    if (sketch[i] != 0) add_old(alike[i], hash_of_feature(domain, sketch[i]), id);
  }
}

std::optional<std::uint64_t> Store::verify(std::uint64_t pages) {
  std::uint64_t right = 0;
  const auto take_up = [&](PageId id, Domain domain, ByteView page) {
    impl_->take_up(id, domain, page);
    ++right;
  };
  for (std::uint64_t read = 0; read < pages; read += kGroup_pages) {
    if (impl_->log.verify_next_group(take_up)) continue;
    if (right == 0) return std::nullopt;
    break;
  }
  return right;
}

std::optional<std::string> Store::beside(std::string_view name) const {
  if (!impl_->kept) return std::nullopt;
  return fmt::format("{}/{}", impl_->directory, name);
}

// ---- pages

Result<PageId> Store::append(Domain domain, ByteView page, std::uint64_t fingerprint) {
  return append(domain, page, fingerprint, sketch_of(page));
}

Result<PageId> Store::append(Domain domain, ByteView page, std::uint64_t fingerprint, const Sketch& sketch) {
  if (domain == kNoDomain) {
    return fail(Errc::exhausted, "keep a page: {} tenants are kept apart already", kMostDomains);
  }
  const auto id = impl_->log.append(domain, page);
  if (!id) return id;
  const auto alive = impl_->alive();
  impl_->exact.replace(hash_in(domain, fingerprint), *id, alive);
  for (std::size_t i = 0; i < kSuperFeatures; ++i) {
    if (sketch[i] != 0) impl_->alike[i].replace(hash_of_feature(domain, sketch[i]), *id, alive);
  }
  return id;
}

Result<> Store::read(Domain domain, PageId id, ByteSpan into) const {
  GODWIT_ASSERT(into.size() == kPage_bytes);
  if (domain == kNoDomain || impl_->log.domain_of(id) != domain) {
    return fail(Errc::not_found, "read page {}: evicted, or of another domain", id);
  }
  const auto page = impl_->log.view(id);
  if (!page) return pass(page);
  std::copy(page->begin(), page->end(), into.begin());
  return {};
}

PageId Store::find(Domain domain, ByteView page, std::uint64_t fingerprint) const {
  for (const PageId id : impl_->exact.find(hash_in(domain, fingerprint), impl_->alive()).all()) {
    if (impl_->log.domain_of(id) != domain) continue;
    const auto held = impl_->log.view(id);
    if (held && std::memcmp(held->data(), page.data(), kPage_bytes) == 0) return id;
  }
  return 0;
}

PageId Store::find_similar(Domain domain, ByteView page, PageId at_least) const {
  return find_alike(domain, sketch_of(page), at_least);
}

PageId Store::find_alike(Domain domain, const Sketch& sketch, PageId at_least) const {
  const auto newest = list_alike(domain, sketch).front();
  return newest >= at_least ? newest : 0;
}

Store::Alike Store::list_alike(Domain domain, const Sketch& sketch) const {
  Alike found{};
  for (std::size_t i = 0; i < kSuperFeatures; ++i) {
    if (sketch[i] == 0) continue;
    for (const PageId id : impl_->alike[i].find(hash_of_feature(domain, sketch[i]), impl_->alive()).all()) {
      if (impl_->log.domain_of(id) == domain) found[i] = std::max(found[i], id);
    }
  }
  std::ranges::sort(found, std::greater());
  return found;
}

std::size_t Store::likeness_places() const {
  std::size_t places = 0;
  for (const auto& each : impl_->alike) places += each.places();
  return places;
}

void Store::list_likenesses(std::size_t place, std::vector<Likeness>& into) const {
  for (std::size_t i = 0; i < kSuperFeatures; ++i) {
    const auto& table = impl_->alike[i];
    if (place < table.places()) {
      return table.visit(place, impl_->alive(), [&](std::uint32_t hash, PageId id) {
        const auto domain = impl_->log.domain_of(id);
        const auto feature = hash_of_feature(domain, hash);
        if (domain != kNoDomain && feature != 0) into.push_back({domain, i, feature});
      });
    }
    place -= table.places();
  }
}

std::unique_ptr<Store::Pin> Store::pin(PageId id) { return std::make_unique<LogPin>(impl_->log.pins(), id); }

PageId Store::first() const { return impl_->log.first(); }
PageId Store::next() const { return impl_->log.next(); }
Domain Store::domain_of(PageId id) const { return impl_->log.domain_of(id); }

std::uint64_t Store::room_pages() const { return impl_->log.room_pages(); }
std::uint64_t Store::limit_pages() const { return impl_->limit_pages; }
StoreUse Store::use() const {
  StoreUse use;
  use.pages = impl_->log.next() - impl_->log.first();
  use.disk_bytes = impl_->log.disk_bytes();
  use.index_bytes = impl_->exact.bytes() + impl_->log.index_bytes();
  use.buffer_bytes = impl_->log.buffer_bytes();
  for (const auto& each : impl_->alike) use.index_bytes += each.bytes();
  use.evicted_pages = impl_->log.first() - 1;
  return use;
}

}  // namespace godwit::content
