#include "cloud/image_rights.h"

#include <algorithm>

namespace godwit::cloud {

bool may_run(Sql& sql, const std::string& tenant, const std::string& sha256) {
  if (select_one<ImageRow>(sql, "(tenant = $1 OR tenant = '') AND sha256 = $2", tenant, sha256)) return true;
  const auto own = select<InstanceRow>(sql, "tenant = $1 AND state NOT IN ('terminated', 'moved')", tenant);
  return std::ranges::any_of(own, [&](const InstanceRow& row) { return row.spec.image_sha256 == sha256; });
}

}  // namespace godwit::cloud
