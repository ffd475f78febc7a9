#include "image/import.h"

#include "image/audit.h"
#include "image/export.h"
#include "os/system.h"
#include "support/image_host.h"
#include "support/temp_directory.h"

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

namespace godwit::image {
namespace {

using testing::ImageHost;
using testing::sample_image;

sys::Task<void> import_into(ImageHost& host, ImportSource source, ImportOptions options, Result<ImageId>& outcome) {
  outcome = co_await import_image(host.runtime(), host.images(), std::move(source), std::move(options));
}

Result<ImageId> import(ImageHost& host, ImportSource source, ImportOptions options = {}) {
  Result<ImageId> outcome;
  host.run(import_into(host, std::move(source), std::move(options), outcome));
  return outcome;
}

ImportSource put_files(ImageHost& host, const testing::SampleImage& image) {
  ImportSource source;
  for (const auto& file : image.files) {
    const auto path = fmt::format("/home/{}", to_string(file.role));
    host.page_files().put(path, file.bytes);
    source.files.push_back({file.role, path, "raw"});
  }
  source.cmdline = image.manifest.cmdline;
  return source;
}

TEST(ImportTest, AnImageHasTheIdOfItsContentAndIsThereBitForBit) {
  ImageHost host;
  const auto image = sample_image(1);
  const auto id = import(host, put_files(host, image));
  ASSERT_TRUE(id) << id.error().message;
  EXPECT_EQ(*id, image.id);
  EXPECT_TRUE(host.images().find(*id)->complete());
  testing::expect_true_to(host, image);
  host.lose_power();
  ASSERT_TRUE(host.boot());
  EXPECT_TRUE(host.images().find(*id)->complete()) << "it is on disk when the command ends";
  testing::expect_true_to(host, image);
}

TEST(ImportTest, TheSameContentIsTheSameImageAndCostsNothing) {
  ImageHost host;
  const auto image = sample_image(1);
  const auto source = put_files(host, image);
  ASSERT_TRUE(import(host, source));
  const auto before = host.images().need_bytes();
  EXPECT_EQ(import(host, source).value(), image.id);
  EXPECT_EQ(host.images().need_bytes(), before);
  EXPECT_EQ(host.images().list().size(), 1U);
}

TEST(ImportTest, WhatWasOnItsWayIsFilledUp) {
  ImageHost host;
  const auto image = sample_image(1);
  {
    const auto lease = host.images().begin(image.text, {}, "a transfer");
    ASSERT_TRUE(lease && (*lease)->set_list(image.list) && (*lease)->put(3, image.pieces[3]));
  }
  ASSERT_TRUE(import(host, put_files(host, image)));
  testing::expect_true_to(host, image);
}

TEST(ImportTest, ACloudSignsWhatWasImported) {
  ImageHost host;
  const auto image = sample_image(1);
  ImportOptions options;
  options.sign = [](const Digest& manifest) -> Result<ByteVector> {
    return ByteVector(manifest.begin(), manifest.end());
  };
  ASSERT_TRUE(import(host, put_files(host, image), options));
  EXPECT_EQ(to_hex(host.images().signature_of(image.id).value()), image.id);
}

TEST(ImportTest, AFileThatChangesMeanwhileLeavesNothing) {
  ImageHost host;
  const auto image = sample_image(1, 200);
  auto source = put_files(host, image);
  ImportOptions options;
  options.progress = [&](std::uint64_t done, std::uint64_t all) {
    if (done * 10 > all * 6) host.page_files().flip("/home/disk", 199 * kPiece_bytes + 3);
  };
  const auto id = import(host, source, options);
  ASSERT_FALSE(id);
  EXPECT_EQ(id.error().code, Errc::conflict) << id.error().message;
  EXPECT_TRUE(host.images().list().empty());
}

TEST(ImportTest, WhatDoesNotFitIsRefusedAndLeavesNothing) {
  ImageHost host(1, {.bytes = 10 * kPiece_bytes, .keep_free_bytes = 0, .evict = false});
  const auto id = import(host, put_files(host, sample_image(1, 200)));
  ASSERT_FALSE(id);
  EXPECT_EQ(id.error().code, Errc::exhausted) << id.error().message;
  EXPECT_TRUE(host.images().list().empty());
}

TEST(ImportTest, ASourceThatCannotBeIsRefused) {
  ImageHost host;
  EXPECT_EQ(import(host, {{{Role::disk, "/none", "raw"}}, {}}).error().code, Errc::not_found);
  host.page_files().put("/odd", ByteVector(1000));
  EXPECT_EQ(import(host, {{{Role::disk, "/odd", "raw"}}, {}}).error().code, Errc::invalid_argument);
  host.page_files().put("/empty", {});
  EXPECT_EQ(import(host, {{{Role::disk, "/empty", "raw"}}, {}}).error().code, Errc::invalid_argument);
  EXPECT_EQ(source_of(host.files(), "/none").error().code, Errc::not_found);
}

// qemu-img's and the file system's own.
class RealImport : public ::testing::Test {
 protected:
  void must(const std::string& command) { ASSERT_EQ(std::system((command + " > /dev/null").c_str()), 0) << command; }
  // A disk with content, holes and an end.
  std::string make_raw() {
    const auto raw = directory_ / "made.raw";
    must(fmt::format("qemu-img create -q -f raw {} 9M", raw));
    must(
        fmt::format("qemu-io -f raw -c 'write -P 1 0 4k' -c 'write -P 2 1M 200k' -c 'write -P 3 5M 1M' "
                    "-c 'write -P 4 9436672 512' {}",
                    raw));
    return raw;
  }
  // 0: as told; else what failed.
  template <class Body>
  void run(Body body) {
    os::System system({.log_level = LogLevel::warn, .component = "test"});
    const auto code = system.run([&](os::System& on) -> sys::Task<int> {
      auto runtime = on.runtime();
      Repository images(runtime, directory_ / "images", {.keep_free_bytes = 0});
      auto started = images.start();
      if (!started) {
        ADD_FAILURE() << started.error().message;
        co_return 1;
      }
      co_await body(runtime, images);
      co_await images.stop();
      co_return 0;
    });
    EXPECT_EQ(code, 0);
  }
  static ImportOptions as_us() {
    ImportOptions options;
    options.conversion.uid = ::geteuid() == 0 ? 65534 : 0;
    return options;
  }
  std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  testing::TempDirectory directory_;
};

TEST_F(RealImport, EveryFormatThatQemuReadsIsTheSameImage) {
  ::chmod(directory_.path().c_str(), 0711);
  const auto raw = make_raw();
  struct Case {
    const char* name;
    const char* options;
  };
  std::vector<std::string> paths{raw};
  for (const auto& each :
       {Case{"plain.qcow2", "-O qcow2"}, Case{"compressed.qcow2", "-c -O qcow2"},
        Case{"old.qcow2", "-O qcow2 -o compat=0.10"}, Case{"extended.qcow2", "-O qcow2 -o extended_l2=on"},
        Case{"sparse.vmdk", "-O vmdk"}, Case{"stream.vmdk", "-O vmdk -o subformat=streamOptimized"},
        Case{"disk.vdi", "-O vdi"}, Case{"disk.vhdx", "-O vhdx"}}) {
    paths.push_back(directory_ / each.name);
    must(fmt::format("qemu-img convert -f raw {} {} {}", each.options, raw, paths.back()));
  }
  run([&](sys::Runtime& runtime, Repository& images) -> sys::Task<void> {
    for (const auto& path : paths) {
      auto source = source_of(runtime.files, path);
      GODWIT_CO_ASSERT_OK(source);
      auto id = co_await import_image(runtime, images, *source, as_us());
      if (!id) ADD_FAILURE() << path << ": " << id.error().message;
    }
    EXPECT_EQ(images.list().size(), 1U) << "one content, one image";
    const auto lease = images.open(images.list().front().id, "the test");
    GODWIT_CO_ASSERT_OK(lease);
    EXPECT_EQ(content_of((*lease)->path(Role::disk)), content_of(raw));
    EXPECT_LT((*lease)->used_bytes(), 3UL << 20U) << "holes take no space";
    const auto left = runtime.files.list(images.directory());
    EXPECT_EQ(left->size(), 1U) << "nothing is left of conversions";
  });
}

TEST_F(RealImport, AFileThatNamesOthersIsRefused) {
  ::chmod(directory_.path().c_str(), 0711);
  const auto raw = make_raw();
  must(fmt::format("cd {} && qemu-img create -q -f qcow2 -b made.raw -F raw backed.qcow2", directory_.path()));
  must(fmt::format("cd {} && qemu-img create -q -f qcow2 -o data_file=made.data data.qcow2 9M", directory_.path()));
  must(fmt::format("cd {} && qemu-img create -q -f vmdk -o subformat=monolithicFlat flat.vmdk 9M", directory_.path()));
  run([&](sys::Runtime& runtime, Repository& images) -> sys::Task<void> {
    for (const auto* const name : {"backed.qcow2", "data.qcow2"}) {
      ImportSource source{{{Role::disk, directory_ / name, {}}}, {}};
      const auto id = co_await import_image(runtime, images, std::move(source), as_us());
      EXPECT_TRUE(!id && id.error().code == Errc::unsupported) << name;
    }
    // Its text is what a raw disk of that name would hold: no file of a disk that it names is opened.
    ImportSource flat{{{Role::disk, directory_ / "flat.vmdk", "vmdk"}}, {}};
    const auto id = co_await import_image(runtime, images, std::move(flat), as_us());
    EXPECT_FALSE(id);
    EXPECT_TRUE(images.list().empty());
  });
}

TEST_F(RealImport, AnExportedDiskIsTheImportedOne) {
  ::chmod(directory_.path().c_str(), 0711);
  const auto raw = make_raw();
  run([&](sys::Runtime& runtime, Repository& images) -> sys::Task<void> {
    ImportSource source{{{Role::disk, raw, {}}}, {}};
    const auto id = co_await import_image(runtime, images, std::move(source), as_us());
    GODWIT_CO_ASSERT_OK(id);
    const auto lease = images.open(*id, "the test");
    GODWIT_CO_ASSERT_OK(lease);
    for (const std::string format : {"raw", "qcow2"}) {
      const auto to = directory_ / ("exported." + format);
      const auto exported = co_await export_file(runtime, *lease, Role::disk, to, format);
      GODWIT_CO_ASSERT_OK(exported);
      const auto again = co_await export_file(runtime, *lease, Role::disk, to, format);
      EXPECT_FALSE(again) << "nothing is written over";
    }
    EXPECT_EQ(content_of(directory_ / "exported.raw"), content_of(raw));
    must(fmt::format("qemu-img compare -q -f raw -F qcow2 {} {}", raw, directory_ / "exported.qcow2"));
    const auto kernel = co_await export_file(runtime, *lease, Role::kernel, directory_ / "kernel", "raw");
    EXPECT_FALSE(kernel);
  });
}

TEST_F(RealImport, WhatABuildMadeIsAnImageWithItsKernel) {
  const auto built = directory_ / "built";
  std::filesystem::create_directory(built);
  must(fmt::format("qemu-img convert -f raw -O qcow2 {} {}/disk.qcow2", make_raw(), built));
  std::ofstream(built + "/vmlinuz") << std::string(100'000, 'k');
  std::ofstream(built + "/initrd") << "initrd";
  std::ofstream(built + "/manifest.json") << R"({"name":"x","format":"qcow2","disk":"disk.qcow2","kernel":"vmlinuz",)"
                                          << R"("initrd":"initrd","cmdline":"console=ttyS0","sha256":"0"})";
  run([&](sys::Runtime& runtime, Repository& images) -> sys::Task<void> {
    auto source = source_of(runtime.files, built);
    GODWIT_CO_ASSERT_OK(source);
    const auto id = co_await import_image(runtime, images, *source, as_us());
    GODWIT_CO_ASSERT_OK(id);
    const auto status = images.find(*id);
    EXPECT_EQ(status->manifest.files.size(), 3U);
    EXPECT_EQ(status->manifest.cmdline, "console=ttyS0");
    const auto lease = images.open(*id, "the test");
    EXPECT_EQ(content_of((*lease)->path(Role::kernel)), std::string(100'000, 'k'));
  });
}

}  // namespace
}  // namespace godwit::image
