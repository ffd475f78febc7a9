// The audits of a repository's images that somebody asks for, one after the other, and what they found: over restarts.
#pragma once

#include "image/repository.h"
#include "wire/image.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace godwit::image {

class Checks final {
 public:
  // `images` outlives it. `ended`: what was found bad of the image is not here any more; or its check has come to an
  // end in another way.
  Checks(sys::Runtime& runtime, Repository& images, std::function<void(const ImageId& id)> ended);

  // Takes up what earlier ones found.
  void start();
  [[nodiscard]] sys::Task<void> stop();
  // The number of the check that is wanted of each image, where one is: it is made if the last one had a lower number,
  // when the image's list is here. The others' are forgotten.
  void want(std::map<ImageId, std::uint64_t> numbers);
  // Of those that are wanted.
  [[nodiscard]] std::vector<wire::ImageCheck> list() const;

 private:
  [[nodiscard]] bool is_due(const ImageId& id, std::uint64_t number) const;
  [[nodiscard]] std::optional<ImageId> next() const;
  [[nodiscard]] sys::Task<void> work();
  [[nodiscard]] sys::Task<void> check(ImageId id, std::uint64_t number);
  void write();

  sys::Runtime& runtime_;
  Repository& images_;
  std::function<void(const ImageId&)> ended_;
  std::map<ImageId, std::uint64_t> wanted_;
  std::map<ImageId, wire::ImageCheck> found_;
  sys::Signal asked_;
  sys::Gate gate_;
};

}  // namespace godwit::image
