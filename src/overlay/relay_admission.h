// Whom a relay serves: everybody, hosts whose keys are listed, or hosts that a cloud vouches for. Pure.
#pragma once

#include "overlay/roster.h"

#include <functional>
#include <set>

namespace godwit::overlay {

// One strand. A host of a known cloud shows its record (docs/formats/host-record.md) in each handshake, every two
// minutes; so a new host is served at once, and one whose record has expired no longer.
class RelayAdmission {
 public:
  using Wall = std::function<WallTime()>;
  using Keys = std::set<crypto::HostKey>;

  explicit RelayAdmission(Wall wall) : wall_(std::move(wall)) {}

  void open_to_all() { open_ = true; }
  void allow(Keys keys) { keys_ = std::move(keys); }
  // Errors: invalid_argument (no CA's certificate, or the same cloud twice).
  [[nodiscard]] Result<> trust(const std::vector<wire::CloudCa>& authorities) { return roster_.trust(authorities); }

  [[nodiscard]] bool admits(const crypto::HostKey& key, ByteView record);

 private:
  Wall wall_;
  bool open_{false};
  Keys keys_;
  Roster roster_;
};

}  // namespace godwit::overlay
