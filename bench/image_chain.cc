// One host of a chain (image::Distribution with real sockets, TLS and files), one process each. bench_image runs it.
//   image_chain keys DIRECTORY NAME…   a CA and an identity for each: NAME.pem, NAME.key, ca.pem
//   image_chain list FILE              makes FILE.list, the digests of its pieces, and says their own digest
//   image_chain run CONFIG             serves and pulls until SIGTERM; says "ready", and "whole" when all of it is here
#include "base/page.h"
#include "crypto/block_digests.h"
#include "crypto/identity.h"
#include "image/distribution.h"
#include "image/piece_set.h"
#include "os/system.h"
#include "wire/json.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>

namespace godwit {
namespace {

constexpr std::size_t kPemLimit_bytes = 65'536;
const std::string kCloud = "bench";

struct BenchHost {
  std::string name;
  std::string ip;
  std::string site;
};
BOOST_DESCRIBE_STRUCT(BenchHost, (), (name, ip, site))

struct Config {
  std::string keys;  // a directory
  std::string name;
  std::uint16_t port{0};
  std::string file;
  std::uint64_t pieces{0};
  std::string list_sha256;
  std::vector<BenchHost> hosts;
};
BOOST_DESCRIBE_STRUCT(Config, (), (keys, name, port, file, pieces, list_sha256, hosts))

// As docs/formats/image.md names a piece.
class PieceDigester {
 public:
  image::PieceDigest digest(ByteView piece) {
    std::array<std::byte, 32 * image::kPiece_bytes / kPage_bytes> blocks;
    blocks_.digest(piece, blocks);
    return crypto::sha256(blocks);
  }

 private:
  crypto::BlockDigests blocks_{crypto::BlockDigests::fastest()};
};

// One file that is an image. It is whole from the start where FILE.list is there.
class FilePieces final : public image::Pieces {
 public:
  FilePieces(sys::PageFiles& files, const Config& config)
      : here_(config.pieces), list_sha256_(config.list_sha256), digests_(config.pieces) {
    std::ifstream list(config.file + ".list", std::ios::binary);
    file_ = list ? files.open(config.file).value() : files.create(config.file).value();
    if (!list) return;
    list.read(reinterpret_cast<char*>(digests_.data()), static_cast<std::streamsize>(32 * config.pieces));
    for (std::uint64_t piece = 0; piece < config.pieces; ++piece) here_.add(piece);
    list_ = true;
  }

  [[nodiscard]] std::uint64_t count() const override { return here_.size(); }
  [[nodiscard]] bool has_list() const override { return list_; }
  [[nodiscard]] Result<> set_list(ByteView list) override {
    if (crypto::sha256_hex(list) != list_sha256_) return fail(Errc::not_authentic, "the list is another");
    std::copy_n(list.begin(), 32 * digests_.size(), reinterpret_cast<std::byte*>(digests_.data()));
    list_ = true;
    return {};
  }
  [[nodiscard]] const image::PieceDigest& digest(std::uint64_t piece) const override { return digests_[piece]; }
  [[nodiscard]] bool has(std::uint64_t piece) const override { return here_.contains(piece); }
  [[nodiscard]] bool is_zero(std::uint64_t) const override { return false; }
  [[nodiscard]] Result<> read(std::uint64_t piece, ByteSpan into) override {
    return file_->read_at(piece * image::kPiece_bytes, into);
  }
  [[nodiscard]] Result<> put(std::uint64_t piece, ByteView bytes) override {
    if (digester_.digest(bytes) != digests_[piece]) return fail(Errc::not_authentic, "piece {} is another", piece);
    auto written = file_->write_at(piece * image::kPiece_bytes, bytes);
    if (written) here_.add(piece);
    return written;
  }
  [[nodiscard]] bool whole() const { return list_ && here_.full(); }

