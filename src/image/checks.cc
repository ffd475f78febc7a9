#include "image/checks.h"

#include "image/audit.h"

#include <algorithm>

namespace godwit::image {
namespace {

constexpr std::string_view kChecksName = "checks.json";
constexpr std::size_t kChecks_bytes = 4UL << 20U;
constexpr Millis kListAgain{500};  // where the list of a wanted image isn't here yet

struct Kept {
  std::vector<wire::ImageCheck> checks;
};
BOOST_DESCRIBE_STRUCT(Kept, (), (checks))

}  // namespace

Checks::Checks(sys::Runtime& runtime, Repository& images, std::function<void(const ImageId& id)> ended)
    : runtime_(runtime), images_(images), ended_(std::move(ended)), asked_(runtime.executor), gate_(runtime.executor) {}

void Checks::start() {
  const auto text = runtime_.files.read(fmt::format("{}/{}", images_.directory(), kChecksName), kChecks_bytes);
  if (const auto kept = text ? wire::decode<Kept>(*text, kChecks_bytes) : Result<Kept>(Kept{})) {
    for (const auto& each : kept->checks) found_[each.sha256] = each;
  }
  gate_.spawn(work());
}

sys::Task<void> Checks::stop() { return gate_.close(); }

void Checks::want(std::map<ImageId, std::uint64_t> numbers) {
  wanted_ = std::move(numbers);
  std::erase_if(found_, [&](const auto& each) { return !wanted_.contains(each.first); });
  asked_.notify();
}

std::vector<wire::ImageCheck> Checks::list() const {
  std::vector<wire::ImageCheck> out;
  for (const auto& [id, check] : found_) {
    out.push_back(check);
    const auto status = images_.find(id);
    const auto missing = status ? status->missing : check.bad;
    if (check.done) out.back().repaired = check.bad - std::min(check.bad, missing);
  }
  return out;
}

bool Checks::is_due(const ImageId& id, std::uint64_t number) const {
  const auto last = found_.find(id);
  return last == found_.end() || !last->second.done || last->second.number < number;
}

std::optional<ImageId> Checks::next() const {
  for (const auto& [id, number] : wanted_) {
    if (!is_due(id, number)) continue;
    const auto status = images_.find(id);
    if (status && status->has_list) return id;
  }
  return std::nullopt;
}

sys::Task<void> Checks::work() {
  for (;;) {
    if (const auto id = next()) {
      co_await check(*id, wanted_.at(*id));
      continue;
    }
    const bool waits = std::ranges::any_of(wanted_, [&](const auto& each) { return is_due(each.first, each.second); });
    if (waits) {
      co_await asked_.wait_until(runtime_.clock, runtime_.clock.now() + kListAgain);
    } else {
      co_await asked_.wait();
    }
  }
}

sys::Task<void> Checks::check(ImageId id, std::uint64_t number) {
  auto lease = images_.open(id, "image check");
  found_[id] = {id, number, false, 0, 0, 0, 0, ""};
  std::function<void(std::uint64_t, std::uint64_t)> progress = [this, id](std::uint64_t done, std::uint64_t all) {
    const auto at = found_.find(id);
    if (at == found_.end()) return;
    at->second.pieces = done;
    at->second.of = all;
  };
  Result<AuditReport> report = lease ? Result<AuditReport>(AuditReport{}) : pass(lease);
  if (lease) report = co_await audit(runtime_, images_, *lease, std::move(progress));
  const auto at = found_.find(id);
  if (at == found_.end()) co_return;  // nobody wants to know any more
  auto& check = at->second;
  check.done = true;
  if (report) {
    check.pieces = check.of = report->pieces;
    check.bad = report->bad.size() + report->cleared;
  } else {
    check.problem = report.error().message;
  }
  if (check.bad > 0) runtime_.log.warn("image {}: {} bad pieces were found: they come again", ami_of(id), check.bad);
  write();
  ended_(id);
}

void Checks::write() {
  Kept kept;
  for (const auto& [id, check] : found_) {
    if (check.done) kept.checks.push_back(check);
  }
  const auto path = fmt::format("{}/{}", images_.directory(), kChecksName);
  const auto written = runtime_.files.write_atomic(path, wire::encode(kept), kImageFileMode);
  if (!written) runtime_.log.warn("{}", written.error().message);  // it is made once more after a restart
}

}  // namespace godwit::image
