// What an agent's memory is that passes an image on: image::Distribution on image::Repository, between an origin that
// makes its pieces up and a host behind it that drops them. bench_image_memory runs it.
//   image_pass make DIRECTORY PIECES    writes DIRECTORY/manifest.json and DIRECTORY/list
//   image_pass run CONFIG               until SIGTERM; says "ready", and "whole" when all of it is here
#include "image/distribution.h"
#include "image/manifest.h"
#include "image/piece_set.h"
#include "image/repository.h"
#include "os/system.h"
#include "wire/json.h"

#include <cstring>
#include <iostream>

namespace godwit {
namespace {

constexpr std::size_t kPemLimit_bytes = 65'536;
constexpr std::size_t kListLimit_bytes = image::kPiecesLimit * image::kDigest_bytes;
const std::string kCloud = "bench";

struct PassHost {
  std::string name;
  std::string ip;
};
BOOST_DESCRIBE_STRUCT(PassHost, (), (name, ip))

BOOST_DEFINE_ENUM_CLASS(PassRole, origin, agent, end)

struct PassConfig {
  std::string keys;       // a directory, as image_chain makes it
  std::string image;      // a directory, as `make` makes it
  std::string directory;  // of an agent: its repository
  PassRole role{PassRole::agent};
  std::uint16_t port{0};
  std::string name;
  std::vector<PassHost> hosts;  // the origin first
};
BOOST_DESCRIBE_STRUCT(PassConfig, (), (keys, image, directory, role, port, name, hosts))

// It doesn't compress, and no two are alike.
void make_up(std::uint64_t piece, ByteSpan into) {
  std::uint64_t state = (piece + 1) * 0x9E3779B97F4A7C15ULL;
  for (std::size_t at = 0; at < into.size(); at += 8) {
    state ^= state << 13U;
    state ^= state >> 7U;
    state ^= state << 17U;
    std::memcpy(into.data() + at, &state, sizeof state);
  }
}

// The two ends: nothing lies on a disk.
class EndPieces final : public image::Pieces {
 public:
  // `list`: of an origin, which has everything; empty: of a host that takes all and keeps nothing of it.
  EndPieces(const image::Manifest& manifest, ByteView list) : manifest_(manifest), here_(image::pieces_of(manifest)) {
    for (std::uint64_t piece = 0; !list.empty() && piece < count(); ++piece) here_.add(piece);
    if (!list.empty()) take(list);
  }
  [[nodiscard]] std::uint64_t count() const override { return here_.size(); }
  [[nodiscard]] bool has_list() const override { return !digests_.empty(); }
  [[nodiscard]] Result<> set_list(ByteView list) override {
    if (auto good = image::check_list(manifest_, list); !good) return good;
    take(list);
    return {};
  }
  [[nodiscard]] const image::PieceDigest& digest(std::uint64_t piece) const override { return digests_[piece]; }
  [[nodiscard]] bool has(std::uint64_t piece) const override { return here_.contains(piece); }
  [[nodiscard]] bool is_zero(std::uint64_t) const override { return false; }
  [[nodiscard]] Result<> read(std::uint64_t piece, ByteSpan into) override {
    make_up(piece, into);
    return {};
  }
  [[nodiscard]] Result<> put(std::uint64_t piece, ByteView bytes) override {
    if (digester_.digest(bytes) != digests_[piece]) return fail(Errc::not_authentic, "piece {} is another", piece);
    here_.add(piece);
    return {};
  }
  [[nodiscard]] bool whole() const { return here_.full(); }

