// What every sys::PageFiles does. A harness gives one, and a directory to work in:
//   struct Harness {
//     sys::PageFiles& files();
//     std::string path(const std::string& name);  // in a directory that is there and empty
//     void put(const std::string& name, ByteView content);  // a file as another program left it
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(System, PageFilesSuite, SystemHarness);
#pragma once

#include "support/event_loop.h"
#include "sys/page_file.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::testing {

template <class Harness>
class PageFilesSuite : public ::testing::Test {
 public:
  Harness harness;
};

TYPED_TEST_SUITE_P(PageFilesSuite);

TYPED_TEST_P(PageFilesSuite, WhatIsWrittenInAnyOrderIsReadInAnyOther) {
  auto made = this->harness.files().create(this->harness.path("pages"));
  ASSERT_TRUE(made) << made.error().message;
  auto& file = **made;
  EXPECT_EQ(file.size(), 0U);
  ASSERT_TRUE(file.write_at(8, as_bytes("world")));
  ASSERT_TRUE(file.write_at(0, as_bytes("hello")));
  EXPECT_EQ(file.size(), 13U);
  ByteVector read(13);
  ASSERT_TRUE(file.read_at(0, read));
  EXPECT_EQ(as_text(read), std::string_view("hello\0\0\0world", 13)) << "what was never written is zeros";
  ASSERT_TRUE(file.write_at(6, as_bytes("WORLD")));
  ASSERT_TRUE(file.read_at(4, ByteSpan(read).first(8)));
  EXPECT_EQ(as_text(ByteView(read).first(8)), std::string_view("o\0WORLDl", 8).substr(0, 8));
}

TYPED_TEST_P(PageFilesSuite, AReadBeyondTheEndIsAnErrorAndNeverHalfAnAnswer) {
  auto made = this->harness.files().create(this->harness.path("short"));
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_TRUE((*made)->write_at(0, as_bytes("0123456789")));
  ByteVector read(4);
  for (const std::uint64_t offset : {7ULL, 10ULL, 1ULL << 40U, ~0ULL - 1, ~0ULL}) {
    const auto done = (*made)->read_at(offset, read);
    ASSERT_FALSE(done) << offset;
    EXPECT_EQ(done.error().code, Errc::io) << done.error().message;
  }
  EXPECT_TRUE((*made)->read_at(6, read));
  EXPECT_TRUE((*made)->read_at(10, {})) << "nothing is asked, nothing is missing";
  EXPECT_FALSE((*made)->write_at(~0ULL - 1, as_bytes("x")));
}

TYPED_TEST_P(PageFilesSuite, AFileThatIsThereIsOpenedForReading) {
  this->harness.put("image", as_bytes("content"));
  const auto opened = this->harness.files().open(this->harness.path("image"));
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ((*opened)->size(), 7U);
  ByteVector read(7);
  ASSERT_TRUE((*opened)->read_at(0, read));
  EXPECT_EQ(as_text(read), "content");
  const auto written = (*opened)->write_at(0, as_bytes("x"));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Errc::io);
}

TYPED_TEST_P(PageFilesSuite, WhatIsNotThereOrNoFileIsNotOpened) {
  const auto none = this->harness.files().open(this->harness.path("none"));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::not_found);
  ASSERT_TRUE(this->harness.files().clear_directory(this->harness.path("directory")));
  const auto directory = this->harness.files().open(this->harness.path("directory"));
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().code, Errc::invalid_argument);
}

TYPED_TEST_P(PageFilesSuite, CreatingReplacesAndWhoHadTheOldOneKeepsIt) {
  this->harness.put("file", as_bytes("old"));
  const auto old = this->harness.files().open(this->harness.path("file"));
  ASSERT_TRUE(old);
  const auto fresh = this->harness.files().create(this->harness.path("file"));
  ASSERT_TRUE(fresh) << fresh.error().message;
  EXPECT_EQ((*fresh)->size(), 0U);
  ByteVector read(3);
  ASSERT_TRUE((*old)->read_at(0, read));
  EXPECT_EQ(as_text(read), "old");
}

TYPED_TEST_P(PageFilesSuite, RemovingTakesTheNameAndWhoHasItOpenReadsOn) {
  auto made = this->harness.files().create(this->harness.path("file"));
  ASSERT_TRUE(made);
  ASSERT_TRUE((*made)->write_at(0, as_bytes("still")));
  ASSERT_TRUE(this->harness.files().remove(this->harness.path("file")));
  EXPECT_FALSE(this->harness.files().open(this->harness.path("file")));
  ByteVector read(5);
  EXPECT_TRUE((*made)->read_at(0, read));
  EXPECT_TRUE(this->harness.files().remove(this->harness.path("file"))) << "it is gone: what was wanted";
}

