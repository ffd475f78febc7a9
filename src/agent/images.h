// The images of this host: those that its cloud wants here come from its other hosts, piece by piece, and stay while
// anybody wants them; others lie in directories that the operator filled.
#pragma once

#include "agent/config.h"
#include "agent/served_base.h"
#include "image/boot_order.h"
#include "image/checks.h"
#include "image/distribution.h"
#include "image/repository.h"
#include "image/store.h"
#include "sys/runtime.h"
#include "wire/host.h"

#include <functional>
#include <memory>
#include <set>
#include <string>

namespace godwit::agent {

class Images {
 public:
  // `changed`: something that is reported. `arrived`: an image is whole, or as much of it is here as somebody who asked
  // for that needs to begin.
  Images(sys::Runtime& runtime, const AgentConfig& config, std::function<void()> changed,
         std::function<void(const std::string& sha256)> arrived);

  // Takes up what an earlier agent left. `listener`: for the other hosts; may be null. Errors: io.
  [[nodiscard]] Result<> start(std::unique_ptr<sys::PeerListener> listener);
  [[nodiscard]] sys::Task<void> stop();

  // What the cloud wants here, and from whom it comes.
  void set(const wire::DesiredState& desired);

  // Errors: not_found; unavailable (it is on its way: how far).
  [[nodiscard]] Result<image::Image> find(const std::string& sha256);
  // An image that is on its way, of which all is here that a boot needs before its guest runs: kernel, initrd, and
  // where the disk begins. Errors: those of find(); then it was asked for before all else.
  struct Partial {
    image::Image image;
    PartialDisk disk;
  };
  [[nodiscard]] Result<Partial> find_partial(const std::string& sha256);
  // The disk of one that was begun so, also when it is whole by now. Errors: not_found; unavailable (it has none); io.
  [[nodiscard]] Result<PartialDisk> disk_of(const std::string& sha256);
  // These pieces before all others. As Distribution::want().
  void want(const std::string& sha256, const std::vector<std::uint32_t>& pieces) { distribution_.want(sha256, pieces); }
  // An empty overlay on it: image/store.h.
  [[nodiscard]] Result<> create_overlay(const image::Image& image, const std::string& path, std::uint64_t size_bytes,
                                        unsigned uid) {
    return placed_.create_overlay(image, path, size_bytes, uid);
  }
  // It stays for this instance, also over restarts. Where it lies in a directory of the operator's, nothing happens.
  [[nodiscard]] Result<> hold(const std::string& sha256, const std::string& instance);
  void let_go(const std::string& sha256, const std::string& instance);
  void hold_only(const std::set<std::string>& instances);

  // The instance boots of what is here of the image: for a while the rest comes no faster than the host's configuration
  // says. Or it does so no more.
  void boots(const std::string& sha256, const std::string& instance, bool does);
  // In which order an instance has read its disk, in pieces of the disk: for the cloud, which tells others.
  void note_boot_order(const std::string& sha256, const std::vector<std::uint32_t>& touched);

  // Those by content.
  [[nodiscard]] image::Repository& repository() { return repository_; }

  void report(wire::HostReport& report) const;
  // The cloud has it.
  void reported(const std::vector<wire::BootOrder>& orders);

 private:
  struct Taken {
    image::Lease lease;
    std::shared_ptr<image::WatchedPieces> pieces;  // in front of it: shared with connections that bring them
    bool begins{false};                            // somebody waits for what a boot needs first
    image::Prefetch prefetch;                      // what a boot reads then
  };
  [[nodiscard]] Result<Taken> take_on(const wire::DesiredImage& wanted, const wire::DesiredState& desired);
  [[nodiscard]] Taken taken(image::Lease lease);
  void take_on_held(std::map<std::string, Taken>& all);
  [[nodiscard]] std::vector<image::ChainHost> chain(const wire::DesiredState& desired) const;
  [[nodiscard]] sys::Task<void> watch();
  [[nodiscard]] bool remove_unwanted();
  // images_boot.cc
  void came(const std::string& sha256);
  void want_to_begin(const std::string& sha256, Taken& taken);
  void want_again();
  void want_next(const std::string& sha256, Taken& taken);
  void pace_fill();
  void follow(Taken& taken, const wire::DesiredImage& wanted);

  sys::Runtime& runtime_;
  const AgentConfig& config_;
  std::string name_;  // this host's, as its certificate says
  std::function<void()> changed_;
  std::function<void(const std::string&)> arrived_;
  image::Store placed_;
  image::Repository repository_;
  image::Distribution distribution_;
  std::vector<wire::DesiredImage> wanted_;
  std::map<std::string, Taken> leases_;             // of those that are wanted here by content
  std::map<std::string, std::string> problems_;     // of those that can't be, by content
  std::map<std::string, std::uint64_t> seen_here_;  // pieces, when that was last told
  struct Boot {
    std::string sha256;
    TimePoint since{};
  };
  std::map<std::string, Boot> boots_;                   // by instance
  std::map<std::string, wire::BootOrder> boot_orders_;  // to be told to the cloud
  std::set<std::string> held_;                          // instances for which some image is held
  wire::DesiredState asked_;                            // of the last set(), as far as it is of images
  TimePoint again_at_{};                                // what could not be taken on is tried again then
  image::Checks checks_;
  sys::Signal set_;
  sys::Gate gate_;
};

}  // namespace godwit::agent
