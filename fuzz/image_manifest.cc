// manifest.json of an image that somebody else built, and the overlays on it.
// Input: size of the overlay in 512-byte sectors (two bytes), and the manifest.
#include "image/qcow2.h"
#include "image/store.h"
#include "support/input.h"
#include "support/one_host.h"

namespace {

using namespace godwit;

constexpr const char* kDirectory = "/images/one";

bool inside(const std::string& path) {
  const auto name = std::string_view(path).substr(std::string_view(kDirectory).size() + 1);
  return path.starts_with(kDirectory) && name.find('/') == std::string_view::npos && name != "..";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto sectors = static_cast<std::uint64_t>(input.byte()) << 8U | input.byte();
  fuzz::OneHost host;
  auto& files = host.files();
  GODWIT_ASSERT(files.make_directories(kDirectory, 0755, 0));
  GODWIT_ASSERT(files.make_directories("/instances/i-1", 0755, 0));
  for (const auto* name : {"disk.qcow2", "vmlinuz", "initrd.img"}) {
    GODWIT_ASSERT(files.write_atomic(fmt::format("{}/{}", kDirectory, name), "content", 0644));
  }
  GODWIT_ASSERT(files.write_atomic(fmt::format("{}/manifest.json", kDirectory), input.text(), 0644));

  image::Store store(host.runtime());
  const auto image = store.open(kDirectory, "abc");
  if (!image) return 0;
  for (const auto* path : {&image->disk_path, &image->kernel_path, &image->initrd_path}) {
    GODWIT_ASSERT(path->empty() || inside(*path));
  }
  const auto made = store.create_overlay(*image, "/instances/i-1/disk.qcow2", sectors * 512, 1000);
  if (made) GODWIT_ASSERT(files.exists("/instances/i-1/disk.qcow2"));
  return 0;
}
