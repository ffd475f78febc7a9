// The command line of the user's side, as scripts of others may compose it.
// Input: words, one a line.
#include "base/assert.h"
#include "cli/commands.h"
#include "support/input.h"

#include <CLI/CLI.hpp>

namespace {

constexpr std::size_t kMostWords = 64;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  fuzz::Input input(data, size);
  std::vector<std::string> words;
  while (!input.empty() && words.size() < kMostWords) words.emplace_back(input.until('\n'));
  std::reverse(words.begin(), words.end());  // as CLI11 takes them

  CLI::App app{"godwit", "godwit"};
  app.require_subcommand(1);
  int chosen = 0;
  cli::add_user_commands(app, [&](const cli::CommonOptions& /*options*/, const cli::Action& action) {
    GODWIT_ASSERT(action != nullptr);
    ++chosen;
  });
  try {
    app.parse(std::move(words));
    GODWIT_ASSERT(chosen == 1);
  } catch (const CLI::ParseError&) {
    // What main() answers with the usage.
  }
  return 0;
}
