// `godwit tunnel estimate`, also as `godwit tunnel --estimate`: what migrations would save, from guests that run here.
#include "apps/tunnel_estimate.h"

#include "os/clock.h"
#include "os/files.h"
#include "os/page_files.h"

#include <unistd.h>

#include "tunnel/estimate.h"
#include "tunnel/images.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>

namespace godwit::apps {
namespace {

constexpr std::size_t kMapsLimit_bytes = 4UL * 1024 * 1024;
constexpr std::size_t kPidLimit_bytes = 64;
constexpr std::uint64_t kImageBlocksAStep = 65536;
constexpr double kMib = 1024.0 * 1024.0;
constexpr double kLink_bytes_per_s = 100e6 / 8;

struct EstimateOptions {
  std::vector<std::string> guests;
  std::vector<std::string> images;
};

// A directory of this process for the pages, that goes with it.
class Scratch {
 public:
  Scratch() : path_(std::filesystem::temp_directory_path() / fmt::format("godwit-estimate-{}", ::getpid())) {}
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// A pid, a recorded stream, or a domain of libvirt.
Result<tunnel::Estimate> look_at(tunnel::Estimator& estimator, const std::string& guest) {
  os::SystemFiles files;
  os::SystemPageFiles page_files;
  auto pid = guest;
  if (!is_number(guest)) {
    if (guest.find('/') != std::string::npos) {
      const auto file = page_files.open(guest);
      if (!file) return pass(file);
      return estimator.stream(**file);
    }
    const auto text = files.read("/run/libvirt/qemu/" + guest + ".pid", kPidLimit_bytes);
    if (!text) return fail(text, guest + " (a running domain of libvirt, a pid, or a path with a /)");
    pid = text->substr(0, text->find_first_not_of("0123456789"));
  }
  const auto maps = files.read("/proc/" + pid + "/maps", kMapsLimit_bytes);
  if (!maps) return fail(maps, guest);
  const auto ranges = hypervisor::guest_memory(*maps);
  if (!ranges) return fail(ranges, guest);
  const auto memory = page_files.open("/proc/" + pid + "/mem");
  if (!memory) return fail(memory, guest);
  return estimator.memory(**memory, *ranges);
}

void print(const std::string& guest, const tunnel::Estimate& estimate, double seconds) {
  const auto mib = [](std::uint64_t bytes) { return static_cast<double>(bytes) / kMib; };
  const auto link_s = [](std::uint64_t bytes) { return static_cast<double>(bytes) / kLink_bytes_per_s; };
  const auto& as = estimate.savings;
  std::cout << fmt::format(
      "{}\n  QEMU sends {:.1f} MiB, the tunnel {:.1f} MiB: {:.1f} times less; at 100 Mbit/s {:.1f} s instead of {:.1f} "
      "s\n"
      "  of {:.1f} MiB are {:.1f} zeros, {:.1f} in images, {:.1f} equal to other pages of it and {:.1f} of the "
      "others,\n"
      "  {:.1f} like what crossed before, {:.1f} taken off by compression, {:.1f} new (looked at in {:.1f} s)\n",
      guest, mib(estimate.plain_bytes), mib(estimate.crossing_bytes),
      static_cast<double>(estimate.plain_bytes) /
          static_cast<double>(std::max<std::uint64_t>(1, estimate.crossing_bytes)),
      link_s(estimate.crossing_bytes), link_s(estimate.plain_bytes), mib(estimate.looked_at_bytes), mib(as.zero),
      mib(as.image), mib(as.earlier), mib(as.sibling), mib(as.similar), mib(as.compressed), mib(as.literal + as.other),
      seconds);
}

Result<> estimate(const EstimateOptions& options) {
  os::SystemClock clock;
  os::SystemPageFiles page_files;
  const Scratch scratch;
  const auto made = page_files.clear_directory(scratch.path());
  if (!made) return made;
  const auto images = tunnel::Images::open(page_files, options.images);
  if (!images) return pass(images);
  auto library = images->library(scratch.path());
  const auto image = library.find(tunnel::Images::joined(images->digests()));
  if (!options.images.empty() && !image) return fail(Errc::unsupported, "--image: of a form that can't be read here");
  for (bool more = image != nullptr; more;) {
    const auto read = image->index->advance(kImageBlocksAStep);
    if (!read) return fail(read, "--image");
    more = *read;
  }
  content::Store store(page_files, scratch.path() + "/store", {});
  tunnel::Estimator estimator(store, image);
  for (const auto& guest : options.guests) {
    const auto begun = clock.now();
    const auto found = look_at(estimator, guest);
    if (!found) return pass(found);
    print(guest, *found, to_s(clock.now() - begun));
  }
  return {};
}

}  // namespace

void add_tunnel_estimate(CLI::App& parent, int& exit_code) {
  auto options = std::make_shared<EstimateOptions>();
  const auto run = [options, &exit_code] {
    const auto done = estimate(*options);
    if (done) return;
    std::cerr << "godwit tunnel: " << done.error().message << "\n";
    exit_code = 1;
  };
  const std::string guests = "Domains of libvirt, pids of QEMU, or files with QEMU's stream";
  auto* command = parent.add_subcommand("estimate", "What migrations would save, from guests that run here");
  command->add_option("guests", options->guests, guests)->required();
  command->add_option("--image", options->images, "A file that the destination has too");
  command->footer(
      "Example:\n  godwit tunnel estimate web1 web2 --image /var/lib/libvirt/images/debian-12.qcow2\n"
      "Guests are taken in turn, as if they moved together. They run on; their memory is read once, at the speed of a "
      "core.\nIt is one round: what a guest writes while it moves crosses again.");
  command->callback(run);

  // The same, as a flag: whoever tries what a tunnel would bring looks there first.
  auto* flag = parent.add_option("--estimate", options->guests, "The same as estimate, of these guests: " + guests);
  parent.add_option("--image", options->images, "With --estimate: a file that the destination has too")->needs(flag);
  parent.require_subcommand(0, 1);
  // Before any subcommand does its work.
  parent.parse_complete_callback([&parent, flag] {
    if (flag->empty() == parent.get_subcommands().empty()) {
      throw CLI::RequiredError("Either a subcommand or --estimate");
    }
  });
  parent.callback([flag, run] {
    if (!flag->empty()) run();
  });
}

}  // namespace godwit::apps
