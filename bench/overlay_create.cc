// The disk of a new instance, made as the agent makes it (image::Store on the real file system), again and again.
// Usage: overlay_create IMAGE_DIRECTORY SCRATCH_DIRECTORY UID COUNT; one time in ms a line. bench_overlay_create runs
// it.
#include "image/store.h"
#include "os/system.h"

#include <chrono>
#include <cstdlib>
#include <iostream>

namespace godwit {
namespace {

constexpr std::size_t kManifestLimit_bytes = 65'536;

struct Wish {
  std::string image;
  std::string scratch;
  unsigned uid{0};
  int count{0};
};

// As agent::Instance::launch(): the image is looked at each time.
Result<double> create_one(image::Store& store, const Wish& wish, const std::string& sha256, const std::string& path) {
  const auto began = std::chrono::steady_clock::now();
  const auto image = store.open(wish.image, sha256);
  if (!image) return pass(image);
  const auto made = store.create_overlay(*image, path, 0, wish.uid);
  if (!made) return pass(made);
  return to_ms(std::chrono::steady_clock::now() - began);
}

// Each instance has a directory of its own, as on a host.
Result<> create_all(sys::Runtime runtime, const Wish& wish) {
  const auto text = runtime.files.read(wish.image + "/manifest.json", kManifestLimit_bytes);
  if (!text) return pass(text);
  const auto manifest = wire::decode<image::Recipe>(*text);
  if (!manifest) return pass(manifest);
  image::Store store(runtime);
  for (int number = 0; number < wish.count; ++number) {
    const auto directory = fmt::format("{}/{}", wish.scratch, number);
    const auto there = runtime.files.make_directories(directory, 0700, wish.uid);
    if (!there) return there;
    const auto took_ms = create_one(store, wish, manifest->sha256, directory + "/disk.qcow2");
    if (!took_ms) return pass(took_ms);
    fmt::print("{:.3f}\n", *took_ms);
  }
  return {};
}

}  // namespace
}  // namespace godwit

int main(int count, char** words) {
  if (count != 5) {
    std::cerr << "usage: overlay_create IMAGE_DIRECTORY SCRATCH_DIRECTORY UID COUNT\n";
    return 2;
  }
  const godwit::Wish wish{words[1], words[2], static_cast<unsigned>(std::atoi(words[3])), std::atoi(words[4])};
  godwit::os::System system({.log_level = godwit::LogLevel::warn, .component = "overlay_create"});
  return system.run([&](godwit::os::System& on) -> godwit::sys::Task<int> {
    const auto made = godwit::create_all(on.runtime(), wish);
    if (!made) std::cerr << "overlay_create: " << made.error().message << "\n";
    co_return made ? 0 : 1;
  });
}
