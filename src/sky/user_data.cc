#include "sky/user_data.h"

#include "wire/json.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

namespace godwit::sky {
namespace {

using wire::json::array;
using wire::json::object;

constexpr std::size_t kMimeLineLimit = 998;  // RFC 5322 section 2.1.1
constexpr std::size_t kBase64LineLength = 76;
constexpr std::string_view kReadyUrl = "http://169.254.169.254/godwit/ready";

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : std::string(between)) + word;
  return out;
}

object file(std::string path, std::string permissions, std::string content) {
  return object{{"path", std::move(path)}, {"permissions", std::move(permissions)}, {"content", std::move(content)}};
}

// "NAME IP ROLE,ROLE" a line: for scripts; names resolve by DNS as well.
std::string members_file(const ClusterContext& context) {
  std::string out;
  for (const auto& member : context.members) {
    out += fmt::format("{} {} {}\n", member.name, member.ip, member.roles.empty() ? "-" : joined(member.roles, ","));
  }
  return out;
}

// One line: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT.
std::string known_hosts(const ClusterContext& context) {
  std::string names = "*." + context.domain;
  for (const auto& member : context.members) names += "," + member.name + "," + member.ip;
  return names + " " + context.host.public_key + "\n";
}

std::string cloud_config(const ClusterContext& context, const KnownMember& self) {
  object config;
  config["hostname"] = self.name;
  config["fqdn"] = self.name + "." + context.domain;
  config["prefer_fqdn_over_hostname"] = false;
  config["disable_root"] = false;  // keys only: the cluster's own, and those of its user
  config["ssh_authorized_keys"] = array{wire::json::value(context.login.public_key)};
  config["ssh_deletekeys"] = true;
  config["ssh_keys"] =
      object{{"ed25519_private", context.host.private_key}, {"ed25519_public", context.host.public_key}};
  config["write_files"] = array{file("/root/.ssh/id_ed25519", "0600", context.login.private_key),
                                file("/root/.ssh/id_ed25519.pub", "0644", context.login.public_key + "\n"),
                                file("/etc/ssh/ssh_known_hosts", "0644", known_hosts(context)),
                                file("/etc/godwit/members", "0644", members_file(context)),
                                file("/etc/godwit/roles", "0644", joined(self.roles, "\n") + "\n")};
  config["phone_home"] = object{{"url", kReadyUrl}, {"post", array{"instance_id", "hostname"}}, {"tries", 30}};
  // How this part is merged into the user's: their settings stand, lists grow.
  config["merge_how"] = array{object{{"name", "list"}, {"settings", array{"append"}}},
                              object{{"name", "dict"}, {"settings", array{"no_replace", "recurse_list"}}},
                              object{{"name", "str"}, {"settings", array{"no_replace"}}}};
  return "#cloud-config\n" + wire::print_json_pretty(config);  // JSON is YAML, and escapes what it must
}

// cloud-init looks at the first line of a text/plain part for what these prefixes do not cover.
std::string_view content_type(std::string_view data) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kinds{
      {{"#cloud-config", "text/cloud-config"},
       {"#!", "text/x-shellscript"},
       {"#include", "text/x-include-url"},
       {"#cloud-boothook", "text/cloud-boothook"}}};
  for (const auto& [prefix, kind] : kinds) {
    if (data.starts_with(prefix)) return kind;
  }
  return "text/plain";
}

bool is_mime_document(std::string_view data) {
  return data.starts_with("Content-Type: multipart/") || data.starts_with("MIME-Version:");
}

bool needs_base64(std::string_view data) {
  std::size_t line = 0;
  for (const char c : data) {
    line = c == '\n' ? 0 : line + 1;
    if (line > kMimeLineLimit || static_cast<unsigned char>(c) > 126 || c == '\r' || c == '\0') return true;
  }
  return false;
}

std::string base64_lines(std::string_view data) {
  std::string text(4 * ((data.size() + 2) / 3) + 1, '\0');
  const auto length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(data.data()), static_cast<int>(data.size()));
  text.resize(static_cast<std::size_t>(length));
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += kBase64LineLength) {
    out += text.substr(at, kBase64LineLength);
    out += '\n';
  }
  return out;
}

std::string part(std::string_view data) {
  if (is_mime_document(data)) return std::string(data) + "\n";  // headers and body as they are: a nested entity
  const bool encoded = needs_base64(data);
  return fmt::format("Content-Type: {}; charset=\"utf-8\"\nMIME-Version: 1.0\nContent-Transfer-Encoding: {}\n\n{}\n",
                     content_type(data), encoded ? "base64" : "7bit", encoded ? base64_lines(data) : std::string(data));
}

// A line that stands in none of the parts.
std::string boundary_for(std::string_view ours, std::string_view theirs) {
  std::string boundary = "godwit-part-0";
  for (int i = 1; ours.find(boundary) != std::string_view::npos || theirs.find(boundary) != std::string_view::npos;
       ++i) {
    boundary = fmt::format("godwit-part-{}", i);
  }
  return boundary;
}

}  // namespace

Result<std::string> user_data_of(const ClusterContext& context, const std::string& name) {
  const auto self = std::find_if(context.members.begin(), context.members.end(),
                                 [&](const KnownMember& member) { return member.name == name; });
  if (self == context.members.end()) return fail(Errc::not_found, "user data: {} is no member", name);
  const auto ours = cloud_config(context, *self);
  const auto boundary = boundary_for(ours, context.user_data);
  auto out = fmt::format("Content-Type: multipart/mixed; boundary=\"{}\"\nMIME-Version: 1.0\n\n", boundary);
  if (!context.user_data.empty()) out += "--" + boundary + "\n" + part(context.user_data);
  out += "--" + boundary + "\n" + part(ours) + "--" + boundary + "--\n";
  if (out.size() > wire::kUserDataLimit) {
    return fail(Errc::invalid_argument,
                "user data of {}: {} bytes with the cluster's own part, where {} is the limit (let it fetch the rest)",
                name, out.size(), wire::kUserDataLimit);
  }
  return out;
}

}  // namespace godwit::sky
