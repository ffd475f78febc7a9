#include "overlay/relay_admission.h"

namespace godwit::overlay {

bool RelayAdmission::admits(const crypto::HostKey& key, ByteView record) {
  if (open_ || keys_.contains(key)) return true;
  if (record.empty()) return false;
  const auto host = roster_.admit(wall_(), record);
  return host && host->key == key && host->profile == crypto::SessionProfile::native;
}

}  // namespace godwit::overlay
