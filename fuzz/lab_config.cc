// lab.toml, the plan that is made of it, and the quantities in it.
// Input: what to read it as (one byte), and the text.
#include "base/assert.h"
#include "lab/config.h"
#include "lab/plan.h"
#include "support/input.h"

namespace {

using namespace godwit;

void read_quantities(std::string_view text) {
  if (const auto rate = lab::parse_rate(text)) GODWIT_ASSERT(lab::parse_rate(lab::format_rate(*rate)) == *rate);
  if (const auto span = lab::parse_span(text)) GODWIT_ASSERT(lab::parse_span(lab::format_span(*span)) == *span);
  if (const auto loss = lab::parse_loss(text)) GODWIT_ASSERT(lab::parse_loss(lab::format_loss(*loss)) == *loss);
  if (const auto prefix = lab::parse_prefix(text)) {
    GODWIT_ASSERT(lab::parse_prefix(lab::format_prefix(*prefix)) == *prefix);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  if (input.byte() == 'q') {
    read_quantities(input.text());
    return 0;
  }
  auto config = lab::parse_config(input.text(), "lab.toml");
  if (!config) return 0;
  const auto plan = lab::make_plan(std::move(*config));  // a Config makes a valid plan
  for (const auto& node : plan.nodes) GODWIT_ASSERT(node.netns.starts_with(lab::netns_prefix(plan.config.name)));
  GODWIT_ASSERT(lab::parse_wan_setup(lab::to_json(plan.wan)) == plan.wan);
  return 0;
}
