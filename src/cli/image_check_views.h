// Audits of images, as people read them.
#pragma once

#include "wire/image.h"

#include <string>

namespace godwit::cli {

// A line a place that has one of the images.
[[nodiscard]] std::string checks_text(const wire::SkyImageChecks& checks);
// Every place that can be heard has looked at all, and has back what was bad.
[[nodiscard]] bool is_settled(const wire::SkyImageCheck& check);
// What is wrong, in words: of clouds and hosts that say nothing, and of audits that could not be made. Empty: nothing.
[[nodiscard]] std::string problems_of(const wire::SkyImageCheck& check);

}  // namespace godwit::cli
