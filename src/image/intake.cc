#include "image/intake.h"

#include "image/shown_pieces.h"

#include <algorithm>
#include <map>

namespace godwit::image {
namespace {

constexpr std::string_view kUser = "who brings it";
constexpr std::uint64_t kIndexAtOnce = 16'384;  // pieces, a call: 1 GiB of content
constexpr std::size_t kTags_bytes = kPiece_blocks * sizeof(BlockTag);

std::unexpected<Error> not_begun(const std::string& id) {
  return fail(Errc::not_found, "image {:.12}…: you have not begun to bring it here (POST /v1/image-contents)", id);
}

// What an upload may be told of: a piece that others brought is not there for those who have not shown it.
struct View {
  const StoredImage& image;
  const Upload* upload;  // nullptr: all

  [[nodiscard]] bool has_list() const { return image.has_list() && (!upload || upload->has_list); }
  [[nodiscard]] bool has(std::uint64_t piece) const {
    return image.has(piece) && (!upload || image.is_zero(piece) || upload->shown.contains(piece));
  }
};

wire::ImageContent content_of(const View& view, std::uint64_t listed) {
  wire::ImageContent out;
  out.id = view.image.id();
  out.bytes = bytes_of(view.image.manifest());
  out.pieces = view.image.count();
  out.has_list = view.has_list();
  out.listed = out.has_list ? out.pieces : listed;
  if (!out.has_list) return out;
  auto& missing = out.missing;
  for (std::uint64_t piece = 0; piece < out.pieces; ++piece) {
    if (view.has(piece)) {
      ++out.here;
    } else if (!missing.empty() && missing.back().first + missing.back().count == piece) {
      ++missing.back().count;
    } else if (missing.size() < wire::kMissingRanges) {
      missing.push_back({piece, 1});
    }
  }
  return out;
}

// What a parcel may be compressed against: what its sender has shown of the image, and others that they may use.
class PrefixReader {
 public:
  PrefixReader(View own, std::function<Lease(const ImageId&)> usable) : own_(own), usable_(std::move(usable)) {}

  // As ReadPrefix. Nobody checks the block: what is made of it is.
  bool operator()(const ImageId& image, std::uint64_t block, ByteSpan into) {
    const auto piece = block / kPiece_blocks;
    if (image.empty()) return piece < own_.image.count() && own_.has(piece) && own_.image.read_block(block, into);
    const auto [found, is_new] = others_.try_emplace(image);
    if (is_new) found->second = usable_(image);
    const auto* other = found->second.get();
    return other && piece < other->count() && other->has(piece) && other->read_block(block, into);
  }

