// What `godwit cloud init` makes and `godwit cloud run` opens: DIR/ca.pem, ca.key, tickets.key, cloud.db. The keys are
// files of mode 0600 and nowhere else; everything that changes is in the database.
#pragma once

#include "cloud/core.h"
#include "sys/files.h"

namespace godwit::cloud {

// Makes a cloud; one of the same name and URL that is there already is left as it is, and what an interrupted attempt
// has left is made anew. Errors: conflict (there is another), invalid_argument.
[[nodiscard]] Result<> create_directory(sys::Files& files, sys::Random& random, sys::Clock& clock,
                                        const std::string& directory, const Settings& settings);

struct Opened {
  std::unique_ptr<Database> database;
  Keys keys;
  Settings settings;
};
// Errors: not_found (with the remedy), io, unsupported.
[[nodiscard]] Result<Opened> open_directory(sys::Files& files, const std::string& directory);

// A new key and certificate for the API's server, "api.CLOUD.godwit": nobody keeps it, each run has its own.
struct ApiIdentity {
  std::string certificate_pem;
  std::string key_pem;
};
[[nodiscard]] Result<ApiIdentity> issue_api_identity(const Keys& keys, const std::string& cloud, sys::Clock& clock,
                                                     sys::Random& random);

}  // namespace godwit::cloud