 private:
  image::PieceSet here_;
  std::string list_sha256_;
  PieceDigester digester_;
  std::vector<image::PieceDigest> digests_;
  std::unique_ptr<sys::PageFile> file_;
  bool list_{false};
};

int make_keys(sys::Runtime runtime, const std::string& directory, const std::vector<std::string>& names) {
  const auto now = runtime.clock.wall_now();
  const crypto::Validity days{now - std::chrono::hours(24), now + std::chrono::hours(24)};
  const auto ca = crypto::Key::generate().value();
  const auto pem = crypto::make_authority(ca, kCloud, days, runtime.random).value();
  const auto write = [&](const std::string& name, const std::string& text) {
    return runtime.files.write_atomic(directory + "/" + name, text, 0600).has_value();
  };
  bool written = write("ca.pem", pem);
  for (const auto& name : names) {
    const auto key = crypto::Key::generate().value();
    const auto request = crypto::make_request(key, name).value();
    const auto certificate = crypto::sign_request(ca, pem, request, name, days, runtime.random).value();
    written = write(name + ".pem", certificate) && write(name + ".key", key.to_pem()) && written;
  }
  return written ? 0 : 1;
}

int make_list(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  PieceDigester digester;
  ByteVector list;
  ByteVector piece(image::kPiece_bytes);
  while (file.read(reinterpret_cast<char*>(piece.data()), static_cast<std::streamsize>(piece.size()))) {
    append(list, digester.digest(piece));
  }
  std::ofstream out(path + ".list", std::ios::binary);
  out.write(reinterpret_cast<const char*>(list.data()), static_cast<std::streamsize>(list.size()));
  std::cout << crypto::sha256_hex(list) << "\n";
  return out ? 0 : 1;
}

sys::Task<void> say_when_whole(sys::Clock& clock, std::shared_ptr<FilePieces> pieces) {
  while (!pieces->whole()) co_await clock.sleep_for(Millis{5});
  std::cout << "whole" << std::endl;
}

sys::Task<int> run(os::System& on, Config config) {
  auto runtime = on.runtime();
  const auto read = [&](const std::string& name) {
    return runtime.files.read(config.keys + "/" + name, kPemLimit_bytes).value();
  };
  const auto shown = on.use_identity({read(config.name + ".pem"), read(config.name + ".key")});
  if (!shown) co_return 1;
  runtime.peers.trust({{kCloud, read("ca.pem")}});
  auto listener = runtime.peers.listen("0.0.0.0", config.port);
  if (!listener) co_return 1;
  const auto pieces = std::make_shared<FilePieces>(runtime.page_files, config);
  image::Distribution distribution(runtime, config.name);
  distribution.start(std::move(*listener));
  image::Assignment assignment{"ami-bench", pieces, {}};
  for (const auto& each : config.hosts) {
    assignment.hosts.push_back({{each.ip, config.port, each.name, {}}, each.site});
  }
  std::vector<image::Assignment> all;
  all.push_back(std::move(assignment));
  const auto set = distribution.set(std::move(all));
  if (!set) co_return 1;
  std::cout << "ready" << std::endl;
  sys::Gate gate(runtime.executor);
  gate.spawn(say_when_whole(runtime.clock, pieces));
  co_await on.stop_requested();
  co_await gate.close();
  co_await distribution.stop();
  co_return 0;
}

}  // namespace
}  // namespace godwit

int main(int count, char** words) {
  const std::string verb = count > 2 ? words[1] : "";
  if (verb == "list") return godwit::make_list(words[2]);
  if (verb != "keys" && verb != "run") {
    std::cerr << "usage: image_chain keys DIRECTORY NAME... | list FILE | run CONFIG\n";
    return 2;
  }
  const bool wordy = std::getenv("GODWIT_CHAIN_DEBUG") != nullptr;
  const auto level = wordy ? godwit::LogLevel::debug : godwit::LogLevel::warn;
  godwit::os::System system({.log_level = level, .component = "image_chain"});
  if (verb == "keys") return godwit::make_keys(system.runtime(), words[2], {words + 3, words + count});
  const auto text = system.runtime().files.read(words[2], 4UL << 20U);
  const auto config = godwit::wire::decode<godwit::Config>(text ? *text : "");
  if (!config) {
    std::cerr << "image_chain: " << config.error().message << "\n";
    return 2;
  }
  return system.run([&](godwit::os::System& on) { return godwit::run(on, *config); });
}