 private:
  View own_;
  std::function<Lease(const ImageId&)> usable_;
  std::map<ImageId, Lease> others_;
};

std::uint64_t solid_of(ByteView list) {
  std::uint64_t solid = 0;
  for (std::size_t at = 0; at < list.size(); at += kDigest_bytes) {
    if (!std::ranges::equal(list.subspan(at, kDigest_bytes), zero_piece())) ++solid;
  }
  return solid;
}

}  // namespace

// ---- who brings what

// Of the last few callers; who comes back later begins a list anew that was not whole.
Result<Intake::Session*> Intake::session(const IntakeCaller& caller, const std::string& id) {
  const bool may_use = !caller.may_use || caller.may_use(id);
  const auto same = [&](const Session& each) { return each.who == caller.who && each.image->id() == id; };
  auto found = std::ranges::find_if(sessions_, same);
  std::optional<Upload> upload;
  if (!may_use && (found == sessions_.end() || !found->upload)) {
    auto known = uploads_.find(caller.who, id);
    if (!known && known.error().code == Errc::not_found) return not_begun(id);
    if (!known) return pass(known);
    upload = std::move(*known);
  }
  if (found == sessions_.end()) {
    auto lease = repository_.open(id, std::string(kUser));
    if (!lease && lease.error().code == Errc::not_found) return not_begun(id);
    if (!lease) return pass(lease);
    sessions_.push_front({caller.who, std::move(*lease), {}, {}});
    if (sessions_.size() > kIntakeSessions) sessions_.pop_back();
    found = sessions_.begin();
  }
  if (may_use) found->upload.reset();
  if (upload) found->upload = std::move(upload);
  sessions_.splice(sessions_.begin(), sessions_, found);
  return &sessions_.front();
}

void Intake::forget(const std::string& id) {
  sessions_.remove_if([&](const Session& each) { return each.image->id() == id; });
  transfers_.remove_if([&](const Transfer& each) { return each.id == id; });
}

// Asked in the same way whether or not others have brought the image.
Result<> Intake::check_room(std::uint64_t need_bytes) const {
  const auto room = repository_.room_bytes();
  if (need_bytes <= room) return {};
  constexpr double kGiB = 1ULL << 30U;
  return fail(Errc::exhausted, "it needs {:.2f} GiB, and this store has room for {:.2f} GiB: remove images",
              static_cast<double>(need_bytes) / kGiB, static_cast<double>(room) / kGiB);
}

Result<> Intake::begin_upload(const IntakeCaller& caller, const std::string& text) {
  const auto manifest = parse_manifest(text);
  if (!manifest) return pass(manifest);
  const auto id = id_of(text);
  if (!caller.may_use || caller.may_use(id) || uploads_.find(caller.who, id)) return {};
  const auto pieces = pieces_of(*manifest);
  if (auto room = check_room(StoredImage::need_bytes(pieces, 1)); !room) return room;
  return uploads_.begin(caller.who, id, pieces);
}

Result<wire::ImageContent> Intake::offer(const IntakeCaller& caller, const wire::ImageOffer& offer) {
  const auto begun = begin_upload(caller, offer.manifest);
  if (!begun) return fail(begun, "image");
  const auto lease = repository_.begin(offer.manifest, {}, std::string(kUser));
  if (!lease) return fail(lease, "image");
  return look(caller, (*lease)->id());
}

Result<wire::ImageContent> Intake::look(const IntakeCaller& caller, const std::string& id) {
  const auto at = session(caller, id);
  if (!at) return pass(at);
  const auto& of = **at;
  return content_of({*of.image, of.upload ? &*of.upload : nullptr}, of.list ? of.list->count() : 0);
}

Result<bool> Intake::is_whole_for(const IntakeCaller& caller, const std::string& id) {
  const auto content = look(caller, id);
  if (!content) return pass(content);
  return content->has_list && content->here == content->pieces;
}

// ---- the list

// Lists of others that are on their way are forgotten, those that nobody went on with for longest first.
void Intake::make_room_for_list(const Session& of, std::size_t bytes) {
  std::uint64_t sum = bytes;
  for (const auto& each : sessions_) sum += each.list ? each.list->count() * kDigest_bytes : 0;
  for (auto each = sessions_.rbegin(); each != sessions_.rend() && sum > kIncomingLists_bytes; ++each) {
    if (!each->list || &*each == &of) continue;
    sum -= each->list->count() * kDigest_bytes;
    each->list.reset();
  }
}

Result<> Intake::add_to_list(const IntakeCaller& caller, const std::string& id, std::uint64_t first, ByteView part) {
  const auto at = session(caller, id);
  if (!at) return pass(at);
  auto& of = **at;
  if (View{*of.image, of.upload ? &*of.upload : nullptr}.has_list()) return {};
  const auto digests = open_list_part(part);
  if (!digests) return fail(digests, "image " + ami_of(id));
  if (!of.list) of.list.emplace(of.image->manifest());
  make_room_for_list(of, digests->size());
  const auto added = of.list->add(first, *digests);
  if (!added && added.error().code == Errc::not_authentic) of.list.reset();
  if (!added) return fail(added, "image " + ami_of(id));
  if (!of.list->complete()) return {};
  const auto whole = std::exchange(of.list, std::nullopt);
  const auto taken = take_list(of, whole->bytes());
  if (!taken) return fail(taken, "image " + ami_of(id));
  return {};
}

Result<> Intake::take_list(Session& of, ByteView list) {
  if (of.upload) {
    const auto need_bytes = StoredImage::need_bytes(of.image->count(), solid_of(list));
    if (auto room = check_room(need_bytes); !room) return room;
    if (auto told = uploads_.list_shown(of.who, of.image->id(), need_bytes); !told) return told;
    of.upload->has_list = true;
  }
  return of.image->set_list(list);
}

// ---- pieces

// Of the last few transfers; another one's index is made anew when it goes on.
KnownBlocks& Intake::known_to(const IntakeCaller& caller, const std::string& id) {
  const auto mine = [&](const Transfer& each) { return each.who == caller.who && each.id == id; };
  const auto found = std::ranges::find_if(transfers_, mine);
  if (found != transfers_.end()) {
    transfers_.splice(transfers_.begin(), transfers_, found);
  } else {
    transfers_.push_front(
        {caller.who, id, std::make_unique<KnownBlocks>(repository_, id, kKnownBlocks_bytes, caller.may_use)});
    if (transfers_.size() > kIntakeTransfers) transfers_.pop_back();
  }
  auto& known = *transfers_.front().known;
  static_cast<void>(known.advance(kIndexAtOnce));
  return known;
}

Result<std::string> Intake::known(const IntakeCaller& caller, const std::string& id, ByteView tags) {
  const auto brings = session(caller, id);
  if (!brings) return pass(brings);
  if (tags.empty() || tags.size() % kTags_bytes != 0 || tags.size() / kTags_bytes > kParcelPieces) {
    return fail(Errc::protocol, "image blocks: {} bytes are not the tags of 1 to {} pieces", tags.size(),
                kParcelPieces);
  }
  auto& known = known_to(caller, id);
  std::array<std::byte, kPage_bytes> block{};
  std::string out;
  for (std::size_t at = 0; at < tags.size(); at += kTags_bytes) {
    std::uint16_t bits = 0;
    for (std::size_t i = 0; i < kPiece_blocks; ++i) {
      const bool is_here = known.read(tags.subspan(at + i * sizeof(BlockTag), sizeof(BlockTag)), block);
      if (is_here) bits = static_cast<std::uint16_t>(bits | 1U << i);
    }
    std::array<std::byte, 2> two{};
    store_be16(two, bits);
    out += as_text(two);
  }
  return out;
}

// Whole, and the caller's to use; else nullptr.
Lease Intake::usable(const IntakeCaller& caller, const ImageId& id) {
  if (caller.may_use && !caller.may_use(id)) return nullptr;
  auto lease = repository_.open(id, std::string(kUser), Purpose::look);
  return lease && (*lease)->complete() ? std::move(*lease) : nullptr;
}

Result<std::string> Intake::prefixes(const IntakeCaller& caller, const std::string& id, ByteView ids) {
  const auto brings = session(caller, id);
  if (!brings) return pass(brings);
  if (ids.size() % kDigest_bytes != 0 || ids.size() / kDigest_bytes > kPrefixImages) {
    return fail(Errc::protocol, "image prefixes: {} bytes are not the ids of at most {} images", ids.size(),
                kPrefixImages);
  }
  std::string out;
  for (std::size_t at = 0; at < ids.size(); at += kDigest_bytes) {
    const auto usable_one = usable(caller, to_hex(ids.subspan(at, kDigest_bytes)));
    out += usable_one ? '\1' : '\0';
  }
  return out;
}

Result<wire::ParcelReceipt> Intake::take(const IntakeCaller& caller, const std::string& id, ByteView parcel) {
  const auto at = session(caller, id);
  if (!at) return pass(at);
  auto& of = **at;
  if (!View{*of.image, of.upload ? &*of.upload : nullptr}.has_list()) {
    return fail(Errc::conflict, "image {:.12}…: its list comes first", id);
  }
  PieceSet nobodys(of.image->count());
  ShownPieces pieces(*of.image, of.upload ? of.upload->shown : nobodys);
  const FindBlock find = [&](const BlockTag& tag, ByteSpan into) { return known_to(caller, id).read(tag, into); };
  PrefixReader read({*of.image, of.upload ? &*of.upload : nullptr},
                    [&](const ImageId& other) { return usable(caller, other); });
  auto taken = take_parcel(parcel, pieces, find, std::ref(read));
  if (of.upload && !pieces.fresh().empty()) {
    const auto told = uploads_.pieces_shown(of.who, id, of.upload->shown, pieces.fresh());
    if (!told) return pass(told);
  }
  if (!taken) return pass(taken);
  if (of.image->complete()) std::erase_if(transfers_, [&](const Transfer& each) { return each.id == id; });
  return wire::ParcelReceipt{taken->pieces, std::move(taken->refused)};
}

}  // namespace godwit::image
