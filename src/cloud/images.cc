#include "cloud/images.h"

#include "cloud/boot_orders.h"
#include "cloud/image_quota.h"
#include "cloud/uploads.h"
#include "wire/image_names.h"

#include <algorithm>

namespace godwit::cloud {
namespace {

// Empty: everybody's.
std::string owner_of(const User& user) { return user.is_operator ? std::string() : user.tenant; }

}  // namespace

wire::DesiredImage desired_of(ImageRow row) {
  return {std::move(row.name),     std::move(row.sha256),    std::move(row.path),
          std::move(row.manifest), std::move(row.signature), {},
          row.check_number};
}

std::optional<ImageRow> find_image(Sql& sql, const std::string& tenant, const std::string& name) {
  auto own = select_one<ImageRow>(sql, "tenant = $1 AND name = $2", tenant, name);
  return own ? own : select_one<ImageRow>(sql, "tenant = '' AND name = $1", name);
}

Result<> Images::put_image(const wire::DesiredImage& image) {
  if (!image.path.starts_with('/')) {
    return fail(Errc::invalid_argument, "image {}: the path on the hosts must be absolute", image.name);
  }
  return put_row({"", image.name, image.sha256, image.path, "", "", 0, 0}, {});
}

Result<> Images::name_content(const User& user, const wire::DesiredImage& content, std::uint64_t need_bytes) {
  const ImageRow row{owner_of(user),   content.name,      content.sha256, "",
                     content.manifest, content.signature, need_bytes,     0};
  return put_row(row, [&](Sql& sql) -> Result<> {
    const auto other =
        select_one<ImageRow>(sql, "tenant = $1 AND sha256 = $2 AND name <> $3", row.tenant, row.sha256, row.name);
    const auto used = images_used(sql, user.tenant, row.sha256, row.name);
    const auto allowed = check_image_quota(core_, user, used, other ? 0 : need_bytes);
    if (allowed) end_upload(sql, user.tenant, row.sha256);
    return allowed;
  });
}

// `before`: within the transaction.
Result<> Images::put_row(const ImageRow& row, const std::function<Result<>(Sql&)>& before) {
  if (!wire::is_image_name(row.name)) {
    return fail(Errc::invalid_argument, "image \"{:.64}\": the name must be {}", row.name, wire::kImageNameRule);
  }
  if (row.sha256.size() != 64 || row.sha256.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return fail(Errc::invalid_argument, "image {}: sha256 must be 64 hex digits", row.name);
  }
  const auto written = core_.database().write(Durability::full, [&](Sql& sql) -> Result<> {
    if (before) {
      if (auto may = before(sql); !may) return fail(may, "image " + row.name);
    }
    auto next = row;
    const auto last = select_one<ImageRow>(sql, "tenant = $1 AND name = $2", row.tenant, row.name);
    if (last && last->sha256 == row.sha256) next.check_number = last->check_number;
    put(sql, next);
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

// ---- checks

// What the user means by the name, where it lies by its content.
static Result<ImageRow> find_by_content(Sql& sql, const User& user, const std::string& name, const std::string& cloud) {
  auto row = find_image(sql, user.is_operator ? std::string() : user.tenant, name);
  if (!row) return fail(Errc::not_found, "image {:.64}: there is none of that name at {}", name, cloud);
  if (row->manifest.empty()) {
    return fail(Errc::unsupported, "image {:.64}: it lies in a directory of {}'s hosts, and is not checked", name,
                cloud);
  }
  return std::move(*row);
}

Result<wire::CloudImageCheck> Images::begin_check(const User& user, const std::string& name) {
  const auto now = static_cast<std::uint64_t>(core_.now_ms());
  bool is_new = false;
  const auto begun = core_.database().write(Durability::full, [&](Sql& sql) -> Result<> {
    auto row = find_by_content(sql, user, name, core_.name());
    if (!row) return pass(row);
    is_new = row->check_number + static_cast<std::uint64_t>(Millis{kCheckEvery}.count()) <= now;
    if (!is_new) return {};
    row->check_number = now;
    put(sql, *row);
    return {};
  });
  if (!begun) return pass(begun);
  if (is_new) core_.announce_change();
  return look_at_check(user, name);
}

Result<wire::CloudImageCheck> Images::look_at_check(const User& user, const std::string& name) const {
  return core_.database().read([&](Sql& sql) -> Result<wire::CloudImageCheck> {
    const auto row = find_by_content(sql, user, name, core_.name());
    if (!row) return pass(row);
    wire::CloudImageCheck out{core_.name(), row->sha256, row->check_number, {}};
    const auto is_it = [&](const auto& each) { return each.sha256 == row->sha256; };
    for (const auto& host : select<HostRow>(sql, "true ORDER BY name")) {
      const auto& report = host.report;
      if (std::ranges::none_of(report.images, is_it) && std::ranges::none_of(report.arrivals, is_it)) continue;
      const auto check = std::ranges::find_if(report.checks, is_it);
      out.places.push_back({host.name, true, check == report.checks.end() ? wire::ImageCheck{} : *check});
    }
    return out;
  });
}

Result<std::set<std::string>> Images::used() const {
  return core_.database().read([&](Sql& sql) -> Result<std::set<std::string>> {
    std::set<std::string> out;
    for (auto& row : select<ImageRow>(sql, "true")) out.insert(std::move(row.sha256));
    for (auto& row : select<InstanceRow>(sql, "state NOT IN ('terminated', 'moved')")) {
      out.insert(std::move(row.spec.image_sha256));
    }
    return out;
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
