#include "cli/commands.h"
#include "cli/views.h"

#include <CLI/CLI.hpp>

namespace godwit::cli {
namespace {

constexpr std::size_t kFileLimit = 64UL * 1024;

struct AddOptions {
  std::string cloud;
  std::string url;
  std::string ca_file;
  std::string token_file;
};

sys::Task<Result<>> add(Session& session, AddOptions options) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  wire::Account account;
  account.cloud = options.cloud;
  account.url = options.url;
  if (!options.ca_file.empty()) {
    auto pem = session.read(options.ca_file, kFileLimit);
    if (!pem) co_return fail(pem, "the cloud's CA");
    account.ca_pem = std::move(*pem);
  }
  auto token = session.read(options.token_file, kFileLimit);
  if (!token) co_return fail(token, "the cloud's token");
  token->erase(token->find_last_not_of(" \t\r\n") + 1);
  account.token = std::move(*token);
  const auto view = co_await sky->put<wire::AccountView>("/v1/accounts/" + options.cloud, account);
  if (!view) co_return pass(view);
  session.print(*view, fmt::format("{} is yours to use, as {}: {} instances, {} vCPUs, {} MiB at most\n", view->cloud,
                                   view->tenant, view->quota.instances, view->quota.vcpus, view->quota.memory_mib));
  co_return Result<>{};
}

sys::Task<Result<>> list(Session& session, bool verbose) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto accounts = co_await sky->get<wire::AccountList>("/v1/accounts");
  if (!accounts) co_return pass(accounts);
  session.print(*accounts, accounts_text(*accounts, verbose));
  co_return Result<>{};
}

sys::Task<Result<>> remove(Session& session, std::string cloud) {
  auto sky = session.sky();
  if (!sky) co_return pass(sky);
  const auto removed = co_await sky->remove<wire::json::value>("/v1/accounts/" + cloud);
  if (!removed) co_return pass(removed);
  session.print(*removed, "The account on " + cloud + " is forgotten. The cloud still knows its token.\n");
  co_return Result<>{};
}

}  // namespace

void add_account_commands(CLI::App& app, const Choose& choose) {
  CLI::App* noun = add_noun(app, "account", "Your accounts on clouds");

  const auto wanted = std::make_shared<AddOptions>();
  CLI::App* verb =
      add_verb(*noun, choose, "add", "Add an account on a cloud, or give it a new token",
               "account add cloud-a --url https://192.0.2.10:7443 --ca ca.pem --token-file alice.token\n"
               "account add cloud-a --url https://192.0.2.10:7443 --ca ca.pem --token-file - < alice.token",
               [wanted](Session& session) { return add(session, *wanted); });
  verb->add_option("cloud", wanted->cloud, "The cloud's own name")->required();
  verb->add_option("--url", wanted->url, "Where its API is")->required();
  verb->add_option("--ca", wanted->ca_file, "Its CA's certificate (PEM), from its operator");
  verb->add_option("--token-file", wanted->token_file, "Your token there: a file, or - for the standard input")
      ->required();

  const auto verbose = std::make_shared<bool>(false);
  verb = add_verb(*noun, choose, "list", "Show your accounts, and whether their clouds answer",
                  "account list --verbose", [verbose](Session& session) { return list(session, *verbose); });
  verb->add_flag("-v,--verbose", *verbose, "With quotas and prices");

  const auto cloud = std::make_shared<std::string>();
  verb = add_verb(*noun, choose, "remove", "Forget an account that no cluster needs", "account remove cloud-b",
                  [cloud](Session& session) { return remove(session, *cloud); });
  verb->add_option("cloud", *cloud, "The cloud's name")->required();
}

}  // namespace godwit::cli