TYPED_TEST_P(PageFilesSuite, AClearedDirectoryIsThereAndHoldsNoFiles) {
  auto& files = this->harness.files();
  const auto store = this->harness.path("a/b");
  ASSERT_TRUE(files.clear_directory(store));
  ASSERT_TRUE(files.create(store + "/one"));
  ASSERT_TRUE(files.clear_directory(store + "/inner"));
  ASSERT_TRUE(files.create(store + "/inner/kept"));
  ASSERT_TRUE(files.clear_directory(store));
  EXPECT_FALSE(files.open(store + "/one"));
  EXPECT_TRUE(files.open(store + "/inner/kept")) << "only files of its own";
}

TYPED_TEST_P(PageFilesSuite, WhereNoDirectoryCanBeThereIsAnError) {
  this->harness.put("file", as_bytes("x"));
  EXPECT_FALSE(this->harness.files().clear_directory(this->harness.path("file")));
  EXPECT_FALSE(this->harness.files().clear_directory(this->harness.path("file/below")));
  EXPECT_FALSE(this->harness.files().create(this->harness.path("missing/file")));
}

TYPED_TEST_P(PageFilesSuite, AFileThatIsThereIsTakenUpAsItIs) {
  this->harness.put("file", as_bytes("content"));
  auto file = this->harness.files().reopen(this->harness.path("file"));
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_TRUE((*file)->write_at(3, as_bytes("...")));
  ByteVector read(7);
  ASSERT_TRUE((*file)->read_at(0, read));
  EXPECT_EQ(as_text(read), "con...t");
  EXPECT_EQ(this->harness.files().reopen(this->harness.path("none")).error().code, Errc::not_found);
  ASSERT_TRUE(this->harness.files().make_directory(this->harness.path("directory"), 0755));
  EXPECT_EQ(this->harness.files().reopen(this->harness.path("directory")).error().code, Errc::invalid_argument);
}

