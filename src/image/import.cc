#include "image/import.h"

#include "base/zero.h"
#include "image/content.h"
#include "image/recipe.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace godwit::image {
namespace {

constexpr std::uint64_t kPiecesATurn = 32;  // 2 MiB: a millisecond or two, before others have theirs

std::string directory_part(const std::string& path, std::string_view name) { return fmt::format("{}/{}", path, name); }

class Import {
 public:
  Import(sys::Runtime& runtime, Repository& images, ImportSource source, ImportOptions options)
      : runtime_(runtime),
        images_(images),
        source_(std::move(source)),
        options_(std::move(options)),
        scratch_(directory_part(images.directory(), runtime.random.id(kScratchPrefix))) {}

  ~Import() { remove_scratch(); }
  Import(const Import&) = delete;
  Import& operator=(const Import&) = delete;

  sys::Task<Result<ImageId>> run() {
    auto opened = co_await open_all();
    if (!opened) co_return pass(opened);
    auto looked = co_await look();
    if (!looked) co_return pass(looked);
    auto kept = co_await keep();
    if (!kept) co_return pass(kept);
    co_return id_;
  }

 private:
  // ---- opening

  sys::Task<Result<>> open_all() {
    for (auto& file : source_.files) {
      if (auto known = know_format(file); !known) co_return known;
      auto opened = co_await open(file);
      if (!opened) co_return opened;
      const auto bytes = contents_.back()->bytes();
      manifest_.files.push_back({file.role, bytes, std::string(2 * kDigest_bytes, '0')});
      all_bytes_ += bytes;
    }
    manifest_.cmdline = source_.cmdline;
    auto good = check(manifest_);
    co_return good;
  }

  // A kernel is what it is, whatever it begins with.
  Result<> know_format(ImportFile& file) {
    if (file.open || !file.format.empty()) return {};
    auto found = file.role == Role::disk ? format_of(runtime_.page_files, file.path) : Result<std::string>("raw");
    if (!found) return fail(found, "add image");
    file.format = std::move(*found);
    return {};
  }

  sys::Task<Result<>> open(ImportFile file) {
    auto content = file.open ? file.open() : open_content(runtime_.page_files, file.path, file.format);
    if (!content && !file.open && content.error().code == Errc::unsupported) {
      content = co_await convert(file);
    }
    if (!content) co_return fail(content, "add image");
    contents_.push_back(std::move(*content));
    co_return Result<>{};
  }

  // Of one file, which is the disk: nothing else has a format.
  sys::Task<Result<std::unique_ptr<Content>>> convert(ImportFile file) {
    auto limits = options_.conversion;
    limits.disk_bytes = std::min(limits.disk_bytes, images_.room_bytes());
    auto converted = co_await convert_to_raw(runtime_, file.path, file.format, scratch_, limits);
    if (!converted) co_return pass(converted);
    co_return open_content(runtime_.page_files, directory_part(scratch_, kConvertedName), "raw");
  }

  void remove_scratch() {
    if (!runtime_.files.exists(scratch_)) return;
    for (const auto name : {std::string_view("source"), kConvertedName}) {
      (void)runtime_.page_files.remove(directory_part(scratch_, name));
    }
    const auto removed = runtime_.files.remove_tree(scratch_);
    if (!removed) runtime_.log.warn("add image: {}", removed.error().message);
  }

  // ---- looking

  sys::Task<Result<>> look() {
    for (std::size_t i = 0; i < contents_.size(); ++i) {
      const auto first = list_.size();
      auto looked = co_await look_at(*contents_[i], source_.files[i].role);
      if (!looked && !source_.files[i].open && looked.error().code == Errc::unsupported) {
        // A compressed cluster: this build leaves them to qemu-img.
        auto content = co_await convert(source_.files[i]);
        if (!content) co_return fail(content, "add image");
        contents_[i] = std::move(*content);
        list_.resize(first);
        looked = co_await look_at(*contents_[i], source_.files[i].role);
      }
      if (!looked) co_return fail(looked, "add image: " + source_.files[i].path);
      manifest_.files[i].bytes = contents_[i]->bytes();
      manifest_.files[i].root = to_hex(root_of(contents_[i]->bytes(), ByteView(list_).subspan(first)));
    }
    text_ = print_manifest(manifest_);
    id_ = id_of(text_);
    auto good = check(manifest_);
    co_return good;
  }

  // Appends to the list. Of a file that says more than there is room for no more than that is read.
  sys::Task<Result<>> look_at(const Content& content, Role role) {
    ByteVector piece(kPiece_bytes);
    const auto room = std::max(images_.room_bytes(), images_.largest_bytes());
    const auto pieces = pieces_of(content.bytes());
    std::uint64_t solid = 0;
    for (std::uint64_t number = 0; number < pieces; ++number) {
      const auto digest = digest_of(content, role, number, piece);
      if (!digest) co_return pass(digest);
      if (*digest != zero_piece()) ++solid;
      append(list_, *digest);
      if (solid * kPiece_bytes > room) {
        co_return fail(Errc::exhausted, "needs more than the {} MiB for which {} has room", room >> 20U,
                       images_.directory());
      }
      if (takes_turn()) co_await boost::asio::post(runtime_.executor, boost::asio::use_awaitable);
    }
    co_return Result<>{};
  }

