// Images, as people read them: those that sky keeps, and those that hosts of clouds hold.
#pragma once

#include "cli/terminal.h"
#include "sys/clock.h"
#include "wire/cluster.h"
#include "wire/image.h"
#include "wire/image_names.h"

#include <map>
#include <string>
#include <vector>

namespace godwit::cli {

[[nodiscard]] std::string images_text(const wire::SkyImageList& kept, const wire::CloudHostsList& hosts);
[[nodiscard]] wire::json::value images_json(const wire::SkyImageList& kept, const wire::CloudHostsList& hosts);
// `also`: other names of its content.
[[nodiscard]] std::string image_text(const wire::SkyImage& image, const std::vector<std::string>& also = {});
[[nodiscard]] std::vector<std::string> other_names(const wire::SkyImage& image, const wire::SkyImageList& all);
// What became of a name for `image`, and of one that is gone.
[[nodiscard]] std::string tagged_text(const wire::TaggedImage& tagged, const std::string& image);
[[nodiscard]] std::string untagged_text(const wire::UntaggedImage& gone);

// Sky has taken it in, and every cloud that it is brought to has it.
[[nodiscard]] bool is_settled(const wire::SkyImage& image);

// Until an image is settled: a bar a cloud on a terminal, else a line for each thing that happens.
class ImageProgress {
 public:
  // Both outlive it.
  ImageProgress(Terminal& terminal, sys::Clock& clock)
      : terminal_(terminal), clock_(clock), began_(clock.now()), live_(terminal) {}
  void show(const wire::SkyImage& image);

 private:
  [[nodiscard]] std::vector<std::string> lines_of(const wire::SkyImage& image) const;

  Terminal& terminal_;
  sys::Clock& clock_;
  TimePoint began_;
  LiveLines live_;
  std::map<std::string, std::string> said_;  // by cloud
};

// Until a file is written: a bar on a terminal, else nothing.
class ExportProgress {
 public:
  explicit ExportProgress(Terminal& terminal) : live_(terminal) {}  // which outlives it
  void show(const wire::ImageExport& writing);

 private:
  LiveLines live_;
};

}  // namespace godwit::cli
