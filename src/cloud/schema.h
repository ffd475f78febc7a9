// The tables of a cloud, as numbered steps: a step that has shipped is never changed, only followed by another.
#pragma once

#include "cloud/database.h"

namespace godwit::cloud {

// Takes an empty or older database to the newest schema. Errors: unsupported when it is newer than this build.
[[nodiscard]] Result<> bring_up_to_date(Sql& sql);

}  // namespace godwit::cloud
