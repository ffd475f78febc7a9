// What an operator carries to a new host, in one file: `godwit cloud invite` writes it, `godwit agent join` reads it.
#pragma once

#include "wire/json.h"

#include <string>

namespace godwit::wire {

struct Invitation {
  std::string cloud;
  std::string url;     // of its API
  std::string ca_pem;  // what the host believes of that cloud from then on
  std::string host;    // whom it invites
  std::string token;   // a secret, good once
};
BOOST_DESCRIBE_STRUCT(Invitation, (), (cloud, url, ca_pem, host, token))

}  // namespace godwit::wire