TYPED_TEST_P(PageFilesSuite, AFileGrowsByHolesAndIsCut) {
  auto file = this->harness.files().create(this->harness.path("disk"), 0644);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_TRUE((*file)->resize(8UL << 20U));
  EXPECT_EQ((*file)->size(), 8UL << 20U);
  EXPECT_LT((*file)->used_bytes(), 1UL << 20U) << "a hole takes no space";
  ByteVector read(4096, std::byte{1});
  ASSERT_TRUE((*file)->read_at((8UL << 20U) - 4096, read));
  EXPECT_EQ(read, ByteVector(4096));
  ASSERT_TRUE((*file)->write_at(1UL << 20U, ByteVector(65'536, std::byte{7})));
  EXPECT_GE((*file)->used_bytes(), 65'536U);
  ASSERT_TRUE((*file)->resize((1UL << 20U) + 1));
  EXPECT_EQ((*file)->size(), (1UL << 20U) + 1);
  EXPECT_FALSE((*file)->resize(~0ULL));
}

TYPED_TEST_P(PageFilesSuite, AHoleReadsAsZerosAndWhatIsAroundItStays) {
  auto file = this->harness.files().create(this->harness.path("disk"));
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write_at(0, ByteVector(3UL * 65'536, std::byte{7})));
  ASSERT_TRUE((*file)->punch(65'536, 65'536));
  ByteVector read(65'538);
  ASSERT_TRUE((*file)->read_at(65'535, read));
  EXPECT_EQ(read.front(), std::byte{7});
  EXPECT_EQ(read.back(), std::byte{7});
  EXPECT_EQ(std::count(read.begin(), read.end(), std::byte{0}), 65'536);
  ASSERT_TRUE((*file)->punch(2UL * 65'536, 1UL << 30U));
  EXPECT_EQ((*file)->size(), 3UL * 65'536) << "a file does not grow by a hole";
  ASSERT_TRUE((*file)->punch(1UL << 30U, 1));
}

TYPED_TEST_P(PageFilesSuite, ACopyIsTheSameAndAFileOfItsOwn) {
  auto& files = this->harness.files();
  auto source = files.create(this->harness.path("source"));
  auto copy = files.create(this->harness.path("copy"));
  ASSERT_TRUE(source && copy);
  ByteVector content(3UL << 20U);
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<std::byte>(i / 4096 + i);
  ASSERT_TRUE((*source)->write_at(0, content));
  ASSERT_TRUE((*copy)->copy_from(**source, 4096, 8192, content.size() - 4096));
  ASSERT_TRUE((*copy)->copy_from(**source, 0, 0, 0));
  ASSERT_TRUE((*source)->write_at(4096, as_bytes("another")));
  ByteVector read(content.size() - 4096);
  ASSERT_TRUE((*copy)->read_at(8192, read));
  EXPECT_TRUE(std::ranges::equal(read, ByteView(content).subspan(4096)));
  EXPECT_FALSE((*copy)->copy_from(**source, content.size(), 0, 1));
}

TYPED_TEST_P(PageFilesSuite, WhatIsSharedIsTheSameAsACopy) {
  auto& files = this->harness.files();
  auto source = files.create(this->harness.path("source"));
  auto copy = files.create(this->harness.path("copy"));
  ASSERT_TRUE(source && copy);
  ASSERT_TRUE((*source)->write_at(0, ByteVector(65'536, std::byte{7})));
  const auto shared = (*copy)->share_from(**source, 0, 4096, 8192);
  ASSERT_TRUE(shared) << shared.error().message;
  EXPECT_EQ((*copy)->size(), *shared ? 12'288U : 0U);
  const auto odd = (*copy)->share_from(**source, 1, 0, 5);
  ASSERT_TRUE(odd);
  EXPECT_FALSE(*odd) << "blocks are shared, not bytes";
}

TYPED_TEST_P(PageFilesSuite, ADirectoryIsLockedOnceAtATime) {
  auto& files = this->harness.files();
  const auto directory = this->harness.path("images");
  EXPECT_EQ(files.lock_directory(directory).error().code, Errc::not_found);
  ASSERT_TRUE(files.make_directory(directory, 0755));
  auto lock = files.lock_directory(directory);
  ASSERT_TRUE(lock) << lock.error().message;
  EXPECT_EQ(files.lock_directory(directory).error().code, Errc::conflict);
  lock->reset();
  EXPECT_TRUE(files.lock_directory(directory));
}

TYPED_TEST_P(PageFilesSuite, ASyncEndsAndWhatIsWrittenMeanwhileIsThere) {
  auto file = this->harness.files().create(this->harness.path("file"));
  ASSERT_TRUE(file);
  EventLoop loop;
  const auto write_and_sync = [](sys::PageFile& into) -> sys::Task<void> {
    GODWIT_CO_ASSERT_OK(into.write_at(0, as_bytes("before")));
    const auto synced = co_await into.sync();
    GODWIT_CO_ASSERT_OK(synced);
    const auto again = co_await into.sync();
    GODWIT_CO_ASSERT_OK(again);
  };
  loop.run(write_and_sync(**file));
  ByteVector read(6);
  ASSERT_TRUE((*file)->read_at(0, read));
  EXPECT_EQ(as_text(read), "before");
}

TYPED_TEST_P(PageFilesSuite, ADirectoryIsMadeOnceAndKeepsWhatIsInIt) {
  auto& files = this->harness.files();
  const auto directory = this->harness.path("a/b");
  ASSERT_TRUE(files.make_directory(directory, 0755));
  ASSERT_TRUE(files.create(directory + "/file"));
  ASSERT_TRUE(files.make_directory(directory, 0755));
  EXPECT_TRUE(files.open(directory + "/file"));
  const auto free = files.free_bytes(directory);
  ASSERT_TRUE(free) << free.error().message;
  EXPECT_GT(*free, 0U);
  EXPECT_FALSE(files.free_bytes(this->harness.path("none")));
}

REGISTER_TYPED_TEST_SUITE_P(PageFilesSuite, WhatIsWrittenInAnyOrderIsReadInAnyOther,
                            AReadBeyondTheEndIsAnErrorAndNeverHalfAnAnswer, AFileThatIsThereIsOpenedForReading,
                            WhatIsNotThereOrNoFileIsNotOpened, CreatingReplacesAndWhoHadTheOldOneKeepsIt,
                            RemovingTakesTheNameAndWhoHasItOpenReadsOn, AClearedDirectoryIsThereAndHoldsNoFiles,
                            WhereNoDirectoryCanBeThereIsAnError, AFileThatIsThereIsTakenUpAsItIs,
                            AFileGrowsByHolesAndIsCut, AHoleReadsAsZerosAndWhatIsAroundItStays,
                            ACopyIsTheSameAndAFileOfItsOwn, WhatIsSharedIsTheSameAsACopy, ADirectoryIsLockedOnceAtATime,
                            ASyncEndsAndWhatIsWrittenMeanwhileIsThere, ADirectoryIsMadeOnceAndKeepsWhatIsInIt);

}  // namespace godwit::testing
