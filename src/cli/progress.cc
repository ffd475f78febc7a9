#include "cli/progress.h"

#include "cli/savings.h"
#include "cli/text.h"
#include "cli/views.h"

#include <algorithm>

namespace godwit::cli {
namespace {

constexpr std::size_t kBarColumns = 32;
constexpr std::size_t kMoveBarColumns = 18;
constexpr std::size_t kNameColumns = 20;  // of a member, where lines are aligned

std::string state_word(const wire::ClusterMember& member) {
  if (member.ready) return "ready";
  if (member.state == wire::InstanceState::running) return "running, boots";
  return word_of(member.state);
}

std::string place(const wire::ClusterMember& member) {
  return member.host.empty() ? member.cloud : member.cloud + "/" + member.host;
}

// How far a member is: there is nothing to measure, but there are steps.
double part_of(const wire::ClusterMember& member) {
  if (member.ready) return 1;
  if (member.state == wire::InstanceState::running) return 0.5;
  return member.host.empty() ? 0 : 0.25;
}

std::string stamp(TimePoint began, TimePoint now) { return pad_left(fmt::format("{:.1f} s", to_s(now - began)), 9); }

}  // namespace

void ClusterProgress::show(const wire::ClusterView& cluster) {
  if (live_.shown()) {
    draw(cluster);
  } else {
    tell(cluster);
  }
}

void ClusterProgress::draw(const wire::ClusterView& cluster) {
  double whole = 0;
  std::size_t ready = 0;
  std::size_t width = 6;
  for (const auto& member : cluster.members) {
    whole += part_of(member);
    ready += member.ready;
    width = std::max(width, display_width(printable(member.name)));
  }
  const auto count = cluster.members.size();
  std::vector<std::string> lines;
  lines.push_back(fmt::format("{} {} {}/{} ready {}", pad_right(printable(cluster.name), width),
                              bar_text(count ? whole / static_cast<double>(count) : 1, kBarColumns), ready, count,
                              stamp(began_, clock_.now())));
  for (const auto& problem : cluster.problems) lines.push_back("! " + printable(problem));
  for (const auto& member : cluster.members) {
    lines.push_back(fmt::format("{} {} {}", pad_right(printable(member.name), width), pad_right(state_word(member), 16),
                                printable(place(member))));
  }
  live_.draw(lines);
}

void ClusterProgress::tell(const wire::ClusterView& cluster) {
  const auto note = [&](const std::string& about, const std::string& words) {
    if (said_[about] == words) return;
    said_[about] = words;
    terminal_.err(fmt::format("{}  {}\n", stamp(began_, clock_.now()), printable(words)));
  };
  for (const auto& member : cluster.members) {
    note(member.name, fmt::format("{} ({}): {}", member.name, place(member), state_word(member)));
  }
  for (const auto& problem : cluster.problems) note("problem " + problem, "! " + problem);
  note("", fmt::format("cluster {} is {}", cluster.name, word_of(cluster.state)));
}

void MigrationProgress::show(const wire::MigrationReport& report) {
  const auto before = latest_.find(report.id);
  const bool new_phase = before == latest_.end() || before->second.phase != report.phase;
  latest_[report.id] = report;
  if (!live_.shown()) {
    if (new_phase) {
      terminal_.err(fmt::format("{}  {}: {}\n", stamp(began_, clock_.now()), name_of(report), word_of(report.phase)));
    }
    return;
  }
  std::vector<std::string> lines;
  std::vector<wire::MigrationReport> all;
  lines.reserve(latest_.size() + 1);
  all.reserve(latest_.size());
  for (const auto& [id, each] : latest_) {
    lines.push_back(line_of(each));
    all.push_back(each);
  }
  std::sort(lines.begin(), lines.end());
  if (auto crossed = crossing_line(crossing_of(all)); !crossed.empty()) lines.push_back(std::move(crossed));
  live_.draw(lines);
}

std::string MigrationProgress::name_of(const wire::MigrationReport& report) const {
  const auto found = names_.find(report.instance);
  return printable(found == names_.end() ? report.instance : found->second);
}

std::size_t MigrationProgress::name_columns() const {
  std::size_t width = 0;
  for (const auto& [id, each] : latest_) width = std::max(width, display_width(name_of(each)));
  return std::min(width, kNameColumns);
}

std::string MigrationProgress::line_of(const wire::MigrationReport& report) const {
  const auto& progress = report.progress;
  // Those that go ahead are given a host first.
  const bool waits = report.phase == wire::MigrationPhase::ordered && report.to_host.empty();
  auto line = fmt::format("{} {} {:>3.0f}% {}", pad_right(name_of(report), name_columns()),
                          bar_text(part_done(report), kMoveBarColumns), part_done(report) * 100,
                          pad_right(waits ? "waits" : word_of(report.phase), 9));
  if (report.phase == wire::MigrationPhase::memory) {
    line += fmt::format(" {} left, round {}", bytes_text(progress.memory_remaining_bytes), progress.rounds);
    if (progress.dirty_bytes_per_s) line += fmt::format(", +{}/s", bytes_text(progress.dirty_bytes_per_s));
  } else if (report.phase == wire::MigrationPhase::post_copy) {
    line += fmt::format(" runs there, {} to fetch", bytes_text(progress.memory_remaining_bytes));
  } else if (report.phase == wire::MigrationPhase::disk) {
    line += fmt::format(" {} of {}", bytes_text(progress.disk_sent_bytes), bytes_text(progress.disk_total_bytes));
  }
  return line;
}

double part_done(const wire::MigrationReport& report) {
  using wire::MigrationPhase;
  const bool handed_over = report.phase >= MigrationPhase::prepared && report.phase <= MigrationPhase::completed;
  if (handed_over && report.phase != MigrationPhase::post_copy) return 1;
  const auto& progress = report.progress;
  const auto whole = static_cast<double>(progress.memory_total_bytes) + static_cast<double>(progress.disk_total_bytes);
  if (whole <= 0) return 0;
  const auto disk = report.phase >= MigrationPhase::memory && report.phase < MigrationPhase::aborted
                        ? static_cast<double>(progress.disk_total_bytes)
                        : static_cast<double>(std::min(progress.disk_sent_bytes, progress.disk_total_bytes));
  const bool copies = progress.memory_sent_bytes > 0 && progress.memory_total_bytes > progress.memory_remaining_bytes;
  const auto memory = copies ? static_cast<double>(progress.memory_total_bytes - progress.memory_remaining_bytes) : 0;
  return std::clamp((disk + memory) / whole, 0.0, 1.0);
}

}  // namespace godwit::cli
