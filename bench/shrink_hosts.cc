// What recorded migration streams of QEMU shrink to between clouds of several hosts: the agents' own encodings and
// content directories in simulated time, 100 Mbit/s and 40 ms between the clouds. The streams move one after the other,
// number k from source host k modulo SOURCES to destination host k modulo DESTINATIONS.
// Usage: shrink_hosts [--image FILE]… [--sources N] [--destinations N] [--scanned] STREAM…
#include "image/volume.h"
#include "migrate/shrink_encoding.h"
#include "migrate/shrink_frames.h"
#include "os/page_files.h"
#include "siblings/directory.h"
#include "sim/host.h"
#include "sim/network.h"
#include "wire/memory_reader.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>

namespace {

using namespace godwit;

const std::string kTenant = "bench";
constexpr std::uint16_t kMigrations = 7402;
constexpr std::uint16_t kDirectory = 7403;

struct Options {
  std::vector<std::string> images;
  std::vector<std::string> streams;
  int sources{2};
  int destinations{2};
  bool scanned{false};
  int link_mbit{100};
};

// What hosts know of their clouds' content: nothing, equal pages, or pages that are alike, too.
enum class Knows : std::uint8_t { nothing, equal, alike };

ByteVector contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  ByteVector bytes(std::filesystem::file_size(path));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

// QEMU at the source: says the stream as fast as it is taken.
class Saying final : public sys::Stream {
 public:
  explicit Saying(ByteView stream) : rest_(stream) {}
  sys::Task<Result<std::size_t>> read_some(ByteSpan into) override {
    if (rest_.empty()) co_return fail(Errc::closed, "the end");
    const auto size = std::min(into.size(), rest_.size());
    std::copy_n(rest_.begin(), size, into.begin());
    rest_ = rest_.subspan(size);
    co_return size;
  }
  sys::Task<Result<>> write(ByteView) override { co_return Result<>{}; }
  sys::Task<Result<>> shutdown_write() override { co_return Result<>{}; }
  void close() override {}

 private:
  ByteView rest_;
};

// QEMU at the destination: takes the stream, and says nothing.
class Hearing final : public sys::Stream {
 public:
  Hearing(ByteView expected, bool& right) : rest_(expected), right_(right) {}
  sys::Task<Result<std::size_t>> read_some(ByteSpan) override { co_return fail(Errc::closed, "the end"); }
  sys::Task<Result<>> write(ByteView bytes) override {
    const bool same = bytes.size() <= rest_.size() && std::equal(bytes.begin(), bytes.end(), rest_.begin());
    if (!same) co_return fail(Errc::internal, "other bytes than were said");
    rest_ = rest_.subspan(bytes.size());
    right_ = rest_.empty();
    co_return Result<>{};
  }
  sys::Task<Result<>> shutdown_write() override { co_return Result<>{}; }
  void close() override {}

 private:
  ByteView rest_;
  bool& right_;
};

class Agent final : public sim::Program {
 public:
  Agent(sim::Process& process, const std::string& cloud, content::Library& images, Knows knows)
      : process_(process),
        store(process.runtime().page_files, "/content", {}),
        directory(process.runtime(), store, {cloud, process.identity().name}, [] {}),
        encoding(process.runtime(), store, images, knows == Knows::nothing ? nullptr : &directory) {
    auto& peers = process.runtime().peers;
    peers.trust({sim::authority("west", "west"), sim::authority("east", "east")});
    listener_ = peers.listen(process.host().ip(), kMigrations).value();
    directory.start(peers.listen(process.host().ip(), kDirectory).value());
  }

  struct Moved {
    bool left{false};
    bool right{false};
    std::string error;
    wire::Savings savings;
  };
  void send(ByteView stream, migrate::TransferSpec spec, const std::string& ip, Moved& moved) {
    process_.spawn(leave(*this, stream, std::move(spec), ip, moved));
  }
  void receive(ByteView stream, migrate::TransferSpec spec, Moved& moved) {
    process_.spawn(arrive(*this, stream, std::move(spec), moved));
  }

