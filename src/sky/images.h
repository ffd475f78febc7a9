// The user's images: taken in from files of this machine, named, and brought to clouds; again and again until they are
// there.
#pragma once

#include "image/checks.h"
#include "image/repository.h"
#include "image/send_rate.h"
#include "sky/accounts.h"
#include "sky/pace.h"
#include "sky/records.h"
#include "wire/image.h"
#include "wire/image_names.h"

#include <map>
#include <set>
#include <string>

namespace godwit::sky {

class Images {
 public:
  static constexpr std::size_t kMost = 1000;
  static constexpr std::size_t kExportsKept = 8;  // of one image: more can't be under way

  // All references outlive the images. `known` is what the store has. `changed` is called when a view has.
  Images(sys::Runtime& runtime, Store& store, Accounts& accounts, image::Repository& repository, Pace pace,
         std::vector<ImageRecord> known, std::function<void()> changed);

  // To all clouds together no more than so much a second; 0: as fast as can be.
  void limit(std::uint64_t bytes_per_s) { send_rate_.set(bytes_per_s); }
  void start();
  [[nodiscard]] sys::Task<void> stop();

  // Begins to take it in, and answers; view() tells what became of it. The name is free, or has another content then.
  // Errors: invalid_argument, conflict (it is being taken in), exhausted.
  [[nodiscard]] Result<wire::SkyImage> add(const wire::AddImage& request);
  // Brings it to those clouds, also to their hosts that join later; one that is not here is pulled first. Errors:
  // not_found (account).
  [[nodiscard]] Result<wire::SkyImage> push(const std::string& name, const wire::PushImage& request);
  // For an instance that is to be made of it there: what is kept here is brought first. True: it is on its way there,
  // or here.
  [[nodiscard]] bool comes_to(const std::string& name, const std::string& cloud);
  // Begins to bring it here from the cloud that has it under that name, and answers; view() tells what became of it.
  // Errors: invalid_argument, not_found (account), conflict (one of that name is here), exhausted.
  [[nodiscard]] Result<wire::SkyImage> pull(const std::string& name, const wire::PullImage& request);
  // Begins to write its disk to a file of this machine, and answers; view() tells what became of it. Errors: not_found,
  // invalid_argument, conflict (there is a file; it is being written to; the image is not here).
  [[nodiscard]] Result<wire::SkyImage> write_out(const std::string& name, wire::ExportImage request);
  // A further name for what `name` means, or another's, where that is asked for: the clouds that have the image under
  // it get that content. Of an image that is not here, at the clouds that have it. Asked twice it is done once. Errors:
  // invalid_argument, not_found, conflict (it means another content; it is being added), exhausted, those of the calls.
  [[nodiscard]] sys::Task<Result<wire::TaggedImage>> tag(std::string name, wire::TagImage request);
  // Here and at the clouds that it was brought to; one that is not here, at the clouds that have it under that name.
  // The content stays while another name means it; instances that run of it keep it. Errors: not_found, conflict, those
  // of the calls.
  [[nodiscard]] sys::Task<Result<wire::UntaggedImage>> remove(std::string name);
  // What the audits of it found here, as of a cloud without a name, and at each cloud that it was brought to; `begins`:
  // asks for them first, here once a minute at most. A cloud that can't be reached says so in its place. What was bad
  // here comes again from those clouds. Errors: not_found, io.
  [[nodiscard]] sys::Task<Result<wire::SkyImageCheck>> check(std::string name, bool begins);
  [[nodiscard]] wire::SkyImageList list() const;
  [[nodiscard]] Result<wire::SkyImage> view(const std::string& name) const;

 private:
  struct Entry {
    ImageRecord record;
    bool adding{false};
    std::string problem;
    std::map<std::string, wire::ImagePush> pushes;  // by cloud, as far as this process knows
    std::vector<wire::ImageExport> exports;         // likewise: the last kExportsKept
    wire::ImagePull pull;                           // likewise: how it comes, or has come
    std::vector<std::string> then_to;               // clouds to which it goes then
  };

