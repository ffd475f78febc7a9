// A frame, of which flow it is. Input: the frame.
#include "overlay/flow.h"

#include "base/assert.h"
#include "support/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  const auto flow = overlay::read_flow(7, {reinterpret_cast<const std::byte*>(data), size});
  if (!flow) return 0;
  GODWIT_ASSERT(size >= 34 && flow->vni == 7);
  GODWIT_ASSERT(!overlay::source_of(*flow).empty() && !overlay::destination_of(*flow).empty());
  GODWIT_ASSERT(!overlay::protocol_of(*flow).empty());
  return 0;
}
