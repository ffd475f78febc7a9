#include "cli/commands.h"
#include "cli/image_views.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

namespace godwit::cli {
namespace {

constexpr Millis kLookEvery{250};

std::unexpected<Error> no_name(const std::string& name) {
  return fail(Errc::invalid_argument, "image \"{:.64}\": the name must be {}", name, wire::kImageNameRule);
}

// What hosts say that they hold, and what sky keeps.
sys::Task<Result<>> list(Session& session) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto kept = co_await sky->get<wire::SkyImageList>("/v1/images");
  if (!kept) co_return pass(kept);
  const auto hosts = co_await sky->get<wire::CloudHostsList>("/v1/hosts");
  if (!hosts) co_return pass(hosts);
  if (session.json()) {
    session.print_json(images_json(*kept, *hosts));
  } else {
    session.terminal().out(images_text(*kept, *hosts));
  }
  co_return Result<>{};
}

sys::Task<Result<>> show(Session& session, std::string name) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto image = co_await sky->get<wire::SkyImage>("/v1/images/" + name);
  if (!image) co_return pass(image);
  const auto all = co_await sky->get<wire::SkyImageList>("/v1/images");
  if (!all) co_return pass(all);
  session.print(*image, image_text(*image, other_names(*image, *all)));
  co_return Result<>{};
}

// Looks until sky has done its part. Errors: what keeps it from being taken in. A cloud that can't be reached is waited
// for.
sys::Task<Result<wire::SkyImage>> follow(Session& session, const SkyClient& sky, std::string name) {
  ImageProgress progress(session.terminal(), session.clock());
  for (;;) {
    auto image = co_await sky.get<wire::SkyImage>("/v1/images/" + name);
    if (!image) co_return pass(image);
    if (!session.json()) progress.show(*image);
    if (!image->problem.empty()) co_return fail(Errc::io, "image {}: {}", name, image->problem);
    if (is_settled(*image)) co_return std::move(*image);
    co_await session.clock().sleep_for(kLookEvery);
  }
}

sys::Task<Result<>> push(Session& session, std::string name, wire::PushImage request) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto path = fmt::format("/v1/images/{}/push", name);
  const auto begun = co_await sky->post<wire::SkyImage>(path, request);
  if (!begun) co_return pass(begun);
  const auto image = co_await follow(session, *sky, name);
  if (!image) co_return pass(image);
  session.print(*image, image_text(*image));
  co_return Result<>{};
}

struct AddOptions {
  std::string name;
  std::string path;
  std::vector<std::string> clouds;
};

sys::Task<Result<>> add(Session& session, AddOptions options) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  wire::AddImage request{options.name, session.absolute(options.path)};
  const auto begun = co_await sky->post<wire::SkyImage>("/v1/images", request);
  if (!begun) co_return pass(begun);
  const auto image = co_await follow(session, *sky, options.name);
  if (!image) co_return pass(image);
  if (!options.clouds.empty()) {
    wire::PushImage where{options.clouds};
    co_return co_await push(session, options.name, std::move(where));
  }
  session.print(*image, image_text(*image));
  co_return Result<>{};
}

sys::Task<Result<>> pull(Session& session, std::string name, wire::PullImage request) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto begun = co_await sky->post<wire::SkyImage>(fmt::format("/v1/images/{}/pull", name), request);
  if (!begun) co_return pass(begun);
  const auto image = co_await follow(session, *sky, name);
  if (!image) co_return pass(image);
  session.print(*image, image_text(*image));
  co_return Result<>{};
}

struct ExportOptions {
  std::string name;
  std::string path;
  std::string format;
};

// Looks until the file is whole. Errors: what kept it from being written.
sys::Task<Result<>> write_out(Session& session, ExportOptions options) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  wire::ExportImage request{session.absolute(options.path), options.format};
  if (request.format.empty()) request.format = options.path.ends_with(".qcow2") ? "qcow2" : "raw";
  auto image = co_await sky->post<wire::SkyImage>(fmt::format("/v1/images/{}/export", options.name), request);
  ExportProgress progress(session.terminal());
  while (image) {
    const auto found = std::ranges::find(image->exports, request.path, &wire::ImageExport::path);
    if (found == image->exports.end()) {
      co_return fail(Errc::unavailable, "export image {}: sky was started anew meanwhile (remove {}, and try again)",
                     options.name, request.path);
    }
    if (!session.json()) progress.show(*found);
    if (found->state == wire::ExportState::failed) co_return fail(Errc::io, "{}", found->problem);
    if (found->state == wire::ExportState::done) {
      session.print(*found,
                    fmt::format("{} is the disk of image {} ({}).\n", request.path, options.name, request.format));
      co_return Result<>{};
    }
    co_await session.clock().sleep_for(kLookEvery);
    image = co_await sky->get<wire::SkyImage>("/v1/images/" + options.name);
  }
  co_return pass(image);
}

