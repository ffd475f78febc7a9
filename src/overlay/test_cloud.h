// For tests: a cloud with its CA, that signs whatever it is asked to.
#pragma once

#include "overlay/test_host.h"

namespace godwit::overlay::testing {

struct TestCloud {
  explicit TestCloud(std::string cloud) : name(std::move(cloud)) {}

  crypto::HostRecord host(const std::string& of, unsigned number, WallTime from = kWallNow) const {
    crypto::HostRecord out{name, of, {}, crypto::SessionProfile::native, {from, from + crypto::kHostRecordLife}};
    store_be32(out.key, number);
    return out;
  }
  ByteVector sign(const crypto::HostRecord& record) const { return crypto::sign_host_record(record, key).value(); }

  ByteVector says(const std::string& at, std::uint64_t epoch, crypto::LocationGrant grant = crypto::LocationGrant::here,
                  const Claimed& of = default_instance(), WallTime from = kWallNow) const {
    const crypto::LocationRecord record{name,        at,    of.network, of.vni,
                                        of.instance, epoch, grant,      {from, from + crypto::kLocationRecordLife}};
    return crypto::sign_location_record(record, key).value();
  }
  ByteVector gives(const TestCloud& to, const std::string& at, std::uint64_t epoch,
                   const Claimed& of = default_instance()) const {
    const crypto::Validity day{kWallNow, kWallNow + crypto::kLocationRecordLife};
    return crypto::sign_hand_off({name, to.name, at, of.network, of.instance, epoch, day}, key).value();
  }

  wire::CloudCa ca() const { return {name, pem}; }
  crypto::Authority authority() const { return crypto::Authority::from_pem(name, pem).value(); }

  static Claimed default_instance() { return {kNetworkId, kVni, instance_id(1)}; }

  std::string name;
  SeededRandom random{7};
  crypto::Key key{crypto::Key::generate().value()};
  std::string pem{
      crypto::make_authority(key, name, {kWallNow - Seconds(3600), kWallNow + std::chrono::hours(1000)}, random)
          .value()};
};

}  // namespace godwit::overlay::testing
