#include "cli/image_views.h"

#include "cli/table.h"
#include "cli/text.h"
#include "cli/views.h"

#include <algorithm>
#include <tuple>

namespace godwit::cli {
namespace {

constexpr std::size_t kBarColumns = 32;

double part_of(std::uint64_t here, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(here) / static_cast<double>(whole);
}

std::string percent(std::uint64_t here, std::uint64_t whole) {
  return fmt::format("{:.0f}%", 100 * part_of(here, whole));
}

// "h2 43%", "h3: there is no room …"
std::string arriving(const std::string& host, const wire::ImageArrival& arrival) {
  if (!arrival.problem.empty()) return fmt::format("{}: {}", host, arrival.problem);
  return fmt::format("{} {}", host, percent(arrival.here, arrival.pieces));
}

std::string push_word(const wire::ImagePush& push) {
  if (push.state == wire::PushState::done) return "there, " + bytes_text(push.sent_bytes) + " sent";
  if (push.state == wire::PushState::failing) return "tried again: " + push.problem;
  return percent(push.here, push.pieces) + ", " + bytes_text(push.sent_bytes) + " sent";
}

using Key = std::tuple<std::string, std::string, std::string>;  // name, content, cloud

std::map<Key, std::vector<std::string>> held(const wire::CloudHostsList& list) {
  std::map<Key, std::vector<std::string>> out;
  for (const auto& cloud : list.clouds) {
    for (const auto& host : cloud.hosts) {
      for (const auto& image : host.images) out[{image.name, image.sha256, cloud.cloud}].push_back(host.name);
      for (const auto& each : host.arrivals) {
        out[{each.name, each.sha256, cloud.cloud}].push_back(arriving(host.name, each));
      }
    }
  }
  return out;
}

std::string in_words(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& each : words) out += (out.empty() ? "" : ", ") + each;
  return out;
}

}  // namespace

std::string images_text(const wire::SkyImageList& kept, const wire::CloudHostsList& hosts) {
  Table table({{"IMAGE"}, {"CONTENT"}, {"WHERE"}, {"HOSTS"}});
  std::string problems;
  for (const auto& image : kept.images) {
    table.add({image.name, image.id.substr(0, 12), "sky", image.id.empty() ? "is being added" : "-"});
    if (!image.problem.empty()) problems += fmt::format("\nimage {}: {}", image.name, image.problem);
  }
  for (const auto& [key, where] : held(hosts)) {
    table.add({std::get<0>(key), std::get<1>(key).substr(0, 12), std::get<2>(key), in_words(where)});
  }
  if (table.empty()) return "No images. `godwit image add` takes one in; an operator adds them to a cloud's hosts.\n";
  return table.text() + (problems.empty() ? "" : printable(problems) + "\n");
}

wire::json::value images_json(const wire::SkyImageList& kept, const wire::CloudHostsList& hosts) {
  wire::json::array out;
  for (const auto& cloud : hosts.clouds) {
    for (const auto& host : cloud.hosts) {
      for (const auto& image : host.images) {
        out.push_back(wire::json::object{
            {"name", image.name}, {"sha256", image.sha256}, {"cloud", cloud.cloud}, {"host", host.name}});
      }
    }
  }
  return wire::json::object{{"images", std::move(out)}, {"kept", wire::to_json(kept).as_object().at("images")}};
}

std::string image_text(const wire::SkyImage& image, const std::vector<std::string>& also) {
  const auto line = [](std::string_view name, const std::string& value) {
    return fmt::format("{}{}\n", pad_right(std::string(name), 10), printable(value));
  };
  std::string out = line("Image", image.name);
  if (!also.empty()) out += line("Also", in_words(also));
  if (!image.id.empty())
    out += line("Id", image.ami) + line("Content", image.id) + line("Size", bytes_text(image.bytes));
  if (!image.problem.empty()) out += line("Problem", image.problem);
  for (const auto& push : image.pushes) out += line("At", push.cloud + ": " + push_word(push));
  return out;
}

std::vector<std::string> other_names(const wire::SkyImage& image, const wire::SkyImageList& all) {
  std::vector<std::string> out;
  for (const auto& each : all.images) {
    if (!image.id.empty() && each.id == image.id && each.name != image.name) out.push_back(each.name);
  }
  return out;
}

std::string tagged_text(const wire::TaggedImage& tagged, const std::string& image) {
  auto out = fmt::format("{} names {}, as {} does.", tagged.name, tagged.ami, image);
  if (!tagged.before.empty()) out += fmt::format(" It named {} until now.", tagged.before);
  if (!tagged.clouds.empty()) out += fmt::format(" So it does at {}.", in_words(tagged.clouds));
  return printable(out) + "\n";
}

std::string untagged_text(const wire::UntaggedImage& gone) {
  const auto out = gone.names.empty()
                       ? fmt::format("Image {} is gone. Instances that run of it keep it.", gone.name)
                       : fmt::format("The name {} is gone. Its content stays: {}.", gone.name, in_words(gone.names));
  return printable(out) + "\n";
}

bool is_settled(const wire::SkyImage& image) {
  return !image.id.empty() && std::all_of(image.pushes.begin(), image.pushes.end(), [](const wire::ImagePush& push) {
    return push.state == wire::PushState::done;
  });
}

void ImageProgress::show(const wire::SkyImage& image) {
  if (live_.shown()) return live_.draw(lines_of(image));
  for (const auto& push : image.pushes) {
    const auto word = push.state == wire::PushState::sending ? std::string("is being sent") : push_word(push);
    auto& said = said_[push.cloud];
    if (said == word) continue;
    said = word;
    terminal_.err(printable(fmt::format("{} to {}: {}", image.name, push.cloud, word)) + "\n");
  }
}

std::vector<std::string> ImageProgress::lines_of(const wire::SkyImage& image) const {
  std::vector<std::string> lines;
  if (image.id.empty() && !image.pull.cloud.empty()) {
    lines.push_back(
        printable(fmt::format("from {} {} {}, {} received", pad_right(image.pull.cloud, 12),
                              bar_text(part_of(image.pull.here, image.pull.pieces), kBarColumns),
                              percent(image.pull.here, image.pull.pieces), bytes_text(image.pull.received_bytes))));
  } else if (image.id.empty()) {
    lines.push_back(printable(fmt::format("{} is being taken in, {:.1f} s", image.name, to_s(clock_.now() - began_))));
  }
  for (const auto& push : image.pushes) {
    lines.push_back(printable(fmt::format("{} {} {}", pad_right(push.cloud, 12),
                                          bar_text(part_of(push.here, push.pieces), kBarColumns), push_word(push))));
  }
  return lines;
}

void ExportProgress::show(const wire::ImageExport& writing) {
  if (!live_.shown()) return;
  live_.draw(
      {printable(fmt::format("{} {} {}", writing.path, bar_text(part_of(writing.written, writing.pieces), kBarColumns),
                             percent(writing.written, writing.pieces)))});
}

}  // namespace godwit::cli