sys::Task<Result<>> tag(Session& session, std::string image, wire::TagImage request) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  if (!wire::is_image_name(image)) co_return no_name(image);
  const auto tagged = co_await sky->post<wire::TaggedImage>(fmt::format("/v1/images/{}/tag", image), request);
  if (!tagged) co_return pass(tagged);
  session.print(*tagged, tagged_text(*tagged, image));
  co_return Result<>{};
}

sys::Task<Result<>> erase(Session& session, std::string name) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  if (!wire::is_image_name(name)) co_return no_name(name);
  const auto removed = co_await sky->remove<wire::UntaggedImage>("/v1/images/" + name);
  if (!removed) co_return pass(removed);
  session.print(*removed, untagged_text(*removed));
  co_return Result<>{};
}

}  // namespace

void add_image_commands(CLI::App& app, const Choose& choose) {
  CLI::App* noun = add_noun(app, "image", "Images that instances can be made of");
  (void)add_verb(*noun, choose, "list", "Show the images that you keep, and those that hosts hold", "image list", list);
  const auto name = std::make_shared<std::string>();
  CLI::App* verb = add_verb(*noun, choose, "show", "Show an image that you keep, and the clouds that have it",
                            "image show web", [name](Session& session) { return show(session, *name); });
  verb->add_option("name", *name, "The image")->required();
  const auto wanted = std::make_shared<AddOptions>();
  verb = add_verb(*noun, choose, "add", "Take an image in, under a name; another of that name is replaced",
                  "image add web disk.qcow2\nimage add debian-12 .cache/images/debian-12 --to cloud-a,cloud-b",
                  [wanted](Session& session) { return add(session, *wanted); });
  verb->add_option("name", wanted->name, "Its name")->required();
  verb->add_option("path", wanted->path, "A disk image that qemu-img reads, or a directory with manifest.json")
      ->required();
  verb->add_option("--to", wanted->clouds, "Bring it to these clouds as well")->delimiter(',');
  const auto target = std::make_shared<wire::PushImage>();
  verb = add_verb(*noun, choose, "push", "Bring an image to clouds; what they have of other images does not travel",
                  "image push web --to cloud-a,cloud-b",
                  [name, target](Session& session) { return push(session, *name, *target); });
  verb->add_option("name", *name, "The image")->required();
  verb->add_option("--to", target->clouds, "The clouds (default: all that you have accounts on)")->delimiter(',');
  const auto source = std::make_shared<wire::PullImage>();
  verb =
      add_verb(*noun, choose, "pull", "Bring an image here from a cloud; what you have of other images does not travel",
               "image pull web-2\nimage pull web-2 --from cloud-b",
               [name, source](Session& session) { return pull(session, *name, *source); });
  verb->add_option("name", *name, "The image, as the cloud calls it")->required();
  verb->add_option("--from", source->cloud, "The cloud (default: the first that has it)");
  const auto wanted_out = std::make_shared<ExportOptions>();
  verb = add_verb(*noun, choose, "export", "Write an image's disk to a file of the machine where sky runs",
                  "image export web web.qcow2\nimage export web /backup/web.img --format raw",
                  [wanted_out](Session& session) { return write_out(session, *wanted_out); });
  verb->add_option("name", wanted_out->name, "The image")->required();
  verb->add_option("file", wanted_out->path, "The file, which is not there yet")->required();
  verb->add_option("--format", wanted_out->format, "raw or qcow2 (default: qcow2 where FILE is called so, else raw)")
      ->check(CLI::IsMember({"raw", "qcow2"}));
  const auto named = std::make_shared<wire::TagImage>();
  verb = add_verb(*noun, choose, "tag", "Give an image's content a further name",
                  "image tag web web:2024-06\nimage tag web-2 web:stable --move",
                  [name, named](Session& session) { return tag(session, *name, *named); });
  verb->add_option("image", *name, "The image")->required();
  verb->add_option("name", named->name, "The further name: NAME or NAME:TAG")->required();
  verb->add_flag("--move", named->move, "Also where it names another content, which loses it");
  verb =
      add_verb(*noun, choose, "rm",
               "Forget an image's name, here and at the clouds that it was brought to; its content with the last one",
               "image rm web\nimage rm web:stable", [name](Session& session) { return erase(session, *name); });
  verb->add_option("name", *name, "The image")->required();
  add_image_check_command(*noun, choose);
}

}  // namespace godwit::cli
