// Images by content, as the APIs of cloud and sky say them: an image is put together by its content's id, then named.
#pragma once

#include "wire/json.h"

#include <cstdint>
#include <string>
#include <vector>

namespace godwit::wire {

// POST /v1/image-contents: "this is to come". Asking twice is asking once.
struct ImageOffer {
  std::string manifest;   // docs/formats/image.md
  std::string signature;  // of the cloud that it comes from; empty: from a user
};
BOOST_DESCRIBE_STRUCT(ImageOffer, (), (manifest, signature))

struct PieceRange {
  std::uint64_t first{0};
  std::uint64_t count{0};

  bool operator==(const PieceRange&) const = default;
};
BOOST_DESCRIBE_STRUCT(PieceRange, (), (first, count))

inline constexpr std::size_t kMissingRanges = 512;  // at most, in one answer

// What of an image is there.
struct ImageContent {
  std::string id;                   // 64 hex digits
  std::uint64_t bytes{0};           // of its files, as guests see them
  std::uint64_t pieces{0};          // of 64 KiB, those of zeros among them
  bool has_list{false};             // of the pieces' digests: before it no piece is taken
  std::uint64_t here{0};            // pieces
  std::vector<PieceRange> missing;  // in order, from the beginning
  std::uint64_t listed{0};          // digests of the list that have come; before it is here
};
BOOST_DESCRIBE_STRUCT(ImageContent, (), (id, bytes, pieces, has_list, here, missing, listed))

// What became of a parcel (docs/formats/parcel.md).
struct ParcelReceipt {
  std::uint64_t pieces{0};             // that are there now
  std::vector<std::uint64_t> refused;  // must come whole
};
BOOST_DESCRIBE_STRUCT(ParcelReceipt, (), (pieces, refused))

// PUT /v1/images/{name}: the name means this content from now on. It is whole, or the call fails.
struct ImageName {
  std::string name;
  std::string id;
};
BOOST_DESCRIBE_STRUCT(ImageName, (), (name, id))

// GET /v1/images of a cloud.
struct CloudImage {
  std::string name;
  std::string id;
  bool by_content{false};  // it can be fetched from the cloud; else it lies on its hosts
  bool own{false};         // the caller's, who may remove it; else everybody's
  bool whole{true};        // in the cloud's store; it may have lost something of it since it was named
};
BOOST_DESCRIBE_STRUCT(CloudImage, (), (name, id, by_content, own, whole))
struct CloudImageList {
  std::vector<CloudImage> images;
};
BOOST_DESCRIBE_STRUCT(CloudImageList, (), (images))

// What became of an audit of an image at one place: each piece is read and compared.
struct ImageCheck {
  std::string sha256;
  std::uint64_t number{0};  // of the check that was asked for: when that was, in ms since 1970
  bool done{false};
  std::uint64_t pieces{0};  // that were looked at, so far
  std::uint64_t of{0};
  std::uint64_t bad{0};       // were not what they should be: they are fetched again
  std::uint64_t repaired{0};  // of these, by now
  std::string problem;        // why it could not be ended

  bool operator==(const ImageCheck&) const = default;
};
BOOST_DESCRIBE_STRUCT(ImageCheck, (), (sha256, number, done, pieces, of, bad, repaired, problem))

// POST and GET /v1/images/{name}/check of a cloud.
struct PlaceCheck {
  std::string host;  // empty: the cloud's own store
  bool alive{false};
  ImageCheck check;
};
BOOST_DESCRIBE_STRUCT(PlaceCheck, (), (host, alive, check))
struct CloudImageCheck {
  std::string cloud;
  std::string id;                  // of the content
  std::uint64_t number{0};         // 0: none was asked for yet
  std::vector<PlaceCheck> places;  // that have it
  std::string problem{};           // in sky's answer: why the cloud says nothing
};
BOOST_DESCRIBE_STRUCT(CloudImageCheck, (), (cloud, id, number, places, problem))

// ---- of sky

// POST and GET /v1/images/{name}/check of sky: of its own store, as of a cloud without a name, and of each cloud.
struct SkyImageCheck {
  std::string name;
  std::vector<CloudImageCheck> clouds;
};
BOOST_DESCRIBE_STRUCT(SkyImageCheck, (), (name, clouds))
struct SkyImageChecks {
  std::vector<SkyImageCheck> images;
};
BOOST_DESCRIBE_STRUCT(SkyImageChecks, (), (images))

// POST /v1/images: takes it in from a file of sky's own machine.
struct AddImage {
  std::string name;
  std::string path;  // absolute: a disk image that qemu-img reads, or a directory with manifest.json
};
BOOST_DESCRIBE_STRUCT(AddImage, (), (name, path))

// POST /v1/images/{name}/push
struct PushImage {
  std::vector<std::string> clouds;  // empty: every account
};
BOOST_DESCRIBE_STRUCT(PushImage, (), (clouds))

// POST /v1/images/{name}/export: writes its disk to a file of sky's own machine, which is not there yet.
struct ExportImage {
  std::string path;    // absolute
  std::string format;  // "raw" or "qcow2"
};
BOOST_DESCRIBE_STRUCT(ExportImage, (), (path, format))

// POST /v1/images/{name}/pull: brings it here from a cloud that has it.
struct PullImage {
  std::string cloud;  // empty: the one that has it
};
BOOST_DESCRIBE_STRUCT(PullImage, (), (cloud))

BOOST_DEFINE_ENUM_CLASS(PushState, sending, done, failing)

// What sky does, or has done, to bring an image to a cloud.
struct ImagePush {
  std::string cloud;
  PushState state{PushState::sending};
  std::uint64_t pieces{0};
  std::uint64_t here{0};        // at the cloud
  std::uint64_t sent_bytes{0};  // by this sky, in bodies of requests
  std::string problem;          // of the last attempt; it is tried again
};
BOOST_DESCRIBE_STRUCT(ImagePush, (), (cloud, state, pieces, here, sent_bytes, problem))

BOOST_DEFINE_ENUM_CLASS(ExportState, writing, done, failed)

// What this sky process does, or has done, to write an image's disk to a file.
struct ImageExport {
  std::string path;
  std::string format;
  ExportState state{ExportState::writing};
  std::uint64_t pieces{0};
  std::uint64_t written{0};
  std::string problem;
};
BOOST_DESCRIBE_STRUCT(ImageExport, (), (path, format, state, pieces, written, problem))

// How an image comes from a cloud, or has come.
struct ImagePull {
  std::string cloud;  // empty: it does not, as far as this process knows
  std::uint64_t pieces{0};
  std::uint64_t here{0};
  std::uint64_t received_bytes{0};  // in bodies of answers
};
BOOST_DESCRIBE_STRUCT(ImagePull, (), (cloud, pieces, here, received_bytes))

struct SkyImage {
  std::string name;
  std::string id;   // empty: it is being taken in
  std::string ami;  // as users of EC2 know it
  std::uint64_t bytes{0};
  std::string problem;  // why it was not taken in
  std::vector<ImagePush> pushes;
  std::vector<ImageExport> exports{};  // the last few
  ImagePull pull{};
};
BOOST_DESCRIBE_STRUCT(SkyImage, (), (name, id, ami, bytes, problem, pushes, exports, pull))
struct SkyImageList {
  std::vector<SkyImage> images;
};
BOOST_DESCRIBE_STRUCT(SkyImageList, (), (images))

}  // namespace godwit::wire
