// Shell completion, written from the parser itself: there is no second list of commands.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace godwit::cli {

// A script for bash: `source <(godwit completion bash)`. Names of clusters, instances, clouds and migrations are asked
// of sky when they are wanted.
[[nodiscard]] std::string bash_completion(const CLI::App& app);

}  // namespace godwit::cli
