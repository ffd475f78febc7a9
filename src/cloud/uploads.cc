#include "cloud/uploads.h"

#include "cloud/image_quota.h"
#include "cloud/tables.h"

namespace godwit::cloud {
namespace {

constexpr std::uint64_t kPartPieces = 4096;
constexpr std::size_t kPart_bytes = kPartPieces / 8;
constexpr std::string_view kOne = "tenant = $1 AND image = $2";

std::unexpected<Error> no_upload(const std::string& tenant, const image::ImageId& id) {
  return fail(Errc::not_found, "image {:.12}…: {} does not bring it", id, tenant);
}

}  // namespace

void end_upload(Sql& sql, const std::string& tenant, const image::ImageId& id) {
  sql.run("DELETE FROM image_uploads WHERE tenant = $1 AND image = $2", tenant, id);
  sql.run("DELETE FROM image_upload_parts WHERE tenant = $1 AND image = $2", tenant, id);
}

User user_of_tenant(Sql& sql, const std::string& tenant) {
  const auto row = select_one<TenantRow>(sql, "name = $1", tenant);
  return row ? User{row->name, row->quota, row->is_operator} : User{tenant, {}, false};
}

Result<> Uploads::begin(const std::string& tenant, const image::ImageId& id, std::uint64_t pieces) {
  return core_.database().write(Durability::full, [&](Sql& sql) -> Result<> {
    if (select_one<UploadRow>(sql, kOne, tenant, id)) return {};
    // How much it needs is known with its list.
    const auto allowed = check_image_quota(core_, user_of_tenant(sql, tenant), images_used(sql, tenant), 0);
    if (!allowed) return allowed;
    put(sql, UploadRow{tenant, id, pieces, false, 0, core_.now_ms()});
    return {};
  });
}

Result<image::Upload> Uploads::find(const std::string& tenant, const image::ImageId& id) {
  return core_.database().read([&](Sql& sql) -> Result<image::Upload> {
    const auto row = select_one<UploadRow>(sql, kOne, tenant, id);
    if (!row) return no_upload(tenant, id);
    image::Upload upload{row->has_list, image::PieceSet(row->pieces)};
    for (const auto& part : select<UploadPartRow>(sql, kOne, tenant, id)) {
      const auto bits = from_hex(part.bits);
      if (!bits || bits->size() != kPart_bytes) return fail(Errc::io, "image {:.12}…: a part of its upload", id);
      upload.shown.add_bits(part.part * kPartPieces, *bits);
    }
    return upload;
  });
}

Result<> Uploads::list_shown(const std::string& tenant, const image::ImageId& id, std::uint64_t need_bytes) {
  return core_.database().write(Durability::full, [&](Sql& sql) -> Result<> {
    auto row = select_one<UploadRow>(sql, kOne, tenant, id);
    if (!row) return no_upload(tenant, id);
    const auto allowed =
        check_image_quota(core_, user_of_tenant(sql, tenant), images_used(sql, tenant, id), need_bytes);
    if (!allowed) return allowed;
    row->has_list = true;
    row->need_bytes = need_bytes;
    row->touched_ms = core_.now_ms();
    put(sql, *row);
    return {};
  });
}

Result<> Uploads::pieces_shown(const std::string& tenant, const image::ImageId& id, const image::PieceSet& shown,
                               std::span<const std::uint64_t> fresh) {
  std::set<std::uint64_t> parts;
  for (const auto piece : fresh) parts.insert(piece / kPartPieces);
  // A power cut costs what would be sent again anyway.
  return core_.database().write(Durability::relaxed, [&](Sql& sql) -> Result<> {
    const auto known = sql.run("UPDATE image_uploads SET touched_ms = $3 WHERE tenant = $1 AND image = $2", tenant, id,
                               core_.now_ms());
    if (known == 0) return no_upload(tenant, id);
    for (const auto part : parts) {
      put(sql, UploadPartRow{tenant, id, part, to_hex(shown.bits(part * kPartPieces, kPart_bytes))});
    }
    return {};
  });
}

Result<std::vector<image::ImageId>> Uploads::end_abandoned() {
  const auto before = core_.now_ms() - Millis{kUploadKept}.count();
  std::vector<image::ImageId> out;
  const auto ended = core_.database().write(Durability::full, [&](Sql& sql) -> Result<> {
    for (const auto& row : select<UploadRow>(sql, "touched_ms <= $1", before)) {
      end_upload(sql, row.tenant, row.image);
      out.push_back(row.image);
    }
    return {};
  });
  if (!ended) return pass(ended);
  return out;
}

Result<std::set<image::ImageId>> Uploads::all() const {
  return core_.database().read([](Sql& sql) -> Result<std::set<image::ImageId>> {
    std::set<image::ImageId> out;
    for (auto& row : select<UploadRow>(sql, "true")) out.insert(std::move(row.image));
    return out;
  });
}

}  // namespace godwit::cloud
