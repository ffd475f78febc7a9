#include "cli/completion.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

namespace godwit::cli {
namespace {

// What follows "cluster show" and its like: the first column of which list.
struct Names {
  const char* command;
  const char* list;
};
constexpr Names kNames[]{{"cluster show", "cluster list"},
                         {"cluster delete", "cluster list"},
                         {"cluster wait", "cluster list"},
                         {"cluster migrate", "cluster list"},
                         {"network show", "cluster list"},
                         {"instance show", "instance list"},
                         {"network top", "cluster list"},
                         {"network status", "cluster list"},
                         {"instance migrate", "instance list"},
                         {"instance terminate", "instance list"},
                         {"instance resolve", "instance list"},
                         {"migration show", "migration list"},
                         {"migration cancel", "migration list"},
                         {"account remove", "account list"},
                         {"image show", "image list"},
                         {"image push", "image list"},
                         {"image pull", "image list"},
                         {"image export", "image list"},
                         {"image tag", "image list"},
                         {"image rm", "image list"},
                         {"image check", "image list"}};

// fmt's format: {} for the cases, {{ and }} for braces.
constexpr auto kScript = R"bash(# bash completion of godwit: source <(godwit completion bash)
_godwit_words() {{
  local path=$1 words=
  case "$path" in
{}  esac
  echo "$words"
}}
_godwit_names() {{
  local list=
  case "$1" in
{}  esac
  [ -n "$list" ] || return
  godwit $list 2>/dev/null | awk 'NR > 1 && NF > 2 {{ print $1 }}'
}}
_godwit() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}} path= word words i
  local typed=${{COMP_LINE:0:COMP_POINT}}
  typed=${{typed##*[[:space:]]}}  # bash has cut the word at its colons
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD && i <= 2; i++)); do
    word=${{COMP_WORDS[i]}}
    [[ $word == -* ]] && break
    path="${{path:+$path }}$word"
  done
  case "$previous" in
    --image) words=$(_godwit_names "image show") ;;
    --to | --cloud) words=$(_godwit_names "account remove") ;;
    --*-file | --file | --ca | --ssh-key | --user-data | --state) return ;;
    *)
      words=$(_godwit_words "$path" | tr ' ' '\n')
      [[ $current == -* ]] || words="$(grep -v '^--' <<<"$words") $(_godwit_names "$path")"
      ;;
  esac
  if [[ $typed == *:* && $COMP_WORDBREAKS == *:* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$typed"))
    COMPREPLY=("${{COMPREPLY[@]#"${{typed%:*}}:"}}")
  else
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}}
complete -o default -F _godwit godwit
)bash";

std::string words_of(const CLI::App& app) {
  std::string words;
  for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!sub->get_group().empty()) words += sub->get_name() + " ";  // hidden ones have no group
  }
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) words += "--" + name + " ";
  }
  if (!words.empty()) words.pop_back();
  return words;
}

void add_cases(const CLI::App& app, const std::string& path, std::string& cases) {
  cases += fmt::format("    {}) words=\"{}\" ;;\n", path.empty() ? "''" : "'" + path + "'", words_of(app));
  for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    add_cases(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), cases);
  }
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  std::string cases;
  add_cases(app, "", cases);
  std::string names;
  for (const auto& [command, list] : kNames) names += fmt::format("    '{}') list='{}' ;;\n", command, list);
  return fmt::format(kScript, cases, names);
}

}  // namespace godwit::cli
