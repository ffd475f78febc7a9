#include "image/export.h"

#include "image/conversion.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace godwit::image {
namespace {

constexpr std::uint64_t kPiecesATurn = 32;
constexpr Seconds kConversionLimit{1800};

struct Range {
  std::uint64_t first{0};
  std::uint64_t end{0};
};

Range pieces_of_role(const Manifest& manifest, Role role) {
  Range range;
  for (const auto& each : manifest.files) {
    range.end = range.first + pieces_of(each.bytes);
    if (each.role == role) break;
    range.first = range.end;
  }
  return range;
}

sys::Task<Result<>> write_raw(sys::Runtime& runtime, Lease image, Role role, std::string to) {
  auto file = runtime.page_files.create(to, kImageFileMode);
  if (!file) co_return pass(file);
  auto done = (*file)->resize(file_of(image->manifest(), role)->bytes);
  const auto range = pieces_of_role(image->manifest(), role);
  for (auto piece = range.first; done && piece < range.end; ++piece) {
    if (!image->is_zero(piece)) done = image->copy_to(piece, **file);
    if (piece % kPiecesATurn == 0) co_await boost::asio::post(runtime.executor, boost::asio::use_awaitable);
  }
  if (done) done = co_await (*file)->sync();
  co_return done;
}

sys::Task<Result<>> write_qcow2(sys::Runtime& runtime, Lease image, Role role, std::string to) {
  ByteVector bytes(kPiece_bytes);
  const auto range = pieces_of_role(image->manifest(), role);
  for (auto piece = range.first; piece < range.end; ++piece) {
    auto read = image->read(piece, bytes);
    if (!read) co_return read;
    if (piece % kPiecesATurn == 0) co_await boost::asio::post(runtime.executor, boost::asio::use_awaitable);
  }
  auto converted = co_await convert_to_qcow2(runtime, image->path(role), to, kConversionLimit);
  co_return converted;
}

}  // namespace

sys::Task<Result<>> export_file(sys::Runtime& runtime, Lease image, Role role, std::string to, std::string format) {
  const auto context = fmt::format("export {} of image {} to {}", to_string(role), ami_of(image->id()), to);
  if (format != "raw" && format != "qcow2") {
    co_return fail(Errc::invalid_argument, "{}: format \"{}\" (raw or qcow2)", context, format);
  }
  if (!file_of(image->manifest(), role)) co_return fail(Errc::not_found, "{}: it has none", context);
  if (!image->complete()) co_return fail(Errc::conflict, "{}: the image is not whole yet", context);
  if (runtime.files.exists(to)) co_return fail(Errc::conflict, "{}: there is a file already", context);
  auto task = format == "raw" ? write_raw(runtime, image, role, to) : write_qcow2(runtime, image, role, to);
  auto written = co_await std::move(task);
  if (written) co_return Result<>{};
  (void)runtime.page_files.remove(to);
  co_return fail(written, context);
}

}  // namespace godwit::image
