// `godwit image-store`: a directory of images by content on this machine, with no process of a cloud.
#include "apps/command.h"
#include "apps/system_terminal.h"
#include "cli/exit_code.h"
#include "cli/table.h"
#include "cli/text.h"
#include "image/audit.h"
#include "image/export.h"
#include "image/import.h"
#include "os/system.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <memory>

namespace godwit::apps {
namespace {

struct Wish {
  std::string directory{"/var/lib/godwit/images"};
  std::uint64_t limit_gib{1ULL << 20U};
  std::string what;  // an image, or what becomes one
  std::string to;
  std::string format;
};

using Command = sys::Task<Result<>> (*)(sys::Runtime&, image::Repository&, Wish, cli::Terminal&);

std::string state_of(const image::ImageStatus& status) {
  if (!status.has_list) return "begun";
  if (status.missing == 0) return "whole";
  return fmt::format("{:.1f}%",
                     100.0 * static_cast<double>(status.pieces - status.missing) / static_cast<double>(status.pieces));
}

std::function<void(std::uint64_t, std::uint64_t)> progress_on(cli::LiveLines& lines) {
  return [&lines, last = 101ULL](std::uint64_t done, std::uint64_t all) mutable {
    constexpr std::size_t kBar = 40;
    const auto percent = all == 0 ? 100 : done * 100 / all;
    if (percent == last || !lines.shown()) return;
    last = percent;
    lines.draw({fmt::format("{} {} %", cli::bar_text(static_cast<double>(percent) / 100, kBar), percent)});
  };
}

sys::Task<Result<>> add(sys::Runtime& runtime, image::Repository& images, Wish wish, cli::Terminal& terminal) {
  auto source = image::source_of(runtime.files, wish.what);
  if (!source) co_return pass(source);
  if (!wish.format.empty()) source->files.front().format = wish.format;
  image::ImportOptions options;
  cli::LiveLines lines(terminal);
  options.progress = progress_on(lines);
  const auto id = co_await image::import_image(runtime, images, std::move(*source), std::move(options));
  lines.clear();
  if (!id) co_return pass(id);
  terminal.out(image::ami_of(*id) + "\n");
  co_return Result<>{};
}

sys::Task<Result<>> list(sys::Runtime&, image::Repository& images, Wish, cli::Terminal& terminal) {
  cli::Table table({{"IMAGE"}, {"STATE"}, {"DISK", cli::Align::right}, {"STORED", cli::Align::right}, {"USED BY"}});
  for (const auto& each : images.list()) {
    const auto* const disk = image::file_of(each.manifest, image::Role::disk);
    table.add({image::ami_of(each.id), state_of(each), disk ? cli::bytes_text(disk->bytes) : "-",
               cli::bytes_text(each.need_bytes), each.users.empty() ? "-" : each.users.front()});
  }
  terminal.out(table.text());
  co_return Result<>{};
}

sys::Task<Result<>> show(sys::Runtime&, image::Repository& images, Wish wish, cli::Terminal& terminal) {
  const auto id = images.resolve(wish.what);
  if (!id) co_return pass(id);
  const auto status = images.find(*id);
  terminal.out(fmt::format("image    {}\nid       {}\nstate    {}\nstored   {}\n", image::ami_of(*id), *id,
                           state_of(*status), cli::bytes_text(status->need_bytes)));
  for (const auto& file : status->manifest.files) {
    terminal.out(fmt::format("{:<8} {}, root {}\n", to_string(file.role), cli::bytes_text(file.bytes), file.root));
  }
  terminal.out(fmt::format("cmdline  {}\n", status->manifest.cmdline));
  for (const auto& user : status->users) terminal.out(fmt::format("used by  {}\n", cli::printable(user)));
  co_return Result<>{};
}

sys::Task<Result<>> export_disk(sys::Runtime& runtime, image::Repository& images, Wish wish, cli::Terminal&) {
  const auto id = images.resolve(wish.what);
  if (!id) co_return pass(id);
  const auto lease = images.open(*id, "image-store export");
  if (!lease) co_return pass(lease);
  auto format = wish.format.empty() ? std::string("raw") : wish.format;
  auto done = co_await image::export_file(runtime, *lease, image::Role::disk, wish.to, std::move(format));
  co_return done;
}

sys::Task<Result<>> check(sys::Runtime& runtime, image::Repository& images, Wish wish, cli::Terminal& terminal) {
  const auto id = images.resolve(wish.what);
  if (!id) co_return pass(id);
  const auto lease = images.open(*id, "image-store check");
  if (!lease) co_return pass(lease);
  cli::LiveLines lines(terminal);
  const auto report = co_await image::audit(runtime, images, *lease, progress_on(lines));
  lines.clear();
  if (!report) co_return pass(report);
  terminal.out(fmt::format("{}: {} pieces; {} bad, {} of zeros cleared, {} found again, {} missing\n",
                           image::ami_of(*id), report->pieces, report->bad.size(), report->cleared, report->found,
                           report->missing));
  if (report->bad.empty() && report->missing == 0) co_return Result<>{};
  co_return fail(Errc::not_authentic, "image {}: {} pieces are not here as they should be (add it again)",
                 image::ami_of(*id), report->missing);
}

sys::Task<Result<>> remove(sys::Runtime&, image::Repository& images, Wish wish, cli::Terminal&) {
  const auto id = images.resolve(wish.what);
  if (!id) co_return pass(id);
  co_return images.remove(*id);
}

int run(const Wish& wish, Command command) {
  os::System system({.log_level = LogLevel::warn, .component = "image-store"});
  return system.run([&](os::System& on) -> sys::Task<int> {
    SystemTerminal terminal;
    auto runtime = on.runtime();
    image::Repository images(runtime, std::filesystem::absolute(wish.directory).lexically_normal().string(),
                             {.bytes = wish.limit_gib << 30U});
    Result<> done = images.start();
    if (done) {
      auto asked = wish;
      for (auto* const path : {&asked.what, &asked.to}) {
        if (path->find('/') != std::string::npos || std::filesystem::exists(*path)) {
          *path = std::filesystem::absolute(*path).lexically_normal().string();
        }
      }
      if (!asked.to.empty()) asked.to = std::filesystem::absolute(asked.to).lexically_normal().string();
      done = co_await command(runtime, images, std::move(asked), terminal);
    }
    co_await images.stop();
    if (done) co_return 0;
    terminal.err(fmt::format("godwit image-store: {}\n", done.error().message));
    co_return cli::exit_code_of(done.error().code);
  });
}

}  // namespace

void add_image_store_command(CLI::App& app, int& exit_code) {
  const auto wish = std::make_shared<Wish>();
  auto* noun = app.add_subcommand("image-store", "Images by content in a directory of this machine");
  noun->require_subcommand(1);
  noun->add_option("--directory", wish->directory, "where they are")->capture_default_str();
  noun->add_option("--limit-gib", wish->limit_gib, "of all images together")->capture_default_str();
  const auto verb = [&](const char* name, const char* text, Command command) {
    auto* added = noun->add_subcommand(name, text);
    added->callback([wish, command, &exit_code] { exit_code = run(*wish, command); });
    return added;
  };
  auto* adding = verb("add", "Add a disk (raw, qcow2, vmdk, vdi, vhdx, vpc), or a directory that a build made", add);
  adding->add_option("PATH", wish->what)->required();
  adding->add_option("--format", wish->format, "of the disk; by how it begins otherwise");
  (void)verb("list", "Show what is there", list);
  verb("show", "Show one image", show)->add_option("IMAGE", wish->what)->required();
  auto* exporting = verb("export", "Write an image's disk to a file", export_disk);
  exporting->add_option("IMAGE", wish->what)->required();
  exporting->add_option("FILE", wish->to)->required();
  exporting->add_option("--format", wish->format, "raw or qcow2; raw otherwise");
  verb("check", "Compare every piece of an image with its digest", check)->add_option("IMAGE", wish->what)->required();
  verb("rm", "Remove an image that nobody uses", remove)->add_option("IMAGE", wish->what)->required();
  noun->footer(
      "Examples:\n  godwit image-store --directory DIR add debian-12.qcow2\n  godwit image-store list\n"
      "  godwit image-store export ami-0123456789abcdef0 disk.qcow2 --format qcow2\n"
      "  godwit image-store check ami-0123456789abcdef0");
}

}  // namespace godwit::apps
