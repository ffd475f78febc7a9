#include "cloud/boot_orders.h"

#include "image/boot_order.h"
#include "image/manifest.h"

#include <algorithm>

namespace godwit::cloud {

Result<> check_boot_orders(const std::vector<wire::BootOrder>& said) {
  if (said.size() > kBootOrdersPerReport) return fail(Errc::invalid_argument, "has more than 64 boot orders");
  for (const auto& each : said) {
    if (!image::is_image_id(each.sha256)) {
      return fail(Errc::invalid_argument, "boot_orders: sha256 must be 64 hex digits");
    }
    const auto pieces = image::unpack_boot_order(each.ranges, image::kPiecesLimit);
    if (!pieces) return fail(pieces, "boot_orders");
  }
  return {};
}

bool note_boot_orders(Sql& sql, const std::vector<wire::BootOrder>& said) {
  bool changed = false;
  for (const auto& each : said) {
    if (!select_one<ImageRow>(sql, "sha256 = $1 AND manifest <> ''", each.sha256)) continue;
    const auto pieces = image::unpack_boot_order(each.ranges, image::kPiecesLimit);
    if (!pieces) continue;
    const auto before = select_one<BootOrderRow>(sql, "sha256 = $1", each.sha256);
    if (before && before->pieces >= pieces->size()) continue;
    put(sql, BootOrderRow{each.sha256, each.ranges, pieces->size()});
    changed = true;
  }
  return changed;
}

void drop_boot_orders(Sql& sql) { sql.run("DELETE FROM boot_orders WHERE sha256 NOT IN (SELECT sha256 FROM images)"); }

void add_boot_orders(Sql& sql, const HostRow& host, wire::DesiredState& desired) {
  for (auto& image : desired.images) {
    const bool is_there =
        std::ranges::any_of(host.report.images, [&](const auto& each) { return each.sha256 == image.sha256; });
    const bool is_to_begin = std::ranges::any_of(desired.instances, [&](const wire::DesiredInstance& each) {
      return each.spec.image_sha256 == image.sha256 && each.incoming_migration.empty() &&
             each.state == wire::DesiredInstanceState::running;
    });
    if (image.manifest.empty() || is_there || !is_to_begin) continue;
    auto row = select_one<BootOrderRow>(sql, "sha256 = $1", image.sha256);
    if (row) image.boot_order = std::move(row->ranges);
  }
}

}  // namespace godwit::cloud
