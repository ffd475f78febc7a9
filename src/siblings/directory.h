// The content directory of a cloud, as one of its hosts takes part in it: tells what this host holds, knows as an owner
// who holds what, gives pages to its siblings and brings theirs. docs/protocols/directory.md.
//
//   Directory directory(runtime, store, {"cloud-a", "a1.cloud-a.godwit"});
//   directory.start(std::move(listener));
//   whenever the cloud says something new:  directory.set({siblings, tenants});
//   directory.bring(tenant, digests)
#pragma once

#include "siblings/holder.h"
#include "siblings/link.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace godwit::siblings {

// Who this host is.
struct Self {
  std::string cloud;
  std::string name;  // as its certificate says
};

// What the cloud says of itself.
struct Surroundings {
  std::vector<Sibling> siblings;   // the other hosts
  std::vector<TenantKey> tenants;  // whose content this host holds or expects

  bool operator==(const Surroundings&) const = default;
};

// Values, for people and for tests.
struct DirectoryUse {
  std::uint64_t held{0};   // digests
  std::uint64_t owned{0};  // digests of which this host is the owner, some of them forgotten
  std::uint64_t memory_bytes{0};
  bool idle{false};  // everything that is held has been told
};

// Memory: at most 64 MiB. One strand.
class Directory final : public content::Siblings {
 public:
  // The store outlives it. `on_held`: tenants_held() says something else.
  Directory(sys::Runtime runtime, content::Store& store, Self self, std::function<void()> on_held);
  ~Directory() override;

  void start(std::unique_ptr<sys::PeerListener> listener);  // nullptr: siblings can't ask this host
  [[nodiscard]] sys::Task<void> stop();
  void set(Surroundings surroundings);

  [[nodiscard]] std::vector<std::string> tenants_held() const;
  [[nodiscard]] DirectoryUse use() const;

  // content::Siblings
  [[nodiscard]] std::optional<std::array<std::byte, 32>> key_of(const std::string& tenant) const override;
  [[nodiscard]] bool may_know(const std::string& tenant) const override;
  [[nodiscard]] sys::Task<std::vector<content::PageId>> bring(std::string tenant,
                                                              std::vector<PageDigest> digests) override;
  [[nodiscard]] sys::Task<std::vector<content::PageId>> bring_alike(std::string tenant,
                                                                    std::vector<Sketch> sketches) override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with bringings, which may end after it
};

}  // namespace godwit::siblings
