#include "cloud/images.h"

#include "cloud/boot_orders.h"

#include <algorithm>

namespace godwit::cloud {
namespace {

// Empty: everybody's.
std::string owner_of(const User& user) { return user.is_operator ? std::string() : user.tenant; }

}  // namespace

bool is_image_name(const std::string& text) {
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_' || c == '+';
  });
}

wire::DesiredImage desired_of(ImageRow row) {
  return {std::move(row.name),     std::move(row.sha256),    std::move(row.path),
          std::move(row.manifest), std::move(row.signature), {}};
}

std::optional<ImageRow> find_image(Sql& sql, const std::string& tenant, const std::string& name) {
  auto own = select_one<ImageRow>(sql, "tenant = $1 AND name = $2", tenant, name);
  return own ? own : select_one<ImageRow>(sql, "tenant = '' AND name = $1", name);
}

Result<> Images::put_image(const wire::DesiredImage& image) {
  if (!image.path.starts_with('/')) {
    return fail(Errc::invalid_argument, "image {}: the path on the hosts must be absolute", image.name);
  }
  return put_row({"", image.name, image.sha256, image.path, "", ""});
}

Result<> Images::name_content(const User& user, const wire::DesiredImage& content) {
  return put_row({owner_of(user), content.name, content.sha256, "", content.manifest, content.signature});
}

Result<> Images::put_row(const ImageRow& row) {
  if (!is_image_name(row.name)) {
    return fail(Errc::invalid_argument, "image \"{}\": the name must be letters, digits and .-_+", row.name);
  }
  if (row.sha256.size() != 64 || row.sha256.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return fail(Errc::invalid_argument, "image {}: sha256 must be 64 hex digits", row.name);
  }
  const auto written = core_.database().write(Durability::full, [&](Sql& sql) -> Result<> {
    put(sql, row);
    drop_boot_orders(sql);
    return {};
  });
  if (written) core_.announce_change();
  return written;
}

Result<> Images::remove(const User& user, const std::string& name) {
  const auto removed = core_.database().write(Durability::full, [&](Sql& sql) -> Result<> {
    const auto owner = owner_of(user);
    if (!select_one<ImageRow>(sql, "tenant = $1 AND name = $2", owner, name)) {
      return fail(Errc::not_found, "image {}: no such image of {} at {}", name.substr(0, 64),
                  owner.empty() ? "everybody's" : owner, core_.name());
    }
    sql.run("DELETE FROM images WHERE tenant = $1 AND name = $2", owner, name);
    drop_boot_orders(sql);
    return {};
  });
  if (removed) core_.announce_change();
  return removed;
}

Result<std::vector<wire::DesiredImage>> Images::list() const {
  return core_.database().read([](Sql& sql) -> Result<std::vector<wire::DesiredImage>> {
    std::vector<wire::DesiredImage> out;
    for (auto& row : select<ImageRow>(sql, "true ORDER BY name, tenant")) out.push_back(desired_of(std::move(row)));
    return out;
  });
}

Result<std::vector<ImageRow>> Images::rows_of(const User& user) const {
  return core_.database().read([&](Sql& sql) -> Result<std::vector<ImageRow>> {
    std::vector<ImageRow> out;
    for (auto& row : select<ImageRow>(sql, "tenant = $1 OR tenant = '' ORDER BY name, tenant DESC", user.tenant)) {
      if (out.empty() || out.back().name != row.name) out.push_back(std::move(row));
    }
    return out;
  });
}

Result<std::vector<wire::DesiredImage>> Images::list(const User& user) const {
  auto rows = rows_of(user);
  if (!rows) return pass(rows);
  std::vector<wire::DesiredImage> out;
  for (auto& row : *rows) out.push_back(desired_of(std::move(row)));
  return out;
}

Result<wire::CloudImageList> Images::view(const User& user) const {
  const auto rows = rows_of(user);
  if (!rows) return pass(rows);
  wire::CloudImageList out;
  for (const auto& row : *rows) {
    out.images.push_back({row.name, row.sha256, !row.manifest.empty(), row.tenant == owner_of(user)});
  }
  return out;
}

Result<bool> Images::is_used(const std::string& sha256) const {
  return core_.database().read([&](Sql& sql) -> Result<bool> {
    if (select_one<ImageRow>(sql, "sha256 = $1", sha256)) return true;
    const auto instances = select<InstanceRow>(sql, "state NOT IN ('terminated', 'moved')");
    return std::any_of(instances.begin(), instances.end(),
                       [&](const InstanceRow& row) { return row.spec.image_sha256 == sha256; });
  });
}

Result<std::set<std::string>> Images::contents_of_instances() const {
  return core_.database().read([](Sql& sql) -> Result<std::set<std::string>> {
    std::set<std::string> out;
    for (auto& row : select<InstanceRow>(sql, "state NOT IN ('terminated', 'moved')")) {
      out.insert(std::move(row.spec.image_sha256));
    }
    return out;
  });
}

}  // namespace godwit::cloud
