#include "tunnel/keys.h"

#include "base/id.h"

#include <algorithm>

namespace godwit::tunnel {
namespace {

constexpr std::size_t kHosts = 1000;

Result<> check_hosts(const std::vector<std::string>& hosts) {
  if (hosts.size() < 2 || hosts.size() > kHosts) {
    return fail(Errc::invalid_argument, "give the names of two hosts or more, {} at most", kHosts);
  }
  for (auto each = hosts.begin(); each != hosts.end(); ++each) {
    if (!is_label(*each)) {
      return fail(Errc::invalid_argument, "\"{}\" is no name for a host: use lower-case letters, digits and -", *each);
    }
    if (std::find(hosts.begin(), each, *each) != each) {
      return fail(Errc::invalid_argument, "\"{}\" is there twice", *each);
    }
  }
  return {};
}

// The PEM block that begins at or after `at`, of which `at` is then the end.
Result<std::string> next_block(std::string_view text, std::string_view label, std::size_t& at) {
  const auto first = fmt::format("-----BEGIN {}-----", label);
  const auto last = fmt::format("-----END {}-----", label);
  const auto begin = text.find(first, at);
  const auto end = begin == std::string_view::npos ? begin : text.find(last, begin);
  if (end == std::string_view::npos) {
    return fail(Errc::invalid_argument,
                "holds no {} where one is expected: take the file as `godwit tunnel keys` made it", label);
  }
  at = end + last.size();
  return std::string(text.substr(begin, at - begin)) + "\n";
}

}  // namespace

std::string peer_name(std::string_view host) { return fmt::format("{}.{}.godwit", host, kDomain); }

Result<std::vector<HostKeys>> make_keys(const std::vector<std::string>& hosts, crypto::Validity validity,
                                        sys::Random& random) {
  const auto checked = check_hosts(hosts);
  if (!checked) return pass(checked);
  const auto ca_key = crypto::Key::generate();
  if (!ca_key) return pass(ca_key);
  const auto ca = crypto::make_authority(*ca_key, kDomain, validity, random);
  if (!ca) return pass(ca);
  std::vector<HostKeys> all;
  for (const auto& host : hosts) {
    const auto key = crypto::Key::generate();
    if (!key) return pass(key);
    const auto request = crypto::make_request(*key, peer_name(host));
    if (!request) return pass(request);
    const auto certificate = crypto::sign_request(*ca_key, *ca, *request, peer_name(host), validity, random);
    if (!certificate) return pass(certificate);
    all.push_back({host, key->to_pem() + *certificate + *ca});
  }
  return all;
}

Result<Keys> parse_keys(std::string_view text) {
  std::size_t at = 0;
  Keys keys;
  for (const auto& [label, into] :
       {std::pair{"PRIVATE KEY", &keys.key_pem}, std::pair{"CERTIFICATE", &keys.certificate_pem},
        std::pair{"CERTIFICATE", &keys.ca_pem}}) {
    auto block = next_block(text, label, at);
    if (!block) return pass(block);
    *into = std::move(*block);
  }
  return keys;
}

}  // namespace godwit::tunnel
