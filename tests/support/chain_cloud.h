// A simulated cloud for tests: hosts whose agents are nothing but a distribution, and images that are made up, so that
// a host's disk is a bit a piece.
#pragma once

#include "image/distribution.h"
#include "image/piece_set.h"
#include "image/piece_tree.h"
#include "sim/host.h"
#include "sim/network.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace godwit::image::testing {

inline constexpr std::uint16_t kPort = 7404;
inline const std::string kImage = "ami-0123456789abcdef0";

// Whether what an image holds gets smaller by being compressed: to about a third.
enum class Kind : std::uint8_t { dense = 1, loose };

// What piece `number` holds; a tenth of them zeros.
inline bool is_zero_piece(std::uint64_t number) { return number % 10 == 7; }
inline ByteVector content_of(std::uint64_t number, Kind kind = Kind::dense) {
  ByteVector bytes(kPiece_bytes);
  if (is_zero_piece(number)) return bytes;
  for (std::size_t at = 0; at < kPiece_bytes; at += 8) {
    std::uint64_t word = (number << 20U | at) * 0x9E3779B97F4A7C15ULL;
    if (kind == Kind::loose) word >>= 48U;
    std::memcpy(bytes.data() + at, &word, sizeof word);
  }
  return bytes;
}
// Made once: a thousand hosts ask for it.
inline const PieceDigest& digest_of(std::uint64_t number) {
  static std::map<std::uint64_t, PieceDigest> known;
  static PieceDigester digester;
  const auto [found, added] = known.try_emplace(number);
  if (added) found->second = digester.digest(content_of(number));
  return found->second;
}

// A host's disk: it keeps no bytes, for all that it takes is right to the last bit.
class MadeUpPieces final : public Pieces {
 public:
  MadeUpPieces(std::uint64_t count, bool whole, Kind kind = Kind::dense)
      : kind_(kind), here_(count), list_(whole), digests_(count) {
    for (std::uint64_t piece = 0; piece < count; ++piece) {
      digests_[piece] = digest_of(piece);
      if (whole || is_zero_piece(piece)) here_.add(piece);
    }
  }

  [[nodiscard]] std::uint64_t count() const override { return here_.size(); }
  [[nodiscard]] bool has_list() const override { return list_; }
  [[nodiscard]] Result<> set_list(ByteView list) override {
    for (std::uint64_t piece = 0; piece < count(); ++piece) {
      const auto digest = list.subspan(piece * sizeof(PieceDigest), sizeof(PieceDigest));
      if (std::memcmp(digest.data(), digests_[piece].data(), digest.size()) != 0) {
        return fail(Errc::not_authentic, "list: digest {} is not the manifest's", piece);
      }
    }
    list_ = true;
    return {};
  }
  [[nodiscard]] const PieceDigest& digest(std::uint64_t piece) const override { return digests_[piece]; }
  [[nodiscard]] bool has(std::uint64_t piece) const override { return here_.contains(piece); }
  [[nodiscard]] bool is_zero(std::uint64_t piece) const override { return is_zero_piece(piece); }
  [[nodiscard]] Result<> read(std::uint64_t piece, ByteSpan into) override {
    EXPECT_TRUE(has(piece));
    EXPECT_FALSE(is_zero_piece(piece)) << "zeros travel";
    ++reads;
    const auto content = content_of(piece, kind_);
    std::copy(content.begin(), content.end(), into.begin());
    return {};
  }
  [[nodiscard]] Result<> put(std::uint64_t piece, ByteView bytes) override {
    if (full) return fail(Errc::exhausted, "write piece {}: no space left", piece);
    const auto content = content_of(piece, kind_);
    if (std::memcmp(bytes.data(), content.data(), kPiece_bytes) != 0) {
      return fail(Errc::not_authentic, "piece {}: its digest is another", piece);
    }
    ++puts;
    here_.add(piece);
    return {};
  }
  void lose(std::uint64_t piece) { here_.remove(piece); }  // to an audit
  [[nodiscard]] bool whole() const { return here_.full(); }
  [[nodiscard]] std::uint64_t here() const { return here_.count(); }

  std::uint64_t reads{0};
  std::uint64_t puts{0};
  bool full{false};

 private:
  Kind kind_;
  PieceSet here_;
  bool list_;
  std::vector<PieceDigest> digests_;
};

// An agent, as far as images go.
class Node final : public sim::Program {
 public:
  Node(sim::Process& process, const std::set<std::string>& clouds)
      : distribution(process.runtime(), process.identity().name) {
    auto& runtime = process.runtime();
    std::vector<sys::TrustedCa> trusted;
    for (const auto& each : clouds) trusted.push_back(sim::authority(each, each));
    runtime.peers.trust(std::move(trusted));
    auto listener = runtime.peers.listen(process.host().ip(), kPort);
    EXPECT_TRUE(listener.has_value());
    distribution.start(std::move(*listener));
  }
  Distribution distribution;
};

