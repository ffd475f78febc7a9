#include "cloud/core.h"

namespace godwit::cloud {

Result<Settings> load_settings(Database& database) {
  return database.read([](Sql& sql) -> Result<Settings> {
    const auto row = select_one<SettingsRow>(sql, "name = $1", "cloud");
    if (!row) return fail(Errc::not_found, "settings: this database is of no cloud yet (run godwit cloud init)");
    Settings settings;
    const auto read = wire::from_json(row->content, settings, "settings");
    if (!read) return pass(read);
    return settings;
  });
}

Result<> save_settings(Database& database, const Settings& settings) {
  return database.write(Durability::full, [&](Sql& sql) -> Result<> {
    put(sql, SettingsRow{"cloud", wire::to_json(settings)});
    return {};
  });
}

}  // namespace godwit::cloud