 private:
  void take(ByteView list) {
    digests_.resize(count());
    std::memcpy(digests_.data(), list.data(), list.size());
  }
  image::Manifest manifest_;
  image::PieceSet here_;
  std::vector<image::PieceDigest> digests_;
  image::PieceDigester digester_;
};

int make(sys::Runtime runtime, const std::string& directory, std::uint64_t pieces) {
  image::PieceDigester digester;
  ByteVector list;
  ByteVector piece(image::kPiece_bytes);
  for (std::uint64_t number = 0; number < pieces; ++number) {
    make_up(number, piece);
    append(list, digester.digest(piece));
  }
  image::Manifest manifest;
  const auto bytes = pieces * image::kPiece_bytes;
  manifest.files.push_back({image::Role::disk, bytes, to_hex(image::root_of(bytes, list))});
  const bool written =
      runtime.files.write_atomic(directory + "/manifest.json", image::print_manifest(manifest), 0644) &&
      runtime.files.write_atomic(directory + "/list", as_text(list), 0644);
  return written ? 0 : 1;
}

sys::Task<void> say_when(sys::Clock& clock, std::function<bool()> whole) {
  while (!whole()) co_await clock.sleep_for(Millis{20});
  std::cout << "whole" << std::endl;
}

sys::Task<int> run(os::System& on, PassConfig config) {
  auto runtime = on.runtime();
  const auto read = [&](const std::string& path, std::size_t limit) { return runtime.files.read(path, limit).value(); };
  const auto key_of = [&](const std::string& name) { return read(config.keys + "/" + name, kPemLimit_bytes); };
  const auto shown = on.use_identity({key_of(config.name + ".pem"), key_of(config.name + ".key")});
  if (!shown) co_return 1;
  runtime.peers.trust({{kCloud, key_of("ca.pem")}});
  const auto text = read(config.image + "/manifest.json", image::kManifest_bytes);
  const auto manifest = image::parse_manifest(text).value();
  image::Assignment assignment{image::id_of(text), nullptr, {}};
  std::string own_ip;
  for (const auto& each : config.hosts) {
    assignment.hosts.push_back({{each.ip, config.port, each.name, {}}, kCloud});
    if (each.name == config.name) own_ip = each.ip;
  }
  auto listener = runtime.peers.listen(own_ip, config.port);
  if (!listener) co_return 1;

  std::unique_ptr<image::Repository> repository;
  std::function<bool()> whole;
  if (config.role == PassRole::agent) {
    repository =
        std::make_unique<image::Repository>(runtime, config.directory, image::RepositoryLimits{.keep_free_bytes = 0});
    if (!repository->start()) co_return 1;
    const auto lease = repository->begin(text, {}, "the bench").value();
    assignment.pieces = lease;
    whole = [image = lease.get()] { return image->complete(); };
  } else {
    const auto list = config.role == PassRole::origin ? read(config.image + "/list", kListLimit_bytes) : std::string();
    const auto pieces = std::make_shared<EndPieces>(manifest, as_bytes(list));
    assignment.pieces = pieces;
    whole = [pieces] { return pieces->whole(); };
  }
  {
    image::Distribution distribution(runtime, config.name);
    distribution.start(std::move(*listener));
    std::vector<image::Assignment> all;
    all.push_back(std::move(assignment));
    if (!distribution.set(std::move(all))) co_return 1;
    std::cout << "ready" << std::endl;
    sys::Gate gate(runtime.executor);
    gate.spawn(say_when(runtime.clock, whole));
    co_await on.stop_requested();
    co_await gate.close();
    co_await distribution.stop();
  }
  if (repository) co_await repository->stop();
  co_return 0;
}

}  // namespace
}  // namespace godwit

int main(int count, char** words) {
  const std::string verb = count > 2 ? words[1] : "";
  godwit::os::System system({.log_level = godwit::LogLevel::warn, .component = "image_pass"});
  if (verb == "make" && count == 4) return godwit::make(system.runtime(), words[2], std::stoull(words[3]));
  if (verb != "run") {
    std::cerr << "usage: image_pass make DIRECTORY PIECES | run CONFIG\n";
    return 2;
  }
  const auto text = system.runtime().files.read(words[2], 1UL << 20U);
  const auto config = godwit::wire::decode<godwit::PassConfig>(text ? *text : "");
  if (!config) {
    std::cerr << "image_pass: " << config.error().message << "\n";
    return 2;
  }
  return system.run([&](godwit::os::System& on) { return godwit::run(on, *config); });
}