 private:
  static sys::Task<void> leave(Agent& at, ByteView stream, migrate::TransferSpec spec, std::string ip, Moved& moved) {
    sys::PeerAddress address{ip, kMigrations, spec.peer};
    auto wan = co_await at.process_.runtime().peers.dial(std::move(address));
    if (!wan) {
      moved.error = wan.error().message;
      co_return;
    }
    const auto transfer = at.encoding.leave(std::move(spec));
    auto saying = std::make_unique<Saying>(stream);
    const auto done = co_await transfer->carry(migrate::Channel::memory, std::move(saying), std::move(*wan));
    if (!done) moved.error = done.error().message;
    moved.savings = transfer->savings();
    moved.left = true;
  }
  static sys::Task<void> arrive(Agent& at, ByteView stream, migrate::TransferSpec spec, Moved& moved) {
    auto wan = co_await at.listener_->accept();
    if (!wan) co_return;
    const auto transfer = at.encoding.arrive(std::move(spec));
    auto hearing = std::make_unique<Hearing>(stream, moved.right);
    const auto done = co_await transfer->carry(migrate::Channel::memory, std::move(hearing), std::move(*wan));
    if (!done) moved.error = done.error().message;
  }

  sim::Process& process_;
  std::unique_ptr<sys::PeerListener> listener_;

