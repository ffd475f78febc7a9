// The cloud's word that an image is one of its own: what a host asks for before it begins to take one. Byte by byte in
// docs/formats/host-record.md.
#pragma once

#include "crypto/digest.h"
#include "crypto/statement.h"

namespace godwit::crypto {

// "The image with that manifest is mine." A value.
struct ImageRecord {
  std::string cloud;
  Sha256Digest manifest{};  // of its text (docs/formats/image.md)
  Validity validity;        // whole seconds
};

// Of what is signed: without the signature. Errors: invalid_argument.
[[nodiscard]] Result<ByteVector> encode_image_record(const ImageRecord& record);
// Errors: those of encode_image_record().
[[nodiscard]] Result<ByteVector> sign_image_record(const ImageRecord& record, const Key& authority);
// What it says, whoever signed it. For any bytes. Errors: invalid_argument.
[[nodiscard]] Result<ImageRecord> read_image_record(ByteView record);
// The same, believed: `authority` is the CA of `cloud`, has signed it, and it is valid at `now`. Errors:
// invalid_argument, not_authentic, timed_out.
[[nodiscard]] Result<ImageRecord> open_image_record(ByteView record, const Authority& authority, WallTime now);

}  // namespace godwit::crypto
