// What a store of images answers those who bring it one: the receiving end of image/shipment.h, call by call.
// docs/protocols/image-store.md
#pragma once

#include "image/incoming_list.h"
#include "image/known_blocks.h"
#include "image/parcel.h"
#include "image/repository.h"
#include "image/upload_ledger.h"
#include "wire/image.h"

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

namespace godwit::image {

struct IntakeCaller {
  std::string who;
  // That image's content is theirs, or everybody's; absent: every image is.
  std::function<bool(const std::string& id)> may_use;
};
inline constexpr std::size_t kIntakeTransfers = 2;  // whose indexes are kept: 48 MiB each at most
inline constexpr std::size_t kIntakeSessions = 32;  // of which it is known how far they are
inline constexpr std::uint64_t kIncomingLists_bytes = kPiecesLimit * kDigest_bytes;  // of memory, together

// One strand. Whom the caller speaks for has been checked; what they say is hostile. Of an image that a caller may not
// use they are told what they have shown of it themselves, as if it were here by nothing else.
class Intake {
 public:
  // Both outlive it.
  Intake(Repository& repository, UploadLedger& uploads) : repository_(repository), uploads_(uploads) {}

  // Room is asked for here, and not when it is full. Errors: invalid_argument (the manifest), exhausted (with what to
  // remove), io.
  [[nodiscard]] Result<wire::ImageContent> offer(const IntakeCaller& caller, const wire::ImageOffer& offer);
  // Errors of this and the others: not_found (they have not offered it).
  [[nodiscard]] Result<wire::ImageContent> look(const IntakeCaller& caller, const std::string& id);
  // `part`: the digests of the pieces from `first` on, as they travel (image/list_part.h). Errors: those of
  // IncomingList::add(); exhausted, io.
  [[nodiscard]] Result<> add_to_list(const IntakeCaller& caller, const std::string& id, std::uint64_t first,
                                     ByteView part);
  // `tags`: 16 a piece (image/parcel.h), of at most kParcelPieces. The answer: 16 bits a piece, big-endian, bit n:
  // block n is here, in an image that the caller may use. Errors: protocol.
  [[nodiscard]] Result<std::string> known(const IntakeCaller& caller, const std::string& id, ByteView tags);
  // `ids`: of images, 32 bytes each, at most kPrefixImages. The answer: a byte each; 1: parcels may be compressed
  // against it, and against the pieces of this image that have come. Errors: protocol.
  [[nodiscard]] Result<std::string> prefixes(const IntakeCaller& caller, const std::string& id, ByteView ids);
  // A receipt of no pieces and none refused: the parcel must come without its prefix. Errors: those of take_parcel().
  [[nodiscard]] Result<wire::ParcelReceipt> take(const IntakeCaller& caller, const std::string& id, ByteView parcel);

  // All of it is here, and they may use it or have shown all of it.
  [[nodiscard]] Result<bool> is_whole_for(const IntakeCaller& caller, const std::string& id);
  // Nothing of the image is held here any more, so that it may be removed.
  void forget(const std::string& id);

 private:
  // One caller who brings one image.
  struct Session {
    std::string who;
    Lease image;
    std::optional<IncomingList> list;  // until it is whole
    std::optional<Upload> upload;      // of an image that they may not use
  };
  // What one caller may have put together for one image.
  struct Transfer {
    std::string who;
    std::string id;
    std::unique_ptr<KnownBlocks> known;
  };
  [[nodiscard]] Result<Session*> session(const IntakeCaller& caller, const std::string& id);
  [[nodiscard]] Result<> begin_upload(const IntakeCaller& caller, const std::string& manifest);
  [[nodiscard]] Result<> check_room(std::uint64_t need_bytes) const;
  [[nodiscard]] Result<> take_list(Session& of, ByteView list);
  [[nodiscard]] Lease usable(const IntakeCaller& caller, const ImageId& id);
  void make_room_for_list(const Session& of, std::size_t bytes);
  [[nodiscard]] KnownBlocks& known_to(const IntakeCaller& caller, const std::string& id);

  Repository& repository_;
  UploadLedger& uploads_;
  std::list<Session> sessions_;    // used last first
  std::list<Transfer> transfers_;  // likewise
};

}  // namespace godwit::image
