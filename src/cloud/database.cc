#include "cloud/database.h"

#include "base/assert.h"
#include "cloud/schema.h"

#include <sqlite3.h>
#include <sys/stat.h>

namespace godwit::cloud {
namespace {

constexpr int kBusyMs = 5'000;  // `godwit cloud add-user` and others write beside the running cloud

}  // namespace

void Database::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
void Database::Close::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Database::~Database() = default;

Result<std::unique_ptr<Database>> Database::open(const std::string& path) {
  const auto before = ::umask(0077);  // SQLite gives the WAL files the mode of the database
  sqlite3* raw = nullptr;
  const int opened =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  ::umask(before);
  std::unique_ptr<Database> database(new Database(raw));
  if (opened != SQLITE_OK) return fail(Errc::io, "open database {}: {}", path, sqlite3_errstr(opened));
  try {
    sqlite3_busy_timeout(raw, kBusyMs);
    database->plain("PRAGMA journal_mode = WAL");
    database->plain("PRAGMA synchronous = FULL");
    database->plain("PRAGMA trusted_schema = OFF");
  } catch (const SqlFailure& failure) {
    return fail(Errc::io, "open database {}: {}", path, failure.what());
  }
  const auto current = database->write(Durability::full, [](Sql& sql) { return bring_up_to_date(sql); });
  if (!current) return fail(current, "open database " + path);
  return database;
}

void Database::begin(Durability durability, bool writes) {
  // Of WAL, NORMAL leaves the fsync to the next checkpoint or the next FULL commit, which covers all before it.
  if (writes && durability != durability_) {
    plain(durability == Durability::full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
    durability_ = durability;
  }
  plain(writes ? "BEGIN IMMEDIATE" : "BEGIN");
}

void Database::commit() { plain("COMMIT"); }

void Database::roll_back() noexcept {
  if (!sqlite3_get_autocommit(handle_.get())) sqlite3_exec(handle_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Database::raise(const std::string& what) {
  throw SqlFailure(fmt::format("database, {}: {}", what, sqlite3_errmsg(handle_.get())));
}

void Database::plain(const std::string& statement) {
  if (sqlite3_exec(handle_.get(), statement.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) raise(statement);
}

sqlite3_stmt* Database::prepared(const std::string& statement) {
  auto found = statements_.find(statement);
  if (found == statements_.end()) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(handle_.get(), statement.data(), static_cast<int>(statement.size()), &raw, nullptr) !=
        SQLITE_OK) {
      raise(statement);
    }
    found = statements_.emplace(statement, Statement(raw)).first;
  }
  return found->second.get();
}

int Sql::changed_rows() const { return sqlite3_changes(database_.handle_.get()); }

namespace {

SqlValue column(sqlite3_stmt* statement, int index) {
  if (sqlite3_column_type(statement, index) == SQLITE_INTEGER) return sqlite3_column_int64(statement, index);
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, index));
  return std::string(text ? text : "", static_cast<std::size_t>(sqlite3_column_bytes(statement, index)));
}

// Resets the cached statement however its use ends.
struct Reset {
  sqlite3_stmt* statement;
  ~Reset() {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
};

}  // namespace

std::vector<SqlRow> Sql::all(const std::string& text, const std::vector<SqlValue>& parameters) {
  sqlite3_stmt* const statement = database_.prepared(text);
  const Reset reset{statement};
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    // "$1" is a name to SQLite: its index is that of its first use.
    const int index = sqlite3_bind_parameter_index(statement, fmt::format("${}", i + 1).c_str());
    GODWIT_ASSERT(index > 0);
    int bound = SQLITE_OK;
    if (const auto* number = std::get_if<std::int64_t>(&parameters[i])) {
      bound = sqlite3_bind_int64(statement, index, *number);
    } else {
      const auto& value = std::get<std::string>(parameters[i]);
      bound = sqlite3_bind_text64(statement, index, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    }
    if (bound != SQLITE_OK) database_.raise(text);
  }
  std::vector<SqlRow> out;
  for (;;) {
    const int step = sqlite3_step(statement);
    if (step == SQLITE_DONE) return out;
    if (step != SQLITE_ROW) database_.raise(text);
    auto& row = out.emplace_back();
    for (int i = 0; i < sqlite3_column_count(statement); ++i) row.push_back(column(statement, i));
  }
}

}  // namespace godwit::cloud
