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

// One file of an image on its way out. Its pieces are looked at one after the other; others have their turns meanwhile.
struct Way {
  sys::Runtime& runtime;
  Lease image;
  Role role;
  std::string to;
  std::function<void(const ExportProgress&)> on_progress;
};

sys::Task<void> take_turns(const Way* way, Range range, std::uint64_t piece) {
  if (piece % kPiecesATurn != 0) co_return;
  if (way->on_progress) way->on_progress({range.end - range.first, piece - range.first});
  co_await boost::asio::post(way->runtime.executor, boost::asio::use_awaitable);
}

sys::Task<Result<>> write_raw(const Way* way) {
  auto file = way->runtime.page_files.create(way->to, kImageFileMode);
  if (!file) co_return pass(file);
  auto& image = *way->image;
  auto done = (*file)->resize(file_of(image.manifest(), way->role)->bytes);
  const auto range = pieces_of_role(image.manifest(), way->role);
  for (auto piece = range.first; done && piece < range.end; ++piece) {
    if (!image.is_zero(piece)) done = image.copy_to(piece, **file);
    co_await take_turns(way, range, piece);
  }
  if (done) done = co_await (*file)->sync();
  co_return done;
}

sys::Task<Result<>> write_qcow2(const Way* way) {
  ByteVector bytes(kPiece_bytes);
  auto& image = *way->image;
  const auto range = pieces_of_role(image.manifest(), way->role);
  for (auto piece = range.first; piece < range.end; ++piece) {
    auto read = image.is_zero(piece) ? Result<>{} : image.read(piece, bytes);
    if (!read) co_return read;
    co_await take_turns(way, range, piece);
  }
  auto converted = co_await convert_to_qcow2(way->runtime, image.path(way->role), way->to, kConversionLimit);
  co_return converted;
}

// What was begun goes with whoever ends before it is whole.
class Begun {
 public:
  Begun(sys::PageFiles& files, const std::string& path) : files_(files), path_(path) {}
  ~Begun() {
    if (!whole_) (void)files_.remove(path_);
  }
  Begun(const Begun&) = delete;
  Begun& operator=(const Begun&) = delete;
  void is_whole() { whole_ = true; }

 private:
  sys::PageFiles& files_;
  std::string path_;
  bool whole_{false};
};

}  // namespace

sys::Task<Result<>> export_file(sys::Runtime& runtime, Lease image, Role role, std::string to, std::string format,
                                std::function<void(const ExportProgress&)> on_progress) {
  const auto context = fmt::format("export {} of image {} to {}", to_string(role), ami_of(image->id()), to);
  if (format != "raw" && format != "qcow2") {
    co_return fail(Errc::invalid_argument, "{}: format \"{}\" (raw or qcow2)", context, format);
  }
  if (!file_of(image->manifest(), role)) co_return fail(Errc::not_found, "{}: it has none", context);
  if (!image->complete()) co_return fail(Errc::conflict, "{}: the image is not whole yet", context);
  if (runtime.files.exists(to)) co_return fail(Errc::conflict, "{}: there is a file already", context);
  const Way way{runtime, std::move(image), role, to, std::move(on_progress)};
  Begun begun(runtime.page_files, to);
  auto task = format == "raw" ? write_raw(&way) : write_qcow2(&way);
  auto written = co_await std::move(task);
  if (!written) co_return fail(written, context);
  begun.is_whole();
  co_return Result<>{};
}

}  // namespace godwit::image
