#include "image/audit.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace godwit::image {
namespace {

constexpr std::uint64_t kPiecesATurn = 32;

Result<> look_at(StoredImage& image, std::uint64_t piece, AuditReport& report) {
  const bool was_here = image.has(piece);
  const auto right = image.audit(piece);
  if (!right) return fail(right, fmt::format("check image {}: piece {}", ami_of(image.id()), piece));
  ++report.pieces;
  if (image.is_zero(piece)) {
    if (!*right) ++report.cleared;
    return {};
  }
  if (was_here && !*right) report.bad.push_back(piece);
  if (!was_here && *right) ++report.found;
  if (!*right) ++report.missing;
  return {};
}

}  // namespace

sys::Task<Result<AuditReport>> audit(sys::Runtime& runtime, Repository& images, Lease image,
                                     std::function<void(std::uint64_t done, std::uint64_t all)> progress) {
  AuditReport report;
  if (!image->has_list()) {
    co_return fail(Errc::not_found, "check image {}: its list of pieces is not here yet", ami_of(image->id()));
  }
  for (std::uint64_t piece = 0; piece < image->count(); ++piece) {
    auto looked = look_at(*image, piece, report);
    if (!looked) co_return pass(looked);
    if (piece % kPiecesATurn != 0) continue;
    if (progress) progress(piece, image->count());
    co_await boost::asio::post(runtime.executor, boost::asio::use_awaitable);
  }
  auto settled = co_await images.settle(image);
  if (!settled) co_return pass(settled);
  co_return report;
}

}  // namespace godwit::image
