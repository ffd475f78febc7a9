#include "cli/commands.h"
#include "cli/image_check_views.h"

#include <CLI/CLI.hpp>

namespace godwit::cli {
namespace {

constexpr Millis kLookEvery{500};

struct CheckOptions {
  std::string name;
  bool all{false};
  std::uint32_t wait_s{600};
};

std::string path_of(const std::string& name) { return fmt::format("/v1/images/{}/check", name); }

// Looks until every place has looked, and has back what was bad.
sys::Task<Result<wire::SkyImageCheck>> follow(Session& session, const SkyClient& sky, std::string name,
                                              TimePoint deadline) {
  const wire::json::value nothing = wire::json::object{};
  auto check = co_await sky.post<wire::SkyImageCheck>(path_of(name), nothing);
  while (check && !is_settled(*check) && session.clock().now() < deadline) {
    co_await session.clock().sleep_for(kLookEvery);
    check = co_await sky.get<wire::SkyImageCheck>(path_of(name));
  }
  co_return std::move(check);
}

sys::Task<Result<std::vector<std::string>>> names_of(const SkyClient& sky, CheckOptions options) {
  if (!options.all) co_return std::vector<std::string>{options.name};
  const auto list = co_await sky.get<wire::SkyImageList>("/v1/images");
  if (!list) co_return pass(list);
  std::vector<std::string> names;
  for (const auto& image : list->images) {
    if (!image.id.empty()) names.push_back(image.name);
  }
  co_return names;
}

sys::Task<Result<>> check(Session& session, CheckOptions options) {
  if (options.all != options.name.empty()) {
    co_return fail(Errc::invalid_argument, "image check: name an image, or say --all");
  }
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto names = co_await names_of(*sky, options);
  if (!names) co_return pass(names);
  const auto deadline = session.clock().now() + Seconds{options.wait_s};
  wire::SkyImageChecks checks;
  std::string problems;
  for (const auto& name : *names) {
    auto found = co_await follow(session, *sky, name, deadline);
    if (!found) co_return pass(found);
    const auto problem = problems_of(*found);
    if (!problem.empty()) problems += fmt::format("{}image {}: {}", problems.empty() ? "" : "; ", name, problem);
    checks.images.push_back(std::move(*found));
  }
  session.print(checks, checks_text(checks));
  if (!problems.empty()) co_return fail(Errc::io, "{}", problems);
  co_return Result<>{};
}

}  // namespace

void add_image_check_command(CLI::App& image, const Choose& choose) {
  const auto options = std::make_shared<CheckOptions>();
  CLI::App* verb =
      add_verb(image, choose, "check", "Read and compare an image wherever it is; repair what is bad",
               "image check web\nimage check --all", [options](Session& session) { return check(session, *options); });
  verb->add_option("name", options->name, "The image");
  verb->add_flag("--all", options->all, "All that you keep");
  verb->add_option("--wait", options->wait_s, "Seconds until what is not done yet is told as it is")
      ->capture_default_str();
}

}  // namespace godwit::cli
