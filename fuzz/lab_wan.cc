// What a lab's processes say to each other and keep: WAN tables and counters, state and journal.
// Input: what to read it as (one byte), and the text.
#include "base/assert.h"
#include "lab/state.h"
#include "lab/wan_table.h"
#include "support/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  constexpr std::size_t kPorts = 4;
  fuzz::Input input(data, size);
  const auto kind = input.byte();
  const auto text = input.text();
  switch (kind) {
    case 's':
      if (const auto setup = lab::parse_wan_setup(text)) {
        GODWIT_ASSERT(lab::parse_wan_setup(lab::to_json(*setup)) == *setup);
      }
      break;
    case 't':
      if (const auto table = lab::parse_wan_table(text, kPorts)) {
        GODWIT_ASSERT(lab::parse_wan_table(lab::to_json(*table), kPorts) == *table);
      }
      break;
    case 'c': static_cast<void>(lab::parse_wan_counters(text)); break;
    case 'j': {
      const auto journal = lab::parse_journal(text);
      GODWIT_ASSERT(lab::parse_journal(lab::to_text(journal)) == journal);
      break;
    }
    default:
      if (const auto state = lab::parse_state(text)) {
        GODWIT_ASSERT(lab::parse_state(lab::to_json(*state)) == *state);
      }
  }
  return 0;
}
