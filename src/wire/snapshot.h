// Snapshots of instances' disks that become images, as the APIs of cloud and sky say them, and as a cloud and its hosts
// do.
#pragma once

#include "wire/json.h"

#include <cstdint>
#include <string>
#include <vector>

namespace godwit::wire {

// In this order; from `storing` on the instance has no part in it any more. The last two are for good.
BOOST_DEFINE_ENUM_CLASS(SnapshotPhase, asked, copying, storing, sending, stored, done, failed)

// POST /v1/instances/{id}/snapshot. Asking a cloud twice with one id is asking once; sky draws the id itself.
struct SnapshotRequest {
  std::string id;    // "snap-" and 17 hex digits
  std::string name;  // of the image: free at that cloud
};
BOOST_DESCRIBE_STRUCT(SnapshotRequest, (), (id, name))

struct SnapshotView {
  std::string id;
  std::string cloud;
  std::string instance;
  std::string name;  // of the image
  SnapshotPhase phase{SnapshotPhase::asked};
  std::string image;    // its content's id; empty: not known yet
  std::string problem;  // why it failed, or what it waits for
  std::int64_t asked_ms{0};
  std::int64_t ended_ms{0};
};
BOOST_DESCRIBE_STRUCT(SnapshotView, (), (id, cloud, instance, name, phase, image, problem, asked_ms, ended_ms))

// GET /v1/snapshots: the caller's, those that ended a day ago at most among them; of sky: of all clouds.
struct SnapshotList {
  std::vector<SnapshotView> snapshots;
  std::vector<std::string> problems{};  // of sky: clouds that can't be asked
};
BOOST_DESCRIBE_STRUCT(SnapshotList, (), (snapshots, problems))

// ---- between a cloud and its hosts

inline constexpr std::size_t kSnapshotsPerHost = 64;

// Make an image of that instance's disk, bring it to the cloud, and say so, until this is not desired any more.
struct DesiredSnapshot {
  std::string id;
  std::string instance;
};
BOOST_DESCRIBE_STRUCT(DesiredSnapshot, (), (id, instance))

struct SnapshotReport {
  std::string id;
  SnapshotPhase phase{SnapshotPhase::asked};  // never done, which the cloud says
  std::string image;                          // of phase stored: it is at the cloud
  std::string problem;
};
BOOST_DESCRIBE_STRUCT(SnapshotReport, (), (id, phase, image, problem))

}  // namespace godwit::wire