  Result<PieceDigest> digest_of(const Content& content, Role role, std::uint64_t number, ByteSpan piece) {
    if (content.is_hole(number * kPiece_bytes)) return zero_piece();
    if (role == Role::disk && options_.digest) {
      if (auto known = options_.digest(number)) return *known;
    }
    auto read = read_piece(content, number, piece);
    if (!read) return pass(read);
    return is_zero(ByteView(piece)) ? zero_piece() : digester_.digest(piece);
  }

  // Of a piece at a file's end the rest is zeros.
  static Result<> read_piece(const Content& content, std::uint64_t number, ByteSpan into) {
    const auto offset = number * kPiece_bytes;
    const auto there = std::min<std::uint64_t>(kPiece_bytes, content.bytes() - offset);
    if (content.is_hole(offset)) {
      std::ranges::fill(into, std::byte{0});
      return {};
    }
    std::ranges::fill(into.subspan(there), std::byte{0});
    return content.read(offset, into.first(there));
  }

  bool takes_turn() {
    done_bytes_ += kPiece_bytes;
    if (++turns_ % kPiecesATurn != 0) return false;
    if (options_.progress) options_.progress(std::min(done_bytes_, 2 * all_bytes_), 2 * all_bytes_);
    return true;
  }

  // ---- keeping

  sys::Task<Result<>> keep() {
    ByteVector signature;
    if (options_.sign) {
      auto said = options_.sign(crypto::sha256(as_bytes(text_)));
      if (!said) co_return fail(said, "add image " + ami_of(id_));
      signature = std::move(*said);
    }
    const bool is_new = !images_.find(id_).has_value();
    auto lease = images_.begin(text_, signature, "image add");
    if (!lease) co_return pass(lease);
    auto put = co_await put_all(*lease);
    if (put) put = co_await images_.settle(*lease);
    lease->reset();
    if (!put && is_new) (void)images_.remove(id_);
    co_return put;
  }

  sys::Task<Result<>> put_all(Lease image) {
    if (auto listed = image->set_list(list_); !listed) co_return listed;
    ByteVector bytes(kPiece_bytes);
    std::uint64_t piece = 0;
    for (std::size_t i = 0; i < contents_.size(); ++i) {
      const auto pieces = pieces_of(contents_[i]->bytes());
      for (std::uint64_t number = 0; number < pieces; ++number, ++piece) {
        if (takes_turn()) co_await boost::asio::post(runtime_.executor, boost::asio::use_awaitable);
        if (image->has(piece)) continue;
        auto done = read_piece(*contents_[i], number, bytes);
        if (done) done = image->put(piece, bytes, known_of(manifest_.files[i].role, number));
        if (!done && done.error().code == Errc::not_authentic) {
          co_return fail(Errc::conflict, "add image: {} changes while it is read", source_.files[i].path);
        }
        if (!done) co_return done;
      }
    }
    co_return Result<>{};
  }

  std::span<const StoredImage::Known> known_of(Role role, std::uint64_t number) {
    if (role != Role::disk || !options_.known) return {};
    known_ = options_.known(number);
    return known_;
  }

  sys::Runtime& runtime_;
  Repository& images_;
  ImportSource source_;
  ImportOptions options_;
  std::string scratch_;
  PieceDigester digester_;
  std::vector<std::unique_ptr<Content>> contents_;
  Manifest manifest_;
  ByteVector list_;
  std::string text_;
  ImageId id_;
  std::uint64_t all_bytes_{0};
  std::uint64_t done_bytes_{0};
  std::uint64_t turns_{0};
  PieceKnown known_{};  // of the last piece that was asked for
};

}  // namespace

Result<ImportSource> source_of(sys::Files& files, const std::string& path) {
  ImportSource source;
  if (!files.exists(path)) return fail(Errc::not_found, "add image: {}: there is no such file", path);
  if (!files.exists(path + "/manifest.json")) {
    source.files.push_back({Role::disk, path, {}});
    return source;
  }
  auto recipe = read_recipe(files, path);
  if (!recipe) return pass(recipe);
  if (!recipe->disk_path.empty()) source.files.push_back({Role::disk, recipe->disk_path, recipe->recipe.format});
  if (!recipe->kernel_path.empty()) source.files.push_back({Role::kernel, recipe->kernel_path, "raw"});
  if (!recipe->initrd_path.empty()) source.files.push_back({Role::initrd, recipe->initrd_path, "raw"});
  source.cmdline = recipe->recipe.cmdline;
  return source;
}

sys::Task<Result<ImageId>> import_image(sys::Runtime& runtime, Repository& images, ImportSource source,
                                        ImportOptions options) {
  Import import(runtime, images, std::move(source), std::move(options));
  auto outcome = co_await import.run();
  co_return outcome;
}

}  // namespace godwit::image
