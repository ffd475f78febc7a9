// With which keys the switches of this cloud's hosts speak, signed by its CA (docs/formats/host-record.md): made when
// a host first tells its key, kept, and made anew when half of its life has passed.
#pragma once

#include "cloud/core.h"

namespace godwit::cloud {

// Makes the record of a host that is due. True when it is another one now. A host without a key keeps the record that
// it has; a key of which another host of this cloud has a valid record is not signed. Call inside a writing
// transaction.
[[nodiscard]] bool renew_host_record(Sql& sql, Core& core, const HostRow& host);

// As base64url, for locations; empty when it has none.
[[nodiscard]] std::string host_record_of(Sql& sql, const std::string& host);

}  // namespace godwit::cloud
