#include "cloud/database.h"

#include "cloud/tables.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace godwit::cloud {
namespace {

std::string fresh_path(const std::string& name) {
  const auto path = std::filesystem::temp_directory_path() / fmt::format("godwit-{}-{}.db", name, ::getpid());
  for (const auto* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path.string() + suffix);
  return path.string();
}

TEST(Database, WhatIsRefusedLeavesNothingBehind) {
  const auto database = Database::open(":memory:").value();
  const auto refused = database->write(Durability::full, [](Sql& sql) -> Result<> {
    put(sql, TenantRow{"alice", {}, false});
    return fail(Errc::denied, "no");
  });
  EXPECT_EQ(refused.error().code, Errc::denied);
  const auto rows =
      database->read([](Sql& sql) -> Result<std::size_t> { return select<TenantRow>(sql, "true").size(); });
  EXPECT_EQ(rows, 0U);
}

TEST(Database, AFaultySqlStatementIsAnErrorAndRollsBack) {
  const auto database = Database::open(":memory:").value();
  const auto failed = database->write(Durability::relaxed, [](Sql& sql) -> Result<> {
    put(sql, TenantRow{"alice", {}, false});
    sql.run("INSERT INTO tokens (sha256) VALUES ($1)", "x");
    return {};
  });
  EXPECT_EQ(failed.error().code, Errc::io);
  EXPECT_TRUE(database->write(Durability::full, [](Sql& sql) -> Result<> {
    EXPECT_TRUE(select<TenantRow>(sql, "true").empty());
    return {};
  }));
}

TEST(Database, RowsComeBackAsTheyWerePut) {
  const auto path = fresh_path("rows");
  wire::Quota quota;
  quota.vcpus = 7;
  {
    const auto database = Database::open(path).value();
    ASSERT_TRUE(database->write(Durability::full, [&](Sql& sql) -> Result<> {
      put(sql, TenantRow{"alice", {}, false});
      put(sql, TenantRow{"alice", quota, true});
      put(sql, TenantRow{"bob'; DROP TABLE tenants; --", {}, false});
      return {};
    }));
  }
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  const auto database = Database::open(path).value();
  ASSERT_TRUE(database->read([](Sql& sql) -> Result<> {
    const auto rows = select<TenantRow>(sql, "name >= $1 ORDER BY name", "a");
    EXPECT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0].quota.vcpus, 7U);
    EXPECT_TRUE(rows[0].is_operator);
    EXPECT_EQ(rows[1].name, "bob'; DROP TABLE tenants; --");
    return {};
  }));
  std::filesystem::remove(path);
}

TEST(Database, ADatabaseOfANewerBuildIsLeftAlone) {
  const auto path = fresh_path("newer");
  {
    const auto database = Database::open(path).value();
    ASSERT_TRUE(database->write(Durability::full, [](Sql& sql) -> Result<> {
      sql.run("UPDATE schema_version SET version = 99");
      return {};
    }));
  }
  const auto opened = Database::open(path);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::unsupported);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace godwit::cloud
