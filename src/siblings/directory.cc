#include "siblings/directory.h"

#include "siblings/bringing.h"
#include "siblings/publisher.h"
#include "siblings/server.h"

#include <algorithm>

namespace godwit::siblings {
namespace {

Incarnation draw_incarnation(sys::Random& random) {
  std::array<std::byte, 8> bytes;
  random.fill(bytes);
  return std::max<Incarnation>(load_be64(bytes), 1);
}

}  // namespace

struct Directory::Impl {
  Impl(sys::Runtime on, content::Store& store, Self us, std::function<void()> held)
      : runtime(std::move(on)),
        self(std::move(us)),
        on_held(std::move(held)),
        own(draw_incarnation(runtime.random)),
        holder(store),
        publisher(holder, [this](const std::string& to, Entries entries) { tell(to, std::move(entries)); }),
        server(runtime, self.cloud, own, holder, owner,
               [this](std::vector<PageDigest> missing) { withdraw(std::move(missing)); }),
        sources{runtime, self.name, holder, owner, publisher.ring(), links},
        gate(runtime.executor) {
    owner.meet(self.name, own);
  }

  void set(Surroundings now);
  void set_siblings(const std::vector<Sibling>& siblings);
  void tell(const std::string& to, Entries entries);
  void withdraw(std::vector<PageDigest> digests);
  sys::Task<void> publish();

  sys::Runtime runtime;
  Self self;
  std::function<void()> on_held;
  Incarnation own;
  Holder holder;
  Owner owner;
  Publisher publisher;
  Links links;
  Server server;
  Surroundings surroundings;
  std::vector<std::string> tenants_held;
  Sources sources;
  sys::Gate gate;
};

void Directory::Impl::set(Surroundings now) {
  std::erase_if(now.siblings, [this](const Sibling& each) { return each.name == self.name; });
  if (now.tenants != surroundings.tenants) holder.set_tenants(now.tenants);
  if (now.siblings != surroundings.siblings || publisher.ring().empty()) set_siblings(now.siblings);
  surroundings = std::move(now);
}

void Directory::Impl::set_siblings(const std::vector<Sibling>& siblings) {
  server.set_siblings(siblings);
  Links kept;
  std::vector<std::string> names{self.name};
  for (const auto& each : siblings) {
    names.push_back(each.name);
    const auto before = links.find(each.name);
    if (before != links.end() && before->second->sibling() == each) {
      kept[each.name] = before->second;
    } else {
      kept[each.name] = std::make_shared<Link>(runtime, each, own, [this, name = each.name] { publisher.owe(name); });
    }
  }
  for (const auto& [name, link] : links) {
    const auto still = kept.find(name);
    if (still == kept.end() || still->second != link) link->close();  // whoever still asks on it is told
  }
  links = std::move(kept);
  publisher.set_ring(content::Ring(std::move(names)));
}

void Directory::Impl::tell(const std::string& to, Entries entries) {
  if (to == self.name) {
    owner.tell(self.name, entries.digests);
    owner.tell_alike(self.name, entries.tags);
    return;
  }
  const auto link = links.find(to);
  if (link == links.end()) return;
  if (!entries.digests.empty()) link->second->say(pack(Tell{std::move(entries.digests)}));
  if (!entries.tags.empty()) link->second->say(pack(TellAlike{std::move(entries.tags)}));
}

void Directory::Impl::withdraw(std::vector<PageDigest> digests) {
  if (publisher.ring().empty()) return;
  std::map<std::string, std::vector<PageDigest>> by_owner;
  for (const auto& each : digests) by_owner[publisher.ring().owner_of(each)].push_back(each);
  for (auto& [name, its] : by_owner) {
    if (name == self.name) owner.withdraw(self.name, its);
    if (const auto link = links.find(name); link != links.end()) link->second->say(pack(Withdraw{std::move(its)}));
  }
}

sys::Task<void> Directory::Impl::publish() {
  for (;;) {
    const auto again = publisher.step(runtime.clock.now());
    auto now_held = holder.tenants_held();
    if (now_held != tenants_held) {
      tenants_held = std::move(now_held);
      on_held();
    }
    co_await runtime.clock.sleep_until(again);
  }
}

namespace {

// Keeps what it works with, also when the directory ends before it.
template <class State>
sys::Task<std::vector<content::PageId>> bring_for(std::shared_ptr<State> at, std::string tenant,
                                                  std::vector<PageDigest> digests) {
  co_return co_await bring_pages(at->sources, std::move(tenant), std::move(digests));
}

template <class State>
sys::Task<std::vector<content::PageId>> bring_alike_for(std::shared_ptr<State> at, std::string tenant,
                                                        std::vector<Sketch> sketches) {
  co_return co_await bring_alike(at->sources, std::move(tenant), std::move(sketches));
}

}  // namespace

Directory::Directory(sys::Runtime runtime, content::Store& store, Self self, std::function<void()> on_held)
    : impl_(std::make_shared<Impl>(std::move(runtime), store, std::move(self), std::move(on_held))) {}
Directory::~Directory() = default;

void Directory::start(std::unique_ptr<sys::PeerListener> listener) {
  impl_->server.start(std::move(listener));
  impl_->gate.spawn(impl_->publish());
}

sys::Task<void> Directory::stop() {
  co_await impl_->gate.close();
  for (const auto& [name, link] : impl_->links) link->close();
  co_await impl_->server.stop();
}

void Directory::set(Surroundings surroundings) { impl_->set(std::move(surroundings)); }

std::vector<std::string> Directory::tenants_held() const { return impl_->tenants_held; }

DirectoryUse Directory::use() const {
  return {impl_->holder.size(), impl_->owner.size(), impl_->holder.bytes() + impl_->owner.bytes(),
          impl_->publisher.idle()};
}

std::optional<std::array<std::byte, 32>> Directory::key_of(const std::string& tenant) const {
  const auto* key = impl_->holder.find_key(tenant);
  if (!key) return std::nullopt;
  return key->key;
}

bool Directory::may_know(const std::string& tenant) const {
  const auto* key = impl_->holder.find_key(tenant);
  return key && (key->held || impl_->holder.holds_any(tenant));
}

sys::Task<std::vector<content::PageId>> Directory::bring(std::string tenant, std::vector<PageDigest> digests) {
  return bring_for(impl_, std::move(tenant), std::move(digests));
}

sys::Task<std::vector<content::PageId>> Directory::bring_alike(std::string tenant, std::vector<Sketch> sketches) {
  return bring_alike_for(impl_, std::move(tenant), std::move(sketches));
}

}  // namespace godwit::siblings
