#include "cloud/directory.h"

#include "base/id.h"

namespace godwit::cloud {
namespace {

constexpr std::chrono::hours kAuthorityLife{24 * 365 * 10};
constexpr std::chrono::hours kApiCertificateLife{24 * 365 * 2};
constexpr std::chrono::minutes kClockSkew{5};

Result<> validate(const Settings& settings) {
  if (!is_label(settings.name)) {
    return fail(Errc::invalid_argument, "cloud \"{}\": the name must be a DNS label", settings.name);
  }
  const auto endpoint = sys::parse_endpoint(settings.api_url, "");
  if (!endpoint) return pass(endpoint);
  if (endpoint->tls != sys::HttpTls::server) {
    return fail(Errc::invalid_argument, "URL \"{}\": must be https", settings.api_url);
  }
  return {};
}

}  // namespace

Result<> create_directory(sys::Files& files, sys::Random& random, sys::Clock& clock, const std::string& directory,
                          const Settings& settings) {
  const auto valid = validate(settings);
  if (!valid) return valid;
  const auto made = files.make_directories(directory, 0700, 0);
  if (!made) return made;
  auto database = Database::open(directory + "/cloud.db");
  if (!database) return pass(database);
  if (const auto existing = load_settings(**database)) {
    if (existing->name == settings.name && existing->api_url == settings.api_url) return {};
    return fail(Errc::conflict, "init {}: it is cloud {} at {} already", directory, existing->name, existing->api_url);
  }
  const auto key = crypto::Key::generate();
  if (!key) return pass(key);
  const auto now = clock.wall_now();
  const auto pem = crypto::make_authority(*key, settings.name, {now - kClockSkew, now + kAuthorityLife}, random);
  if (!pem) return pass(pem);
  for (const auto& written :
       {files.write_atomic(directory + "/ca.key", key->to_pem(), 0600),
        files.write_atomic(directory + "/ca.pem", *pem, 0644),
        files.write_atomic(directory + "/tickets.key", crypto::TicketSigner::generate(random).secret() + "\n", 0600)}) {
    if (!written) return written;
  }
  return save_settings(**database, settings);  // last: what has settings is whole
}

Result<Opened> open_directory(sys::Files& files, const std::string& directory) {
  if (!files.exists(directory + "/cloud.db")) {
    return fail(Errc::not_found, "{}: there is no cloud (godwit cloud init makes one)", directory);
  }
  auto database = Database::open(directory + "/cloud.db");
  if (!database) return pass(database);
  auto settings = load_settings(**database);
  if (!settings) return fail(settings, directory);
  const auto key_pem = files.read(directory + "/ca.key", crypto::kPemBytes);
  if (!key_pem) return pass(key_pem);
  auto key = crypto::Key::from_pem(*key_pem);
  if (!key) return fail(key, directory + "/ca.key");
  auto pem = files.read(directory + "/ca.pem", crypto::kPemBytes);
  if (!pem) return pass(pem);
  auto secret = files.read(directory + "/tickets.key", 1024);
  if (!secret) return pass(secret);
  while (secret->ends_with('\n')) secret->pop_back();
  auto tickets = crypto::TicketSigner::from_secret(*secret);
  if (!tickets) return fail(tickets, directory + "/tickets.key");
  return Opened{std::move(*database), Keys{std::move(*key), std::move(*pem), std::move(*tickets)},
                std::move(*settings)};
}

Result<ApiIdentity> issue_api_identity(const Keys& keys, const std::string& cloud, sys::Clock& clock,
                                       sys::Random& random) {
  const auto key = crypto::Key::generate();
  if (!key) return pass(key);
  const auto name = certificate_name("api", cloud);
  const auto request = crypto::make_request(*key, name);
  if (!request) return pass(request);
  const auto now = clock.wall_now();
  auto certificate = crypto::sign_request(keys.authority, keys.authority_pem, *request, name,
                                          {now - kClockSkew, now + kApiCertificateLife}, random);
  if (!certificate) return pass(certificate);
  return ApiIdentity{std::move(*certificate), key->to_pem()};
}

}  // namespace godwit::cloud
