#include "wire/observation.h"

namespace godwit::wire {

std::string hint_text(const Member& member, const AnnouncedElsewhere& said, const std::string& cloud,
                      const std::string& host) {
  const auto at = said.at == said.instance ? "" : said.at.empty() ? "the LAN of " : "the device of " + said.at + " on ";
  return fmt::format(
      "{} ({}) announces itself on {}{}/{} while its record says {}/{}: frames for it go there (was it moved past "
      "godwit? move it back)",
      member.name, member.instance, at, cloud, host, member.location.cloud, member.location.host);
}

}  // namespace godwit::wire
