#include "migrate/rapport.h"

#include "migrate/rapport_file.h"

#include <algorithm>

namespace godwit::migrate {

InstanceTag tag_of(const std::string& instance) {
  return instance.empty() ? kNoInstance : content::fingerprint_of(as_bytes(instance));
}

void Crossed::add(Numbered first, content::PageId id, std::uint64_t count) {
  if (count == 0) return;
  const auto after = by_id_.lower_bound(id);
  if (after != by_id_.begin()) {
    Run& last = std::prev(after)->second;
    const bool goes_on = last.id + last.count == id && last.first.connection == first.connection &&
                         last.first.number + last.count == first.number;
    if (goes_on) {
      last.count += count;
      return;
    }
  }
  by_id_[id] = Run{first, id, count};
  by_number_[first] = id;
}

std::optional<Numbered> Crossed::of(content::PageId id) const {
  const auto after = by_id_.upper_bound(id);
  if (after == by_id_.begin()) return std::nullopt;
  const Run& run = std::prev(after)->second;
  if (id - run.id >= run.count) return std::nullopt;
  return Numbered{run.first.connection, run.first.number + (id - run.id)};
}

content::PageId Crossed::at(Numbered numbered) const {
  const auto after = by_number_.upper_bound(numbered);
  if (after == by_number_.begin()) return 0;
  const auto found = by_id_.find(std::prev(after)->second);
  if (found == by_id_.end()) return 0;
  const Run& run = found->second;
  if (run.first.connection != numbered.connection) return 0;
  const auto within = numbered.number - run.first.number;
  return within < run.count ? run.id + within : 0;
}

void Crossed::forget_from(Numbered numbered) {
  auto each = by_number_.lower_bound(numbered);
  while (each != by_number_.end() && each->first.connection == numbered.connection) {
    by_id_.erase(each->second);
    each = by_number_.erase(each);
  }
  if (each == by_number_.begin()) return;
  Run& run = by_id_.at(std::prev(each)->second);
  const bool within = run.first.connection == numbered.connection && run.first.number + run.count > numbered.number;
  if (within) run.count = numbered.number - run.first.number;
}

void Crossed::forget_before(std::uint32_t connection) {
  const auto end = by_number_.lower_bound({connection, 0});
  for (auto each = by_number_.begin(); each != end; each = by_number_.erase(each)) by_id_.erase(each->second);
}

void Crossed::forget_oldest_run() {
  const auto oldest = by_id_.begin();
  if (oldest == by_id_.end()) return;
  const auto numbered = by_number_.find(oldest->second.first);
  if (numbered != by_number_.end() && numbered->second == oldest->first) by_number_.erase(numbered);
  by_id_.erase(oldest);
}

void Crossed::forget_older(content::PageId id) {
  while (!by_id_.empty() && by_id_.begin()->first + by_id_.begin()->second.count <= id) forget_oldest_run();
}

void Crossed::note_instance(std::uint32_t connection, InstanceTag instance) {
  if (instance == kNoInstance) return;
  instances_[connection] = instance;
  if (instances_.size() > kInstances) instances_.erase(instances_.begin());
}

InstanceTag Crossed::instance_of(std::uint32_t connection) const {
  const auto found = instances_.find(connection);
  return found == instances_.end() ? kNoInstance : found->second;
}

std::uint32_t Crossed::first_connection_from(content::PageId id) const {
  std::uint32_t first = 0;
  for (auto each = by_id_.begin(); each != by_id_.end() && each->first < id; ++each) {
    first = std::max(first, each->second.first.connection + 1);
  }
  return first;
}

void Rapport::forget_before(std::uint32_t my_connection, std::uint32_t their_connection) {
  mine.forget_before(my_connection);
  theirs.forget_before(their_connection);
  acknowledged.erase(acknowledged.begin(), acknowledged.lower_bound(my_connection));
}

void Rapport::forget_before(std::uint32_t connection) {
  mine.forget_before(connection);
  theirs = {};
  acknowledged.erase(acknowledged.begin(), acknowledged.lower_bound(connection));
}

void Rapport::begin_anew(RapportId with) {
  id = with;
  mine = {};
  theirs = {};
  acknowledged.clear();
}

void Rapport::settle(const content::Store& store, const std::shared_ptr<HostMemory>& memory) {
  constexpr std::size_t kRun_bytes = 160;  // two nodes of std::map
  const auto settled = [&] { return share_->hold((mine.runs() + theirs.runs()) * kRun_bytes); };
  if (!share_) {
    memory_ = memory;
    share_ = memory->rapports.admit(0);
  }
  if (settled()) return;
  const auto first = store.use().evicted_pages + 1;
  mine.forget_older(first);
  theirs.forget_older(first);
  while (!settled()) (mine.runs() > theirs.runs() ? mine : theirs).forget_oldest_run();
}

std::shared_ptr<Rapport> Rapports::with(const std::string& tenant, const std::string& peer) {
  auto& kept = kept_[{tenant, peer}];
  kept.used = ++uses_;
  if (!kept.rapport) {
    kept.rapport = std::make_shared<Rapport>();
    kept.rapport->domain = store_.domain(tenant);
  }
  auto rapport = kept.rapport;
  while (are_too_many()) {
    const auto oldest = std::ranges::min_element(kept_, {}, [](const auto& each) { return each.second.used; });
    kept_.erase(oldest);
  }
  return rapport;
}

bool Rapports::are_too_many() const {
  const bool crowded = memory_ != nullptr && memory_->rapports.spare_bytes() < memory_->limits.rapports_bytes / 4;
  return kept_.size() > (crowded ? 1 : kRapports);
}

// ---- what outlives the process

Rapports::Rapports(content::Store& store, const std::shared_ptr<HostMemory>& memory, sys::PageFiles& files,
                   std::string_view name)
    : store_(store), memory_(memory.get()) {
  auto path = store.beside(fmt::format("rapports-{}", name));
  if (!path) return;
  files_ = &files;
  path_ = std::move(*path);
  take_up(memory);
}

// Of each only what it says of pages that are held here. The other side may refer to others: they are asked for again.
void Rapports::take_up(const std::shared_ptr<HostMemory>& memory) {
  const auto file = files_->open(path_);
  if (!file || (*file)->size() > kRapportFile_bytes) return;
  ByteVector bytes((*file)->size());
  if (!(*file)->read_at(0, bytes)) return;
  const auto rapports = parse_rapports(bytes);
  if (!rapports) return;
  for (const auto& each : *rapports) {
    auto& rapport = *each.rapport;
    rapport.domain = store_.domain(each.tenant);
    const auto held = [&](const Crossed::Run& run) {
      auto count = run.id < store_.next() ? std::min(run.count, store_.next() - run.id) : 0;
      while (count > 0 && store_.domain_of(run.id + count - 1) != rapport.domain) --count;
      return count;
    };
    rapport.mine.keep_held(held);
    rapport.theirs.keep_held(held);
    rapport.settle(store_, memory);
    kept_[{each.tenant, each.peer}] = {each.rapport, ++uses_};
  }
}

// What can't be written is begun anew after a restart.
void Rapports::write() const {
  if (files_ == nullptr) return;
  std::vector<NamedRapport> unused;
  for (const auto& [names, kept] : kept_) {
    if (kept.rapport->uses == 0 && kept.rapport->id != RapportId{}) {
      unused.push_back({names.first, names.second, kept.rapport});
    }
  }
  const auto file = files_->create(path_);
  if (file) (void)(*file)->write_at(0, pack(unused));
}

Rapports::Use::Use(Rapports& rapports, std::shared_ptr<Rapport> rapport)
    : rapports_(rapports.self_), rapport_(std::move(rapport)) {
  if (++rapport_->uses == 1) rapports.write();
}

Rapports::Use::~Use() {
  if (!rapport_ || --rapport_->uses > 0) return;
  if (const auto rapports = rapports_.lock()) (*rapports)->write();
}

}  // namespace godwit::migrate
