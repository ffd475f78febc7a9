#include "migrate/record.h"

#include "sim/files.h"

#include <gtest/gtest.h>

namespace godwit::migrate {
namespace {

constexpr const char* kDirectory = "/var/lib/godwit/migrations";

Record record() {
  Record record;
  record.id = "mig-0123456789abcdef0";
  record.role = wire::MigrationRole::destination;
  record.ballot = {Vote::prepared, Decision::none, false, false, false};
  record.peer_key = "ab";
  record.promised = true;
  return record;
}

TEST(Records, ComeBackAsTheyWere) {
  sim::Files files;
  Records records(files, kDirectory);
  ASSERT_TRUE(records.load()) << "makes its directory";
  ASSERT_TRUE(records.save(record()));
  ASSERT_TRUE(files.write_atomic(std::string(kDirectory) + "/mig-0123456789abcdef0.json.new~", "{", 0600));
  const auto back = records.load();
  ASSERT_TRUE(back) << back.error().message;
  ASSERT_EQ(back->size(), 1U);
  EXPECT_EQ(wire::encode(back->front()), wire::encode(record()));
  ASSERT_TRUE(records.remove(record().id));
  EXPECT_TRUE(records.load()->empty());
}

TEST(Records, OneThatCannotBeReadIsAnErrorForAll) {
  sim::Files files;
  Records records(files, kDirectory);
  ASSERT_TRUE(records.load());
  const auto path = std::string(kDirectory) + "/mig-0123456789abcdef0.json";
  auto other = record();
  other.version = 2;
  for (const auto& text : {std::string("{"), wire::encode(other), std::string("{}")}) {
    ASSERT_TRUE(files.write_atomic(path, text, 0600));
    const auto loaded = records.load();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Errc::protocol);
    EXPECT_NE(loaded.error().message.find(path), std::string::npos);
  }
}

}  // namespace
}  // namespace godwit::migrate
