// In which order the members of a cluster go from cloud to cloud. They are of one image, so that what the first has
// brought, the others need not bring: one goes ahead, the seed, and the rest when its memory has crossed once (Riteau
// et al., "Shrinker: Improving Live Migration of Virtual Clusters over WANs with Distributed Data Deduplication and
// Content-Based Addressing", Euro-Par 2011, sends them side by side; Deshpande et al., "Live Gang Migration of Virtual
// Machines", HPDC 2011, gang by gang). The calm ones go first: who writes fast then finds the link empty, where each
// round is short, and less is written during it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace godwit::sky {

enum class Course : std::uint8_t {
  waiting = 1,
  first_round,  // under way: there is more of its memory that never crossed
  crossed,      // under way
  arrived,
  failed,
};

struct Traveller {
  std::string id;
  std::string from;
  std::string to;
  std::string from_host;  // empty: it has not set out, or nobody has said yet
  std::string to_host;
  Course course{Course::waiting};
  bool shares{true};                   // what it brings spares others
  std::uint64_t dirty_bytes_per_s{0};  // when it last moved; 0: not known, taken for calm
};

// Of one cluster, in the order in which they were asked for: those that set out now, so that at most `at_once` are
// under way.
[[nodiscard]] std::vector<std::string> who_sets_out(const std::vector<Traveller>& cluster, std::size_t at_once);

// The host at cloud `to` that members from this host went or go to, the last of them; empty: none did. Whatever crossed
// between two hosts is referred to there without a question, so that those who were together are best together again.
[[nodiscard]] std::string host_of_companions(const std::vector<Traveller>& cluster, const std::string& from,
                                             const std::string& from_host, const std::string& to);

}  // namespace godwit::sky
