// What recorded migration streams of QEMU shrink to, one after the other as a gang would send them, and how fast: bytes
// of the stream a second of the processor's time.
// Usage: shrink_streams [--image FILE] [--level N] [--no-similar] [--json] STREAM…
#include "image/volume.h"
#include "migrate/batch_decoder.h"
#include "migrate/batch_encoder.h"
#include "os/page_files.h"
#include "wire/memory_reader.h"

#include <fmt/format.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>

namespace {

using namespace godwit;

struct Options {
  std::vector<std::string> images;
  std::vector<std::string> streams;
  int level{3};
  bool similar{true};
  bool look{true};
  bool backwards{false};
  bool json{false};
};

// Of the processor, which others use too.
double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}
double seconds_since(double then) { return cpu_seconds() - then; }

ByteVector contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  ByteVector bytes(std::filesystem::file_size(path));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

// One end.
struct End {
  explicit End(sys::PageFiles& files, const std::string& directory)
      : store(files, directory, content::StoreLimits{}), rapport(std::make_shared<migrate::Rapport>()) {
    rapport->domain = store.domain("bench");
  }
  content::Store store;
  std::shared_ptr<migrate::Rapport> rapport;
};

struct Figures {
  std::size_t in{0};
  std::size_t out{0};
  double encode_s{0};
  double decode_s{0};
};

Result<Figures> carry(End& from, End& to, std::shared_ptr<content::Library::Volume> image, ByteView stream,
                      const Options& options, wire::Savings& savings) {
  migrate::Departure departure{from.store, from.rapport, image, {}, {}};
  migrate::Arrivals arrivals{to.store, to.rapport, image};
  const auto connection = ++from.rapport->last_connection;
  migrate::BatchEncoder encoder(departure, connection);
  migrate::BatchDecoder decoder(arrivals, connection);
  encoder.may_refer_to_others(true);
  const auto reader = wire::read_memory();
  Figures figures;
  std::vector<wire::Stretch> stretches;
  std::size_t fed = 0;
  std::size_t taken = 0;
  while (taken < stream.size()) {
    const auto began = cpu_seconds();
    const auto part = std::min<std::size_t>(2 * migrate::kBatchBytes - (fed - taken), stream.size() - fed);
    reader->feed(stream.subspan(fed, part), stretches);
    fed += part;
    const auto encoded =
        encoder.encode(stream.subspan(taken, fed - taken), stretches, {options.look, options.similar, options.level});
    figures.encode_s += seconds_since(began);
    if (!encoded) return pass(encoded);
    const auto decoding = cpu_seconds();
    const auto number = decoder.next();
    const auto decoded = decoder.decode(encoded->frame);
    figures.decode_s += seconds_since(decoding);
    if (!decoded) return pass(decoded);
    if (!std::ranges::equal(*decoded, stream.subspan(taken, encoded->taken_bytes))) {
      return fail(Errc::internal, "byte {} came out as another", taken);
    }
    encoder.acknowledged(number);
    stretches.erase(stretches.begin(), stretches.begin() + static_cast<std::ptrdiff_t>(encoded->taken_stretches));
    if (encoded->taken_stretches == 0) stretches.front().size_bytes -= static_cast<std::uint32_t>(encoded->taken_bytes);
    taken += encoded->taken_bytes;
    figures.out += encoded->frame.size();
  }
  figures.in = stream.size();
  savings = departure.savings;
  return figures;
}

std::string megabytes(std::uint64_t bytes) { return fmt::format("{:.1f}", static_cast<double>(bytes) / 1e6); }

