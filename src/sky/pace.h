// How often sky looks at its clouds.
#pragma once

#include "base/time.h"

namespace godwit::sky {

// How often things are looked at when nobody says that they have changed.
struct Pace {
  Millis busy{500};     // while something is on its way
  Millis calm{3'000};   // while all is as it should be
  Millis retry{1'000};  // after a failed visit; doubles
  Millis retry_most{15'000};
  Millis migration{250};  // both sides of a migration
};

}  // namespace godwit::sky
