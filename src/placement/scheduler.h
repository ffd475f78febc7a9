// Which host of one cloud takes an instance. Pure: what the hosts offer and what is asked go in, a host or the reasons
// against every host come out.
#pragma once

#include "wire/host.h"

#include <string>
#include <vector>

namespace godwit::placement {

struct HostOffer {
  std::string name;
  bool alive{false};
  wire::HostCapacity capacity;  // what may be promised, overcommitment included
  wire::HostCapacity used;      // running, stopped, arriving and reserved
  std::string accelerator;
  std::vector<std::string> machine_types;
  std::vector<std::string> cpu_models;
  std::vector<wire::ImageReport> images;
  std::uint32_t queue_pairs{1};  // of a guest's network device, at most
};

// Empty strings ask for nothing in particular.
struct Demand {
  wire::HostCapacity room;
  std::string image;  // for the messages; image_sha256 decides
  std::string image_sha256;
  std::string accelerator;
  std::string machine_type;
  std::string cpu_model;
  std::string host;         // this one or none
  std::string not_host;     // any but this one: a migration inside one cloud
  bool image_comes{false};  // to a host that has not got it: such hosts are taken after those that have
  std::uint32_t queue_pairs{1};
};

// The name of the fitting host with the largest share of memory free; of equal ones the first by name. Those that have
// the image come first.
// Errors name every host and what speaks against it: exhausted (room), unsupported (accelerator, machine, CPU, queues),
// unavailable (hosts silent, image not there yet), not_found (no such host).
[[nodiscard]] Result<std::string> choose_host(const Demand& demand, const std::vector<HostOffer>& offers);

// "pc-q35-9.10" of "pc-q35-7.2", "pc-q35-9.10", "pc": the newest versioned q35, or empty. A version, never an alias:
// the instance keeps it over clouds and upgrades.
[[nodiscard]] std::string newest_q35(const std::vector<std::string>& machine_types);

}  // namespace godwit::placement
