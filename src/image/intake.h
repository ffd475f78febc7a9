// What a store of images answers those who bring it one: the receiving end of image/shipment.h, call by call.
// docs/protocols/image-store.md
#pragma once

#include "image/known_blocks.h"
#include "image/parcel.h"
#include "image/repository.h"
#include "wire/image.h"

#include <functional>
#include <list>
#include <memory>
#include <string>

namespace godwit::image {

struct IntakeCaller {
  std::string who;
  std::function<bool(const std::string& id)> may_use;  // an image's blocks; absent: of every image
};
inline constexpr std::size_t kIntakeTransfers = 2;  // whose indexes are kept: 48 MiB each at most

// One strand. Whom the caller speaks for has been checked; what they say is hostile.
class Intake {
 public:
  explicit Intake(Repository& repository) : repository_(repository) {}

  // Room is asked for here, and not when it is full. Errors: invalid_argument (the manifest), exhausted (with what to
  // remove), io.
  [[nodiscard]] Result<wire::ImageContent> offer(const wire::ImageOffer& offer);
  // Errors of this and the others: not_found.
  [[nodiscard]] Result<wire::ImageContent> look(const std::string& id);
  // Errors: not_authentic (the manifest says otherwise), io.
  [[nodiscard]] Result<> set_list(const std::string& id, ByteView list);
  // `tags`: 16 a piece (image/parcel.h), of at most kParcelPieces. The answer: 16 bits a piece, big-endian, bit n:
  // block n is here, in an image that the caller may use. Errors: protocol.
  [[nodiscard]] Result<std::string> known(const IntakeCaller& caller, const std::string& id, ByteView tags);
  // Errors: those of take_parcel().
  [[nodiscard]] Result<wire::ParcelReceipt> take(const IntakeCaller& caller, const std::string& id, ByteView parcel);

 private:
  // What one caller may have put together for one image.
  struct Transfer {
    std::string who;
    std::string id;
    std::unique_ptr<KnownBlocks> known;
  };
  [[nodiscard]] KnownBlocks& known_to(const IntakeCaller& caller, const std::string& id);
  void forget(const std::string& id);

  Repository& repository_;
  std::list<Transfer> transfers_;  // used last first
};

}  // namespace godwit::image
