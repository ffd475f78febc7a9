#include "siblings/holder.h"

#include "base/page.h"

#include <algorithm>

namespace godwit::siblings {
namespace {

constexpr std::size_t kMostAhead = 32'768;  // 4 MiB of memory at most
constexpr std::string_view kProofLabel = "godwit directory fetch";

}  // namespace

Holder::Holder(content::Store& store) : store_(store), holdings_(kMostHoldings), page_(kPage_bytes) {}

void Holder::set_tenants(const std::vector<TenantKey>& tenants) {
  std::map<std::string, Tenant> kept;
  for (const auto& each : tenants) {
    if (each.tenant.empty() || each.tenant.size() > kTenantLimit_bytes) continue;
    auto* before = find_tenant(each.tenant);
    if (before && before->key.key == each.key) {
      before->key.held = each.held;
      kept.emplace(each.tenant, std::move(*before));
      continue;
    }
    kept.emplace(each.tenant, Tenant{each, content::PageKey(each.key), content::SketchKey(each.key),
                                     crypto::MacKey(each.key), store_.domain(each.tenant), 0});
  }
  tenants_ = std::move(kept);
  by_domain_.clear();
  for (auto& [name, tenant] : tenants_) {
    if (tenant.domain != content::kNoDomain) by_domain_[tenant.domain] = &tenant;
  }
}

Holder::Tenant* Holder::find_tenant(const std::string& tenant) {
  const auto found = tenants_.find(tenant);
  return found == tenants_.end() ? nullptr : &found->second;
}

const Holder::Tenant* Holder::find_tenant(const std::string& tenant) const {
  const auto found = tenants_.find(tenant);
  return found == tenants_.end() ? nullptr : &found->second;
}

const TenantKey* Holder::find_key(const std::string& tenant) const {
  const auto* found = find_tenant(tenant);
  return found ? &found->key : nullptr;
}

bool Holder::holds_any(const std::string& tenant) const {
  const auto* found = find_tenant(tenant);
  return found && found->newest >= store_.first() && found->newest != 0;
}

std::vector<std::string> Holder::tenants_held() const {
  std::vector<std::string> out;
  for (const auto& [name, tenant] : tenants_) {
    if (holds_any(name)) out.push_back(name);
  }
  return out;
}

// ---- publishing

bool Holder::has_more() const { return std::max(next_, store_.first()) < store_.next(); }

void Holder::publish(std::size_t most, Entries& published) {
  holdings_.forget_before(store_.first());
  if (next_ < store_.first()) {
    const auto gone = ahead_.lower_bound(store_.first());
    for (auto each = ahead_.begin(); each != gone; ++each) ahead_ids_.erase(each->second);
    ahead_.erase(ahead_.begin(), gone);
    next_ = store_.first();
  }
  for (std::size_t i = 0; i < most && next_ < store_.next(); ++i) {
    const auto id = next_++;
    const auto tenant = by_domain_.find(store_.domain_of(id));
    if (tenant != by_domain_.end()) publish_one(id, *tenant->second, published);
  }
}

void Holder::publish_one(content::PageId id, Tenant& tenant, Entries& published) {
  PageDigest digest;
  const bool is_here = store_.read(tenant.domain, id, page_).has_value();
  if (const auto known = ahead_.find(id); known != ahead_.end()) {
    digest = known->second;
    ahead_ids_.erase(digest);
    ahead_.erase(known);
  } else {
    if (!is_here) return;
    digest = tenant.digests.digest(page_);
  }
  tenant.newest = id;
  const bool is_new = holdings_.find(digest) == 0;
  holdings_.add(digest, id);
  if (!is_new) return;
  published.digests.push_back(digest);
  if (!is_here) return;
  for (const auto tag : tags_of(tenant, content::sketch_of(page_))) {
    if (tag != 0) published.tags.push_back(tag);
  }
}

void Holder::list(std::size_t place, Entries& into) const {
  if (place < holdings_.places()) return holdings_.list(place, into.digests);
  std::vector<content::Store::Likeness> there;
  store_.list_likenesses(place - holdings_.places(), there);
  for (const auto& each : there) {
    const auto tenant = by_domain_.find(each.domain);
    if (tenant != by_domain_.end()) into.tags.push_back(tenant->second->sketches.tag(each.place, each.feature));
  }
}

// ---- finding and taking

content::PageId Holder::find(const std::string& tenant, const PageDigest& digest) const {
  const auto* whose = find_tenant(tenant);
  if (!whose || whose->domain == content::kNoDomain) return 0;
  auto id = holdings_.find(digest);
  if (id == 0) {
    const auto ahead = ahead_ids_.find(digest);
    if (ahead != ahead_ids_.end()) id = ahead->second;
  }
  return store_.domain_of(id) == whose->domain ? id : 0;
}

content::PageId Holder::find_alike(const std::string& tenant, const Sketch& sketch) const {
  const auto* whose = find_tenant(tenant);
  if (!whose || whose->domain == content::kNoDomain) return 0;
  return store_.find_alike(whose->domain, sketch, 0);
}

Holder::Tags Holder::tags_of(const std::string& tenant, const Sketch& sketch) const {
  const auto* whose = find_tenant(tenant);
  return whose ? tags_of(*whose, sketch) : Tags{};
}

Holder::Tags Holder::tags_of(const Tenant& tenant, const Sketch& sketch) {
  Tags tags{};
  for (std::size_t i = 0; i < tags.size(); ++i) {
    if (sketch[i] != 0) tags[i] = tenant.sketches.tag(i, sketch[i]);
  }
  return tags;
}

Result<> Holder::read(const std::string& tenant, content::PageId id, ByteSpan into) const {
  const auto* whose = find_tenant(tenant);
  return store_.read(whose ? whose->domain : content::kNoDomain, id, into);
}

Result<content::PageId> Holder::take(const std::string& tenant, const PageDigest& digest, ByteView page) {
  auto* whose = find_tenant(tenant);
  if (!whose) return fail(Errc::denied, "keep a page of tenant {}: this host has not its key", tenant);
  if (whose->digests.digest(page) != digest) {
    return fail(Errc::not_authentic, "keep a page: it has not the digest that was asked for");
  }
  return take(*whose, digest, page);
}

Result<content::PageId> Holder::take_alike(const std::string& tenant, const Sketch& sketch, ByteView page) {
  auto* whose = find_tenant(tenant);
  if (!whose) return fail(Errc::denied, "keep a page of tenant {}: this host has not its key", tenant);
  if (!content::are_alike(content::sketch_of(page), sketch)) {
    return fail(Errc::not_authentic, "keep a page: it is not like the one that was asked for");
  }
  return take(*whose, whose->digests.digest(page), page);
}

Result<content::PageId> Holder::take(Tenant& tenant, const PageDigest& digest, ByteView page) {
  const auto fingerprint = content::fingerprint_of(page);
  if (const auto equal = store_.find(tenant.domain, page, fingerprint); equal != 0) return equal;
  const auto id = store_.append(tenant.domain, page, fingerprint);
  if (!id) return id;
  tenant.newest = *id;
  if (ahead_.size() < kMostAhead && ahead_ids_.emplace(digest, *id).second) ahead_.emplace(*id, digest);
  return id;
}

std::optional<Proof> Holder::prove(const std::string& tenant, const Nonce& nonce, const std::string& asking) const {
  const auto* whose = find_tenant(tenant);
  if (!whose) return std::nullopt;
  // No page is so short: what a proof is made of is never what a digest is made of.
  ByteVector said;
  append(said, as_bytes(kProofLabel));
  append(said, nonce);
  append(said, as_bytes(asking));
  return whose->proofs.compute(said);
}

}  // namespace godwit::siblings
