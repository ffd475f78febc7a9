// The contents of this cloud's images: brought by its users, kept here, and given to its hosts, who pass them on to
// each other.
#pragma once

#include "cloud/images.h"
#include "cloud/snapshots.h"
#include "cloud/uploads.h"
#include "image/checks.h"
#include "image/distribution.h"
#include "image/intake.h"
#include "image/outlet.h"
#include "image/repository.h"
#include "sys/runtime.h"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace godwit::cloud {

class Depot {
 public:
  // `directory` is the depot's own. All references outlive it.
  Depot(sys::Runtime& runtime, Core& core, Images& images, Snapshots& snapshots, const std::string& directory);

  // Takes up what is there. Errors: io.
  [[nodiscard]] Result<> open();
  // To hosts no more than so much a second, of all images; before start(). As Distribution::limit().
  void limit(std::uint64_t bytes_per_s) { distribution_.limit(bytes_per_s); }
  // Gives to hosts at `listener`, whose address is that of the cloud's API.
  void start(std::unique_ptr<sys::PeerListener> listener, const std::string& host);
  [[nodiscard]] sys::Task<void> stop();

  [[nodiscard]] image::Intake& intake() { return intake_; }
  [[nodiscard]] image::Outlet& outlet() { return outlet_; }
  [[nodiscard]] image::Repository& repository() { return repository_; }
  // As the user, who may put images together of what they may run.
  [[nodiscard]] image::IntakeCaller caller(const User& user) const;
  // The name means that content, which is on disk, from now on. Errors: not_found (it is not here, or the user has not
  // shown that they have it: nobody can tell which); conflict (it is not whole yet); io; those of Images.
  [[nodiscard]] sys::Task<Result<>> name(User user, wire::ImageName name);
  // Likewise of all of the user's: whether each is whole in this store, too.
  [[nodiscard]] Result<wire::CloudImageList> view(const User& user) const;
  // Adds what this store's own audit found to what the hosts' did.
  [[nodiscard]] wire::CloudImageCheck with_own(wire::CloudImageCheck check) const;
  // Errors: those of Images.
  [[nodiscard]] Result<> remove(const User& user, const std::string& name);

 private:
  [[nodiscard]] std::string content_of(const User& user, const std::string& name) const;
  [[nodiscard]] Result<> name_whole(const User& user, const wire::ImageName& name);
  [[nodiscard]] sys::Task<Result<>> check_whole(const std::string& id, const std::string& name);
  [[nodiscard]] sys::Task<void> watch();
  [[nodiscard]] sys::Task<void> name_snapshots();
  [[nodiscard]] Result<> name_for(const SnapshotRow& row);
  [[nodiscard]] Result<> assign();
  [[nodiscard]] Result<std::vector<std::string>> nameless_in_use(
      const std::map<std::string, std::uint64_t>& named) const;
  void look_again();
  [[nodiscard]] bool is_damaged() const;
  [[nodiscard]] Result<> sweep();
  [[nodiscard]] bool is_to_go(const image::ImageStatus& image) const;

  sys::Runtime& runtime_;
  Core& core_;
  Images& images_;
  Snapshots& snapshots_;
  Uploads uploads_;
  image::Repository repository_;
  image::Intake intake_;
  image::Outlet outlet_{repository_};
  image::Distribution distribution_;
  image::Checks checks_;
  std::string host_;                  // of the API
  std::set<image::ImageId> leaving_;  // unused, and to be removed when nobody has them open any more
  sys::Gate gate_;
};

}  // namespace godwit::cloud
