// A cloud's durable state: SQLite in WAL mode, behind SQL that PostgreSQL speaks too ($1 parameters, TEXT and BIGINT
// columns, ON CONFLICT). Everything happens in a transaction; what a body refuses leaves nothing behind.
#pragma once

#include "base/result.h"

#include <concepts>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace godwit::cloud {

using SqlValue = std::variant<std::int64_t, std::string>;
using SqlRow = std::vector<SqlValue>;

// Thrown by Sql and caught by Database::write() and read(): it never leaves a transaction.
class SqlFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class Durability : std::uint8_t {
  relaxed = 1,  // survives a crash of the process; a power cut may take the last moments
  full,         // on disk when the transaction returns: votes, tickets, generations
};

// The statements of one transaction. Borrowed by the body; not kept.
class Sql {
 public:
  template <class... P>
  std::vector<SqlRow> rows(const std::string& statement, const P&... parameters) {
    return all(statement, {value(parameters)...});
  }
  // The number of rows that were changed.
  template <class... P>
  int run(const std::string& statement, const P&... parameters) {
    all(statement, {value(parameters)...});
    return changed_rows();
  }
  std::vector<SqlRow> all(const std::string& statement, const std::vector<SqlValue>& parameters);

 private:
  friend class Database;
  explicit Sql(class Database& database) : database_(database) {}
  static SqlValue value(std::string_view text) { return std::string(text); }
  static SqlValue value(const char* text) { return std::string(text); }
  static SqlValue value(std::integral auto number) { return static_cast<std::int64_t>(number); }
  [[nodiscard]] int changed_rows() const;
  Database& database_;
};

// One strand. The simulation keeps one with path ":memory:" over the crashes of its cloud.
class Database {
 public:
  // Opens or makes the file (mode 0600) and brings its schema up to date. Errors: io; unsupported (a newer schema).
  [[nodiscard]] static Result<std::unique_ptr<Database>> open(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // body(Sql&) -> Result<T>; committed when it succeeds, rolled back when it refuses. Not nested.
  template <class F>
  auto write(Durability durability, F&& body) -> std::invoke_result_t<F, Sql&> {
    return transact(durability, true, std::forward<F>(body));
  }
  template <class F>
  auto read(F&& body) -> std::invoke_result_t<F, Sql&> {
    return transact(Durability::relaxed, false, std::forward<F>(body));
  }

 private:
  friend class Sql;
  struct Close {
    void operator()(sqlite3* handle) const;
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Close>;

  explicit Database(sqlite3* handle) : handle_(handle) {}
  template <class F>
  auto transact(Durability durability, bool writes, F&& body) -> std::invoke_result_t<F, Sql&>;
  void begin(Durability durability, bool writes);
  void commit();
  void roll_back() noexcept;
  void plain(const std::string& statement);
  sqlite3_stmt* prepared(const std::string& statement);
  [[noreturn]] void raise(const std::string& what);

  // Statements before the handle that they belong to is closed.
  std::unique_ptr<sqlite3, Close> handle_;
  std::map<std::string, Statement, std::less<>> statements_;
  Durability durability_{Durability::full};
};

template <class F>
auto Database::transact(Durability durability, bool writes, F&& body) -> std::invoke_result_t<F, Sql&> {
  try {
    begin(durability, writes);
    Sql sql(*this);
    auto outcome = std::forward<F>(body)(sql);
    if (outcome) {
      commit();
    } else {
      roll_back();
    }
    return outcome;
  } catch (const SqlFailure& failure) {
    roll_back();
    return std::unexpected(Error{Errc::io, failure.what()});
  }
}

}  // namespace godwit::cloud