int run(const Options& options) {
  os::SystemPageFiles files;
  const auto scratch = std::filesystem::temp_directory_path() / fmt::format("shrink-{}", ::getpid());
  End source(files, scratch / "source");
  End destination(files, scratch / "destination");
  std::shared_ptr<content::Library::Volume> image;
  content::Library library([&](const std::string&) -> Result<std::unique_ptr<content::Blocks>> {
    std::vector<image::VolumeFile> parts;
    for (const auto& path : options.images) parts.push_back({path, path.ends_with(".qcow2") ? "qcow2" : "raw"});
    auto volume = image::open_volume(files, parts, scratch / "source");
    if (!volume) throw std::runtime_error(volume.error().message);
    return volume;
  });
  if (!options.images.empty()) {
    image = library.find("all");
    const auto began = cpu_seconds();
    while (image->index->advance(65536).value_or(false)) {
    }
    if (!options.json)
      fmt::print("image: indexed in {:.2f} s, {} MB of memory\n", seconds_since(began),
                 megabytes(image->index->bytes()));
  }
  if (!options.json)
    fmt::print("{:<28} {:>8} {:>8} {:>7} {:>9} {:>9}   {}\n", "stream", "MB in", "MB out", "ratio", "enc MB/s",
               "dec MB/s", "MB as zero, image, sibling, earlier, similar, compressed, literal, other");
  Figures all;
  bool back = false;
  for (const auto& path : options.streams) {
    const auto stream = contents(path);
    wire::Savings savings;
    const auto figures =
        carry(back ? destination : source, back ? source : destination, image, stream, options, savings);
    if (!figures) throw std::runtime_error(path + ": " + figures.error().message);
    back = options.backwards && !back;
    all.in += figures->in;
    all.out += figures->out;
    all.encode_s += figures->encode_s;
    all.decode_s += figures->decode_s;
    if (options.json) continue;
    fmt::print("{:<28} {:>8} {:>8} {:>7.1f} {:>9.0f} {:>9.0f}   {}, {}, {}, {}, {}, {}, {}, {}\n",
               std::filesystem::path(path).filename().string(), megabytes(figures->in), megabytes(figures->out),
               static_cast<double>(figures->in) / static_cast<double>(figures->out),
               static_cast<double>(figures->in) / 1e6 / figures->encode_s,
               static_cast<double>(figures->in) / 1e6 / figures->decode_s, megabytes(savings.zero),
               megabytes(savings.image), megabytes(savings.sibling), megabytes(savings.earlier),
               megabytes(savings.similar), megabytes(savings.compressed), megabytes(savings.literal),
               megabytes(savings.other));
  }
  const auto in = static_cast<double>(all.in);
  const auto use = source.store.use();
  if (options.json) {
    fmt::print(R"({{"in_bytes": {}, "out_bytes": {}, "encode_s": {:.3f}, "decode_s": {:.3f}}})"
               "\n",
               all.in, all.out, all.encode_s, all.decode_s);
  } else {
    fmt::print("{:<28} {:>8} {:>8} {:>7.1f} {:>9.0f} {:>9.0f}\n", "all", megabytes(all.in), megabytes(all.out),
               in / static_cast<double>(all.out), in / 1e6 / all.encode_s, in / 1e6 / all.decode_s);
    fmt::print("store: {} pages, {} MB on disk, {:.1f} bytes of index a page\n", use.pages, megabytes(use.disk_bytes),
               use.pages == 0 ? 0.0 : static_cast<double>(use.index_bytes) / static_cast<double>(use.pages));
  }
  std::filesystem::remove_all(scratch);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("What recorded migration streams of QEMU shrink to, and how fast");
  app.add_option("--image", options.images, "a file that both ends hold: an image (.qcow2), a kernel; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--level", options.level, "zstd's; 0: not compressed");
  app.add_flag("!--no-similar", options.similar, "compress against nothing but the batch itself");
  app.add_flag("!--no-look", options.look, "look for nothing that is held at both ends");
  app.add_flag("--back", options.backwards, "every second stream goes the other way");
  app.add_flag("--json", options.json, "only the sums, for a program");
  app.add_option("streams", options.streams, "streams, in order")->required();
  CLI11_PARSE(app, argc, argv);
  try {
    return run(options);
  } catch (const std::exception& failure) {
    fmt::print(stderr, "shrink_streams: {}\n", failure.what());
    return 1;
  }
}