 public:
  content::Store store;
  siblings::Directory directory;
  migrate::ShrinkEncoding encoding;
};

class Clouds final {
 public:
  Clouds(content::Library& images, const Options& options, Knows knows) : knows_(knows) {
    world_.network().set_link("west", "east",
                              {Millis{20}, static_cast<std::uint64_t>(options.link_mbit) * 125'000, 4UL << 20U});
    for (int i = 0; i < options.sources; ++i) west_.push_back(&add("west", i, images));
    for (int i = 0; i < options.destinations; ++i) east_.push_back(&add("east", i, images));
    tell("west", options.sources, west_);
    tell("east", options.destinations, east_);
  }

  struct Row {
    std::uint64_t wan_bytes{0};
    double seconds{0};
    wire::Savings savings;
  };
  Row move(std::size_t number, ByteView stream) {
    auto& from = *west_[number % west_.size()];
    auto& to = *east_[number % east_.size()];
    const auto to_number = static_cast<int>(number % east_.size());
    migrate::TransferSpec spec{kTenant, "all", name("east", to_number), fmt::format("i-{}", number)};
    spec.frames_version = knows_ == Knows::alike ? migrate::kFramesVersion : std::uint8_t{1};
    auto other = spec;
    other.peer = name("west", static_cast<int>(number % west_.size()));
    Agent::Moved moved;
    const auto begun = world_.now();
    const auto before = carried();
    to.receive(stream, other, moved);
    from.send(stream, spec, ip("east", to_number), moved);
    const auto over = [&] { return (moved.left && moved.right) || !moved.error.empty(); };
    if (!world_.run_until(over, std::chrono::hours{1}) || !moved.error.empty()) {
      throw std::runtime_error("a stream did not come: " + moved.error);
    }
    Row row{carried() - before, to_s(world_.now() - begun), moved.savings};
    world_.run_for(Seconds{60});  // the directories tell what is new
    return row;
  }
  // What a scan of the running guest has found before it leaves.
  void scan(std::size_t number, ByteView stream, const content::Library::Volume* image) {
    auto& store = west_[number % west_.size()]->store;
    const auto domain = store.domain(kTenant);
    const auto reader = wire::read_memory();
    std::vector<wire::Stretch> stretches;
    reader->feed(stream, stretches);
    std::size_t at = 0;
    for (const auto& each : stretches) {
      const auto page = stream.subspan(at, each.size_bytes);
      at += each.size_bytes;
      if (!migrate::is_whole_page(each) || std::ranges::all_of(page, [](auto b) { return b == std::byte{0}; }))
        continue;
      const auto fingerprint = content::fingerprint_of(page);
      const bool known =
          (image != nullptr && image->index->find(page, fingerprint, 0)) || store.find(domain, page, fingerprint) != 0;
      if (!known) (void)store.append(domain, page, fingerprint);
    }
    world_.run_for(Seconds{60});
  }

 private:
  static std::string name(const std::string& cloud, int number) { return fmt::format("h{}.{}.godwit", number, cloud); }
  static std::string ip(const std::string& cloud, int number) {
    return fmt::format("10.{}.0.{}", cloud == "west" ? 1 : 2, number + 1);
  }
  Agent& add(const std::string& cloud, int number, content::Library& images) {
    auto& host = world_.add_host(fmt::format("{}{}", cloud, number), cloud, ip(cloud, number));
    auto& process = host.start("agent", {name(cloud, number), cloud},
                               [&](sim::Process& at) { return std::make_unique<Agent>(at, cloud, images, knows_); });
    return dynamic_cast<Agent&>(process.program());
  }
  void tell(const std::string& cloud, int count, const std::vector<Agent*>& hosts) {
    siblings::Surroundings all;
    for (int i = 0; i < count; ++i) {
      const sim::Identity identity{name(cloud, i), cloud};
      all.siblings.push_back({name(cloud, i), ip(cloud, i), kDirectory, identity.key_sha256()});
    }
    siblings::TenantKey key{kTenant, {}, true};
    key.key.fill(cloud == "west" ? std::byte{1} : std::byte{2});
    all.tenants = {key};
    for (auto* each : hosts) each->directory.set(all);
  }
  [[nodiscard]] std::uint64_t carried() {
    return world_.network().carried("west", "east") + world_.network().carried("east", "west");
  }

  Knows knows_;
  sim::World world_{1};
  std::vector<Agent*> west_;
  std::vector<Agent*> east_;
};

double megabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

void run(const Options& options) {
  os::SystemPageFiles files;
  const auto scratch = std::filesystem::temp_directory_path() / fmt::format("shrink-hosts-{}", ::getpid());
  std::filesystem::create_directories(scratch);
  content::Library library([&](const std::string&) -> Result<std::unique_ptr<content::Blocks>> {
    if (options.images.empty()) return fail(Errc::not_found, "no image");
    std::vector<image::VolumeFile> parts;
    for (const auto& path : options.images) parts.push_back({path, path.ends_with(".qcow2") ? "qcow2" : "raw"});
    return image::open_volume(files, parts, scratch);
  });
  const auto image = library.find("all");
  while (image && library.index_more(*image, 65'536)) {
  }
  std::vector<ByteVector> streams;
  for (const auto& path : options.streams) streams.push_back(contents(path));
  fmt::print("{:<9} {:<26} {:>8} {:>8} {:>7} {:>7}   {}\n", "directory", "stream", "MB in", "MB WAN", "ratio", "s",
             "MB as image, sibling, earlier, similar, compressed, literal");
  for (const auto knows : {Knows::nothing, Knows::equal, Knows::alike}) {
    Clouds clouds(library, options, knows);
    const auto* what = knows == Knows::nothing ? "none" : knows == Knows::equal ? "equal" : "alike";
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < streams.size(); ++i) {
      if (options.scanned) clouds.scan(i, streams[i], image.get());
      const auto row = clouds.move(i, streams[i]);
      all += row.wan_bytes;
      const auto& as = row.savings;
      fmt::print("{:<9} {:<26} {:>8.1f} {:>8.2f} {:>7.1f} {:>7.1f}   {:.1f}, {:.1f}, {:.1f}, {:.1f}, {:.1f}, {:.1f}\n",
                 what, std::filesystem::path(options.streams[i]).filename().string(), megabytes(streams[i].size()),
                 megabytes(row.wan_bytes), static_cast<double>(streams[i].size()) / static_cast<double>(row.wan_bytes),
                 row.seconds, megabytes(as.image), megabytes(as.sibling), megabytes(as.earlier), megabytes(as.similar),
                 megabytes(as.compressed), megabytes(as.literal));
    }
    fmt::print("{:<9} {:<26} {:>8} {:>8.2f}\n", what, "all", "", megabytes(all));
  }
  std::filesystem::remove_all(scratch);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("What recorded migration streams of QEMU shrink to between clouds of several hosts");
  app.add_option("--image", options.images, "a file that all hosts hold: an image (.qcow2), a kernel; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--sources", options.sources, "hosts that the streams leave, in turn")->capture_default_str();
  app.add_option("--destinations", options.destinations, "hosts to which they go, in turn")->capture_default_str();
  app.add_option("--mbit", options.link_mbit, "between the clouds, a second")->capture_default_str();
  app.add_flag("--scanned", options.scanned, "what leaves was found by a scan of its running guest before");
  app.add_option("streams", options.streams, "streams, in order")->required();
  CLI11_PARSE(app, argc, argv);
  try {
    run(options);
  } catch (const std::exception& failure) {
    fmt::print(stderr, "shrink_hosts: {}\n", failure.what());
    return 1;
  }
  return 0;
}