// Host 0 is the origin. Sites are clouds.
class ChainCloud final {
 public:
  ChainCloud(std::uint64_t seed, std::uint64_t pieces, std::vector<std::string> sites, Kind kind = Kind::dense)
      : world(seed), pieces_(pieces), sites_(std::move(sites)) {
    for (std::size_t host = 0; host < sites_.size(); ++host) {
      world.add_host(id(host), sites_[host], ip(host));
      disks_.push_back(std::make_shared<MadeUpPieces>(pieces_, host == 0, kind));
      clouds_.insert(sites_[host]);
    }
  }
  // Of one site.
  ChainCloud(std::uint64_t seed, std::uint64_t pieces, std::size_t hosts)
      : ChainCloud(seed, pieces, std::vector<std::string>(hosts, "cloud-a")) {}

  static std::string id(std::size_t host) { return "h" + std::to_string(host); }
  static std::string ip(std::size_t host) {
    return "10.1." + std::to_string(host / 200) + "." + std::to_string(host % 200 + 1);
  }
  [[nodiscard]] std::string name(std::size_t host) const { return id(host) + "." + sites_[host] + ".godwit"; }
  [[nodiscard]] std::size_t size() const { return sites_.size(); }

  void start(std::size_t host) {
    if (process(host)) return;
    world.host(id(host)).start("agent", {name(host), sites_[host]},
                               [this](sim::Process& at) { return std::make_unique<Node>(at, clouds_); });
    assign(host);
  }
  void start_all() {
    for (std::size_t host = 0; host < size(); ++host) start(host);
  }
  // The list as the hosts are told it.
  void assign(std::size_t host) {
    auto* at = node(host);
    if (!at) return;
    Assignment assignment{kImage, disks_[host], {}};
    for (std::size_t each = 0; each < size(); ++each) {
      assignment.hosts.push_back({{ip(each), kPort, name(each), {}}, sites_[each]});
    }
    at->distribution.limit(limits[host]);
    const auto set = at->distribution.set({std::move(assignment)});
    EXPECT_TRUE(set.has_value());
  }
  void crash(std::size_t host) {
    if (auto* running = process(host)) running->kill();
    world.run_for(Nanos{1});  // it is gone
  }
  sim::Process* process(std::size_t host) { return world.host(id(host)).find("agent"); }
  Node* node(std::size_t host) {
    auto* running = process(host);
    return running ? dynamic_cast<Node*>(&running->program()) : nullptr;
  }
  MadeUpPieces& disk(std::size_t host) { return *disks_[host]; }
  // What the image weighs on a link, plain.
  [[nodiscard]] std::uint64_t payload() const {
    std::uint64_t bytes = 0;
    for (std::uint64_t piece = 0; piece < pieces_; ++piece) bytes += is_zero_piece(piece) ? 0 : kPiece_bytes;
    return bytes;
  }

  // All of `hosts`, or of those that live, have all of it.
  bool done(const std::set<std::size_t>& but = {}) {
    for (auto host = size(); host-- > 0;) {  // the last ones have it last, mostly
      if (!disk(host).whole() && !but.contains(host) && process(host)) return false;
    }
    return true;
  }
  // How long that takes; fails after `limit`.
  double run_until_done(Nanos limit, const std::set<std::size_t>& but = {}) {
    const auto begun = world.now();
    EXPECT_TRUE(world.run_until([&] { return done(but); }, limit)) << state();
    return to_s(world.now() - begun);
  }
  std::string state() {
    std::string all;
    for (std::size_t host = 0; host < size(); ++host) {
      auto* at = node(host);
      if (!at) {
        all += fmt::format("{} is down\n", id(host));
        continue;
      }
      for (const auto& each : at->distribution.progress()) {
        std::string behind;
        for (const auto& one : each.behind) behind += one.substr(0, one.find('.')) + " ";
        all += fmt::format("{} {}/{} {} kB/s from \"{}\" to [{}]\n", id(host), each.pieces, each.of,
                           each.bytes_per_s / 1000, each.upstream, behind);
      }
    }
    return all;
  }

  sim::World world;
  std::map<std::size_t, std::uint64_t> limits;  // set by operators, bytes a second

 private:
  std::uint64_t pieces_;
  std::vector<std::string> sites_;
  std::vector<std::shared_ptr<MadeUpPieces>> disks_;
  std::set<std::string> clouds_;
};

}  // namespace godwit::image::testing
