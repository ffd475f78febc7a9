// What of an image travels to a store that has a sibling of it, and what of that store's disk it takes: image::ship()
// and image::Intake with real repositories, and no wire between them. bench_image_sibling and tests/e2e/reflinks.py run
// it.
//   image_sibling DIRECTORY OLD NEW     images as `godwit image add` takes them; says what was counted, as JSON
#include "image/import.h"
#include "image/intake.h"
#include "image/shared_blocks.h"
#include "image/shipment.h"
#include "os/descriptor.h"
#include "os/system.h"
#include "support/intake_line.h"
#include "support/uploads_in_memory.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zstd.h>

#include <iostream>
#include <memory>

namespace godwit {
namespace {

constexpr Millis kLook{20};
constexpr int kOfTheMeasure = 3;  // zstd's level that all is compared with

struct Counted {
  std::uint64_t solid_bytes{0};       // of NEW: pieces that hold anything
  std::uint64_t zstd_bytes{0};        // of all of NEW, as `zstd -3` makes it
  std::uint64_t alone_bytes{0};       // that travel to an empty store
  std::uint64_t beside_bytes{0};      // to one that has OLD
  std::uint64_t disk_alone_bytes{0};  // by which either of them grows, where nobody else writes to the file system
  std::uint64_t disk_beside_bytes{0};
};
BOOST_DESCRIBE_STRUCT(Counted, (),
                      (solid_bytes, zstd_bytes, alone_bytes, beside_bytes, disk_alone_bytes, disk_beside_bytes))

// Of the file system that has `directory`, when all that was written to it is there.
std::uint64_t used_at(const std::string& directory) {
  const os::Descriptor open(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct statvfs now{};
  if (!open || ::syncfs(open.get()) != 0 || ::fstatvfs(open.get(), &now) != 0) return 0;
  return (now.f_blocks - now.f_bfree) * now.f_frsize;
}

std::uint64_t grown(std::uint64_t before, std::uint64_t now) { return now > before ? now - before : 0; }

std::uint64_t zstd_of(image::Pieces& image) {
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kOfTheMeasure);
  ByteVector piece(image::kPiece_bytes);
  ByteVector out(ZSTD_CStreamOutSize());
  std::uint64_t bytes = 0;
  for (std::uint64_t number = 0; number < image.count(); ++number) {
    if (!image.read(number, piece)) return 0;
    ZSTD_inBuffer in{piece.data(), piece.size(), 0};
    const bool last = number + 1 == image.count();
    for (bool more = true; more;) {
      ZSTD_outBuffer to{out.data(), out.size(), 0};
      const auto left = ZSTD_compressStream2(context.get(), &to, &in, last ? ZSTD_e_end : ZSTD_e_continue);
      bytes += to.pos;
      more = last ? left != 0 : in.pos < in.size;
    }
  }
  return bytes;
}

sys::Task<Result<image::Lease>> taken_in(sys::Runtime& runtime, image::Repository& into, std::string path) {
  auto source = image::source_of(runtime.files, path);
  if (!source) co_return pass(source);
  image::ImportOptions options;
  auto import = image::import_image(runtime, into, std::move(*source), std::move(options));
  const auto id = co_await std::move(import);
  if (!id) co_return pass(id);
  co_return into.open(*id, "the bench");
}

sys::Task<Result<std::uint64_t>> travels(sys::Runtime& runtime, image::Repository& from, image::StoredImage& image,
                                         image::Repository& into) {
  testing::UploadsInMemory uploads;
  image::Intake intake(into, uploads);
  image::IntakeCaller everybody{"bench", {}};
  testing::IntakeLine line(intake, everybody);
  line.remembers = false;
  wire::ImageOffer offer{image::print_manifest(image.manifest()), ""};
  std::function<void(const image::ShipmentProgress&)> on_progress = [](const image::ShipmentProgress&) {};
  auto looking = image::siblings_of(runtime.executor, from, image.id(), image);
  auto siblings = co_await std::move(looking);
  auto shipment =
      image::ship(runtime.executor, image, std::move(offer), line, std::move(on_progress), std::move(siblings));
  const auto shipped = co_await std::move(shipment);
  if (!shipped) co_return pass(shipped);
  co_return line.bytes;
}

sys::Task<Result<Counted>> count(os::System& on, std::string directory, std::string old_path, std::string new_path) {
  auto runtime = on.runtime();
  const image::RepositoryLimits limits{.keep_free_bytes = 0};
  image::Repository here(runtime, directory + "/here", limits);
  image::Repository empty(runtime, directory + "/empty", limits);
  image::Repository there(runtime, directory + "/there", limits);
  for (auto* each : {&here, &empty, &there}) {
    const auto started = each->start();
    if (!started) co_return pass(started);
  }
  Counted counted;
  {
    const auto sibling = co_await taken_in(runtime, there, old_path);
    if (!sibling) co_return pass(sibling);
    const auto at_home = co_await taken_in(runtime, here, old_path);
    if (!at_home) co_return pass(at_home);
    const auto image = co_await taken_in(runtime, here, new_path);
    if (!image) co_return pass(image);
    while (here.is_sharing()) co_await runtime.clock.sleep_for(kLook);
    counted.solid_bytes = (*image)->solid() * image::kPiece_bytes;
    counted.zstd_bytes = zstd_of(**image);
    const auto before = used_at(directory);
    const auto alone = co_await travels(runtime, here, **image, empty);
    if (!alone) co_return pass(alone);
    counted.alone_bytes = *alone;
    const auto between = used_at(directory);
    counted.disk_alone_bytes = grown(before, between);
    const auto beside = co_await travels(runtime, here, **image, there);
    if (!beside) co_return pass(beside);
    counted.beside_bytes = *beside;
    while (there.is_sharing()) co_await runtime.clock.sleep_for(kLook);
    counted.disk_beside_bytes = grown(between, used_at(directory));
  }
  for (auto* each : {&here, &empty, &there}) co_await each->stop();
  co_return counted;
}

sys::Task<int> run(os::System& on, std::vector<std::string> words) {
  const auto counted = co_await count(on, words[0], words[1], words[2]);
  if (!counted) {
    std::cerr << "image_sibling: " << counted.error().message << "\n";
    co_return 1;
  }
  std::cout << wire::encode(*counted) << "\n";
  co_return 0;
}

}  // namespace
}  // namespace godwit

int main(int count, char** words) {
  if (count != 4) {
    std::cerr << "usage: image_sibling DIRECTORY OLD NEW\n";
    return 2;
  }
  godwit::os::System system({.log_level = godwit::LogLevel::warn, .component = "image_sibling"});
  return system.run([&](godwit::os::System& on) { return godwit::run(on, {words + 1, words + count}); });
}
