// `godwit cloud status` as text.
#pragma once

#include "cloud/status.h"

namespace godwit::apps {

[[nodiscard]] std::string to_text(const cloud::CloudStatus& status);

}  // namespace godwit::apps
