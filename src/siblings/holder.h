// What this host holds of its tenants' content, by digest: a view over its content store that grows as pages are
// published, in the order in which they were appended.
#pragma once

#include "content/directory.h"
#include "crypto/mac.h"
#include "siblings/messages.h"

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace godwit::siblings {

// A tenant's key in this cloud, and whether some host of the cloud has said that it holds content of the tenant.
struct TenantKey {
  std::string tenant;
  std::array<std::byte, 32> key{};
  bool held{false};

  bool operator==(const TenantKey&) const = default;
};

// What is told of pages: their digests, and by what they are found as alike.
struct Entries {
  std::vector<PageDigest> digests;
  std::vector<SketchTag> tags;

  [[nodiscard]] bool empty() const { return digests.empty() && tags.empty(); }
};

// Memory: 24 bytes an entry, and 4 MiB. Likenesses are the store's.
inline constexpr std::uint64_t kMostHoldings = 1ULL << 20U;

// Pure but for the store. One strand.
class Holder final {
 public:
  explicit Holder(content::Store& store);

  void set_tenants(const std::vector<TenantKey>& tenants);
  [[nodiscard]] const TenantKey* find_key(const std::string& tenant) const;
  [[nodiscard]] bool holds_any(const std::string& tenant) const;
  [[nodiscard]] std::vector<std::string> tenants_held() const;  // of those whose key is known

  // Digests the next pages that were appended, at most `most`; what is new under a known key goes to `published`.
  void publish(std::size_t most, Entries& published);
  [[nodiscard]] bool has_more() const;                                      // to publish
  [[nodiscard]] content::PageId appended() const { return store_.next(); }  // grows with each page of the store

  // The page of this digest, if it is the tenant's and still held; else 0.
  [[nodiscard]] content::PageId find(const std::string& tenant, const PageDigest& digest) const;
  // A page of the tenant that is like that of the sketch; 0: none.
  [[nodiscard]] content::PageId find_alike(const std::string& tenant, const Sketch& sketch) const;
  // By what owners know the sketch; of a super-feature that is not there, 0. All 0 without the key.
  using Tags = std::array<SketchTag, content::kSuperFeatures>;
  [[nodiscard]] Tags tags_of(const std::string& tenant, const Sketch& sketch) const;
  // What was found before stays while this lives; and all that is newer.
  [[nodiscard]] std::unique_ptr<content::Store::Pin> pin(content::PageId id) { return store_.pin(id); }
  [[nodiscard]] Result<> read(const std::string& tenant, content::PageId id, ByteSpan into) const;
  // Keeps a page that somebody sent. Errors: not_authentic (its digest is another), and those of the store.
  [[nodiscard]] Result<content::PageId> take(const std::string& tenant, const PageDigest& digest, ByteView page);
  // Likewise. Errors: not_authentic (it is not like the sketch's page).
  [[nodiscard]] Result<content::PageId> take_alike(const std::string& tenant, const Sketch& sketch, ByteView page);

  // That of knowing the tenant's key, as `asking` to the one who drew the nonce. Nothing without the key.
  [[nodiscard]] std::optional<Proof> prove(const std::string& tenant, const Nonce& nonce,
                                           const std::string& asking) const;

  // All that is published lies in so many places; see content::Holdings and content::Store::list_likenesses.
  [[nodiscard]] std::size_t places() const { return holdings_.places() + store_.likeness_places(); }
  void list(std::size_t place, Entries& into) const;
  [[nodiscard]] std::uint64_t size() const { return holdings_.size(); }
  [[nodiscard]] std::uint64_t bytes() const { return holdings_.bytes(); }  // of memory, what was taken ahead apart

 private:
  struct Tenant {
    TenantKey key;
    content::PageKey digests;
    content::SketchKey sketches;
    crypto::MacKey proofs;
    content::Domain domain;
    content::PageId newest{0};  // that was published or taken; 0: none
  };
  struct HeadOf {
    std::size_t operator()(const PageDigest& digest) const { return load_be64(digest); }
  };
  [[nodiscard]] Tenant* find_tenant(const std::string& tenant);
  [[nodiscard]] const Tenant* find_tenant(const std::string& tenant) const;
  void publish_one(content::PageId id, Tenant& tenant, Entries& published);
  [[nodiscard]] Result<content::PageId> take(Tenant& tenant, const PageDigest& digest, ByteView page);
  [[nodiscard]] static Tags tags_of(const Tenant& tenant, const Sketch& sketch);

  content::Store& store_;
  content::Holdings holdings_;
  std::map<std::string, Tenant> tenants_;
  std::map<content::Domain, Tenant*> by_domain_;
  content::PageId next_{1};  // to publish
  // Pages that were taken from siblings and not yet published: their digests are known already.
  std::map<content::PageId, PageDigest> ahead_;
  std::unordered_map<PageDigest, content::PageId, HeadOf> ahead_ids_;
  ByteVector page_;
};

}  // namespace godwit::siblings
