// What images/build-* make: a directory with the files of an image as they were built, and manifest.json, which says
// what they are for. It is what an instance is made of where it was built, and what a repository imports.
#pragma once

#include "sys/files.h"
#include "wire/json.h"

#include <cstdint>
#include <string>

namespace godwit::image {

// DIRECTORY/manifest.json: images/README.md. File names are relative to the directory.
struct Recipe {
  std::string name;
  std::string format;  // of the disk: "qcow2" or "raw"; empty: an image without a disk
  std::string disk;
  std::uint64_t virtual_size_bytes{0};
  std::string sha256;  // of the disk's file (of the initrd where there is no disk)
  std::string kernel;
  std::string initrd;
  std::string cmdline;
};
BOOST_DESCRIBE_STRUCT(Recipe, (), (name, format, disk, virtual_size_bytes, sha256, kernel, initrd, cmdline))

// A value: what a hypervisor needs of an image, with absolute paths.
struct Image {
  Recipe recipe;
  std::string disk_path;  // empty: none
  std::string kernel_path;
  std::string initrd_path;  // empty: none
};

// Errors: not_found, invalid_argument (a recipe that names files outside of its directory).
[[nodiscard]] Result<Image> read_recipe(sys::Files& files, const std::string& directory);

}  // namespace godwit::image
