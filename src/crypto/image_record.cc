#include "crypto/image_record.h"

#include "base/id.h"
#include "crypto/statement_kind.h"

#include <algorithm>

namespace godwit::crypto {
namespace {

struct Image {
  using Said = ImageRecord;
  static constexpr auto kKind = StatementKind::image;
  static constexpr std::string_view kName = "image record";

  static Result<> check(const Said& record) {
    if (!is_label(record.cloud)) return fail(Errc::invalid_argument, "cloud must be a DNS label");
    return {};
  }
  static void write(const Said& record, ByteVector& out) {
    append(out, record.manifest);
    append_short_text(out, record.cloud);
  }
  static void read(ByteReader& from, Said& out) {
    const auto manifest = from.take(out.manifest.size());
    std::copy(manifest.begin(), manifest.end(), out.manifest.begin());
    out.cloud = from.short_text();
  }
  static const std::string& by(const Said& record) { return record.cloud; }
  static std::string about(const Said& record) {
    return fmt::format("of {:.12}… of {}", to_hex(record.manifest), record.cloud);
  }
};

}  // namespace

Result<ByteVector> encode_image_record(const ImageRecord& record) { return encode_as<Image>(record); }

Result<ByteVector> sign_image_record(const ImageRecord& record, const Key& authority) {
  return sign_as<Image>(record, authority);
}

Result<ImageRecord> read_image_record(ByteView record) { return read_as<Image>(record); }

Result<ImageRecord> open_image_record(ByteView record, const Authority& authority, WallTime now) {
  return open_as<Image>(record, authority, now);
}

}  // namespace godwit::crypto
