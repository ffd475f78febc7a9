// The images of this host: those that its cloud wants here come from its other hosts, piece by piece, and stay while
// anybody wants them; others lie in directories that the operator filled.
#pragma once

#include "agent/config.h"
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
  // `changed`: something that is reported. `arrived`: an image is whole.
  Images(sys::Runtime& runtime, const AgentConfig& config, std::function<void()> changed,
         std::function<void(const std::string& sha256)> arrived);

  // Takes up what an earlier agent left. `listener`: for the other hosts; may be null. Errors: io.
  [[nodiscard]] Result<> start(std::unique_ptr<sys::PeerListener> listener);
  [[nodiscard]] sys::Task<void> stop();

  // What the cloud wants here, and from whom it comes.
  void set(const wire::DesiredState& desired);

  // Errors: not_found; unavailable (it is on its way: how far).
  [[nodiscard]] Result<image::Image> find(const std::string& sha256);
  // An empty overlay on it: image/store.h.
  [[nodiscard]] Result<> create_overlay(const image::Image& image, const std::string& path, std::uint64_t size_bytes,
                                        unsigned uid) {
    return placed_.create_overlay(image, path, size_bytes, uid);
  }
  // It stays for this instance, also over restarts. Where it lies in a directory of the operator's, nothing happens.
  [[nodiscard]] Result<> hold(const std::string& sha256, const std::string& instance);
  void let_go(const std::string& sha256, const std::string& instance);
  void hold_only(const std::set<std::string>& instances);

  void report(wire::HostReport& report) const;

 private:
  [[nodiscard]] Result<image::Lease> take_on(const wire::DesiredImage& wanted, const wire::DesiredState& desired);
  [[nodiscard]] std::vector<image::ChainHost> chain(const wire::DesiredState& desired) const;
  [[nodiscard]] sys::Task<void> watch();
  [[nodiscard]] bool remove_unwanted();

  sys::Runtime& runtime_;
  const AgentConfig& config_;
  std::string name_;  // this host's, as its certificate says
  std::function<void()> changed_;
  std::function<void(const std::string&)> arrived_;
  image::Store placed_;
  image::Repository repository_;
  image::Distribution distribution_;
  std::vector<wire::DesiredImage> wanted_;
  std::map<std::string, image::Lease> leases_;      // of those that are wanted here by content
  std::map<std::string, std::string> problems_;     // of those that can't be, by content
  std::map<std::string, std::uint64_t> seen_here_;  // pieces, when that was last told
  std::set<std::string> held_;                      // instances for which some image is held
  wire::DesiredState asked_;                        // of the last set(), as far as it is of images
  TimePoint again_at_{};                            // what could not be taken on is tried again then
  image::Checks checks_;
  sys::Signal set_;
  sys::Gate gate_;
};

}  // namespace godwit::agent