  [[nodiscard]] static std::unexpected<Error> no_image(const std::string& name);
  [[nodiscard]] static std::unexpected<Error> bad_name(const std::string& name);
  [[nodiscard]] sys::Task<void> take_in(std::string name, std::string path);
  [[nodiscard]] sys::Task<Result<image::ImageId>> import(std::string path);
  [[nodiscard]] Result<Entry*> begin(const std::string& name);
  // Clouds that have it by content under that name, and its id there.
  struct Holder {
    std::string cloud;
    std::string id;
    std::vector<std::string> also;  // other names of that content there
  };
  [[nodiscard]] sys::Task<std::vector<Holder>> holders(std::string name, std::vector<std::string> clouds);
  [[nodiscard]] sys::Task<void> pull_in(std::string name, std::string cloud);
  [[nodiscard]] sys::Task<Result<Holder>> pull_once(std::string name, std::string cloud);
  [[nodiscard]] Result<> take_up(Entry& entry, const Holder& from);
  [[nodiscard]] sys::Task<void> bring(std::string name, std::string cloud);
  [[nodiscard]] sys::Task<Result<>> bring_once(std::string name, std::string cloud);
  // Held while the content is brought there.
  [[nodiscard]] std::shared_ptr<void> take_way(const std::string& id, const std::string& cloud);
  [[nodiscard]] sys::Task<void> write_disk(std::string name, image::Lease stored, wire::ExportImage request);
  [[nodiscard]] wire::ImageExport* find_export(const std::string& name, const std::string& path);

  // images_names.cc
  [[nodiscard]] Result<> point(Entry& entry, const image::ImageId& id);
  [[nodiscard]] Result<wire::TaggedImage> tag_here(const image::ImageId& id, const wire::TagImage& request);
  [[nodiscard]] sys::Task<Result<wire::TaggedImage>> tag_at_clouds(std::string name, wire::TagImage request);
  [[nodiscard]] sys::Task<Result<wire::UntaggedImage>> remove_at_clouds(std::string name);
  [[nodiscard]] sys::Task<void> take_away(std::string name, std::string cloud);
  [[nodiscard]] std::vector<std::string> names_of(const image::ImageId& id) const;
  void drop_unnamed(const std::string& id);

  // images_kept.cc
  [[nodiscard]] sys::Task<void> keep();
  [[nodiscard]] sys::Task<void> look_at(std::string cloud);
  void drop_leftovers();
  [[nodiscard]] sys::Task<void> mend(image::ImageId id);
  void mend_damaged();
  [[nodiscard]] std::set<std::string> clouds_with(const image::ImageId& id) const;

  // images_checked.cc
  [[nodiscard]] Result<> begin_check(Entry& entry);
  void want_checks();
  void end_check(const image::ImageId& id);
  [[nodiscard]] wire::CloudImageCheck own_check(const Entry& entry) const;
  [[nodiscard]] sys::Task<Result<wire::CloudImageCheck>> check_at(std::string cloud, std::string name, bool begins);

  [[nodiscard]] bool wanted(const std::string& name, const std::string& cloud, const std::string& id) const;
  [[nodiscard]] Entry* find(const std::string& name);
  [[nodiscard]] wire::ImagePush* find_push(const std::string& name, const std::string& cloud);
  [[nodiscard]] wire::SkyImage view_of(const Entry& entry) const;

  sys::Runtime& runtime_;
  Store& store_;
  Accounts& accounts_;
  image::Repository& repository_;
  Pace pace_;
  image::SendRate send_rate_;
  std::function<void()> changed_;
  std::map<std::string, Entry> entries_;
  std::set<std::pair<std::string, std::string>> on_their_way_;  // contents, and to which clouds: once, by all names
  sys::Signal arrived_;
  std::set<image::ImageId> mended_;  // now
  image::Checks checks_;
  Log log_;
  sys::Gate gate_;  // last: what it holds uses the rest
};

}  // namespace godwit::sky
