// What two hosts both hold of one tenant's content, because it crossed between them: each page that came with a batch
// has the number that its connection gave it, at both ends, in whichever direction it went and whichever instance it
// was of. It outlives a migration, so that the next one, and the way back, refer to it. Lost, it costs ratio only.
#pragma once

#include "content/store.h"
#include "migrate/host_memory.h"

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace godwit::migrate {

struct Numbered {
  std::uint32_t connection{0};
  std::uint64_t number{0};

  auto operator<=>(const Numbered&) const = default;
};

// Tells instances apart where it is said what a page crossed for, and nowhere else.
using InstanceTag = std::uint64_t;
inline constexpr InstanceTag kNoInstance = 0;
[[nodiscard]] InstanceTag tag_of(const std::string& instance);  // kNoInstance for an empty one

// Pages of this host's store and the numbers under which they crossed, in runs.
class Crossed {
 public:
  struct Run {
    Numbered first;
    content::PageId id{0};
    std::uint64_t count{0};
  };

  // `count` pages from `id` on crossed as `first` and what follows it.
  void add(Numbered first, content::PageId id, std::uint64_t count);
  [[nodiscard]] std::optional<Numbered> of(content::PageId id) const;
  [[nodiscard]] content::PageId at(Numbered numbered) const;  // 0: none
  // Of the connection's numbers from `number` on nothing is known any more.
  void forget_from(Numbered numbered);
  void forget_before(std::uint32_t connection);
  // The first connection of which no page is older than `id`; 0: none is of any.
  [[nodiscard]] std::uint32_t first_connection_from(content::PageId id) const;
  // Of pages before `id` nothing is known any more.
  void forget_older(content::PageId id);
  void forget_oldest_run();
  // What the connection is of. The latest kInstances connections are known, of others kNoInstance.
  void note_instance(std::uint32_t connection, InstanceTag instance);
  [[nodiscard]] InstanceTag instance_of(std::uint32_t connection) const;
  [[nodiscard]] const std::map<std::uint32_t, InstanceTag>& instances() const { return instances_; }
  // Each run, in the order of ids.
  template <class Each>
  void visit(Each&& each) const {
    for (const auto& [id, run] : by_id_) each(run);
  }
  // Of a run only so many of its pages as `held` says: fewer where its last ones are gone, none where it is.
  template <class Held>
  void keep_held(Held&& held) {
    Crossed kept;
    for (const auto& [id, run] : by_id_) kept.add(run.first, id, held(run));
    kept.instances_ = std::move(instances_);
    *this = std::move(kept);
  }
  [[nodiscard]] std::size_t runs() const { return by_id_.size(); }
  [[nodiscard]] bool empty() const { return by_id_.empty(); }

 private:
  std::map<content::PageId, Run> by_id_;
  std::map<Numbered, content::PageId> by_number_;  // of each run's first
  static constexpr std::size_t kInstances = 256;
  std::map<std::uint32_t, InstanceTag> instances_;  // by connection
};

using RapportId = std::array<std::byte, 16>;

class Rapport {
 public:
  RapportId id{};
  content::Domain domain{0};
  std::uint32_t last_connection{0};  // of those that this side began
  Crossed mine;                      // that this side sent
  Crossed theirs;
  std::uint32_t uses{0};                                // of connections that cross now
  std::map<std::uint32_t, std::uint64_t> acknowledged;  // of mine: how many of a connection's numbers they have

  // The other side has another: from what crossed earlier nothing is believed any more.
  void begin_anew(RapportId with);
  // Of this side's connections before the one, and of theirs before the other, nothing is referred to any more.
  void forget_before(std::uint32_t my_connection, std::uint32_t their_connection);
  // The other side has forgotten what crossed before this connection of ours.
  void forget_before(std::uint32_t connection);
  // After what was added: takes the room for it, or forgets what is oldest.
  void settle(const content::Store& store, const std::shared_ptr<HostMemory>& memory);

 private:
  std::shared_ptr<HostMemory> memory_;  // of which this is a share
  std::optional<Budget::Share> share_;
};

// Of one host with all others, a tenant each. With a store that is kept they are kept as well, beside its pages. One
// that was in use when a process ended is not: of what crossed meanwhile the next process would know nothing.
class Rapports {
 public:
  // `memory`: what all are bounded by; nullptr: each by its own. `files` and `name`: where to keep them.
  explicit Rapports(content::Store& store, HostMemory* memory = nullptr) : store_(store), memory_(memory) {}
  Rapports(content::Store& store, const std::shared_ptr<HostMemory>& memory, sys::PageFiles& files,
           std::string_view name);
  Rapports(const Rapports&) = delete;
  Rapports& operator=(const Rapports&) = delete;
  ~Rapports() = default;

  // One that lasts; those that were longest unused go when there are more than kRapports, or little memory is left.
  [[nodiscard]] std::shared_ptr<Rapport> with(const std::string& tenant, const std::string& peer);

  // While it lives, the rapport is in use. It may outlive all of these.
  class Use {
   public:
    Use(Rapports& rapports, std::shared_ptr<Rapport> rapport);
    Use(Use&& other) noexcept = default;
    Use& operator=(Use&& other) noexcept = delete;
    ~Use();

   private:
    std::weak_ptr<Rapports*> rapports_;
    std::shared_ptr<Rapport> rapport_;  // nullptr: moved away
  };

 private:
  static constexpr std::size_t kRapports = 256;
  struct Kept {
    std::shared_ptr<Rapport> rapport;  // shared with the migrations that go on
    std::uint64_t used{0};
  };
  [[nodiscard]] bool are_too_many() const;
  void take_up(const std::shared_ptr<HostMemory>& memory);
  void write() const;

  content::Store& store_;
  HostMemory* memory_;
  sys::PageFiles* files_{nullptr};  // nullptr: nothing is kept
  std::string path_;
  std::map<std::pair<std::string, std::string>, Kept> kept_;
  std::uint64_t uses_{0};
  // Shared with nobody: a Use that outlives this sees that it is gone.
  std::shared_ptr<Rapports*> self_{std::make_shared<Rapports*>(this)};
};

}  // namespace godwit::migrate
