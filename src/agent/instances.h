// All instances of this host, and the hypervisor's part of their migrations.
#pragma once

#include "agent/instance.h"
#include "migrate/guest.h"

#include <map>
#include <memory>
#include <string>

namespace godwit::agent {

class Instances final : public migrate::Guests {
 public:
  // `context` outlives this object.
  Instances(InstanceContext& context, std::uint32_t uid_base) : context_(context), uid_base_(uid_base) {}

  // Takes up the recorded ones; none is started before set_desired().
  void restore(std::vector<InstanceRecord> records);
  // Makes one that is new here; its record is on disk when this returns. `location_version` 0: it only arrives.
  [[nodiscard]] Result<Instance*> create(wire::InstanceSpec spec, std::uint64_t location_version);
  [[nodiscard]] Instance* find(const std::string& id);
  [[nodiscard]] const std::map<std::string, std::unique_ptr<Instance>>& all() const { return instances_; }
  // Those that wait for this image need not wait any longer.
  void retry(const std::string& image_sha256);
  void drop_gone();  // forgets those whose deletion is complete; not from inside one of their calls
  [[nodiscard]] sys::Task<void> stop();

  // migrate::Guests
  [[nodiscard]] sys::Task<Result<std::unique_ptr<migrate::SourceGuest>>> open_source(std::string instance) override;
  [[nodiscard]] sys::Task<Result<std::unique_ptr<migrate::DestinationGuest>>> receive(wire::InstanceSpec spec,
                                                                                      bool post_copy) override;
  [[nodiscard]] sys::Task<Result<std::unique_ptr<migrate::DestinationGuest>>> open_received(
      std::string instance) override;
  [[nodiscard]] sys::Task<Result<>> end_received(std::string instance) override;
  [[nodiscard]] sys::Task<Result<>> destroy(std::string instance) override;

 private:
  [[nodiscard]] Instance& add(InstanceRecord record);
  [[nodiscard]] Result<std::uint32_t> free_uid() const;

  InstanceContext& context_;
  std::uint32_t uid_base_;
  std::map<std::string, std::unique_ptr<Instance>> instances_;
};

}  // namespace godwit::agent
