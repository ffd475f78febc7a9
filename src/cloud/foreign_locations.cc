#include "cloud/foreign_locations.h"

#include "cloud/desired.h"
#include "overlay/location_claim.h"

namespace godwit::cloud {
namespace {

overlay::Authorities authorities_of(Sql& sql, Core& core, const std::string& network) {
  overlay::Authorities out;
  for (const auto& each : trusted_on(sql, core, {network})) {
    auto authority = crypto::Authority::from_pem(each.cloud, each.pem);
    if (authority) out.emplace(each.cloud, std::move(*authority));
  }
  return out;
}

class Judge {
 public:
  Judge(Sql& sql, Core& core, const wire::Network& network) : sql_(sql), core_(core), network_(network) {}

  // Of one member: where it is said to be, or `known` where that stands.
  wire::Location operator()(const wire::Member& member, const wire::Location& known) {
    const auto& instance = member.instance;
    const auto& said = member.location;
    if (said.version == 0 || said.version < known.version || said == known) return known;
    const auto before = as_this_cloud_knows(instance, known);
    if (said.version < before.version) return known;
    auto until = proven(member, before);
    if (!until) {
      core_.log().warn("network {}: {} is not believed to be at {}.{}: {}", network_.id, instance,
                       said.host.substr(0, 64), said.cloud.substr(0, 64), until.error().message);
      return known;
    }
    auto believed = said;
    believed.until_ms = until->time_since_epoch().count();
    return believed;
  }

 private:
  // What runs here, or has left: nobody knows better until when it was here.
  wire::Location as_this_cloud_knows(const std::string& instance, const wire::Location& known) {
    const auto row = select_one<InstanceRow>(sql_, "id = $1", instance);
    if (!row || row->network != network_.id || row->location_version <= known.version) return known;
    return {core_.name(), row->host, "", 0, row->location_version};
  }

  Result<WallTime> proven(const wire::Member& member, const wire::Location& before) {
    if (!authorities_) authorities_ = authorities_of(sql_, core_, network_.id);
    return overlay::prove_member(network_, member, before, member.location, *authorities_,
                                 WallTime{Millis(core_.now_ms())});
  }

  Sql& sql_;
  Core& core_;
  const wire::Network& network_;
  std::optional<overlay::Authorities> authorities_;
};

}  // namespace

wire::Network believe(Sql& sql, Core& core, wire::Network said, const wire::Network& known) {
  std::map<std::string, const wire::Location*> before;
  for (const auto& member : known.members) before[member.instance] = &member.location;
  Judge judge(sql, core, said);
  for (auto& member : said.members) {
    const auto found = before.find(member.instance);
    member.location = judge(member, found == before.end() ? wire::Location{} : *found->second);
  }
  return said;
}

}  // namespace godwit::cloud
