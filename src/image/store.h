// The images of one host, and the copy-on-write disks of its instances.
#pragma once

#include "sys/runtime.h"
#include "wire/json.h"

#include <cstdint>
#include <string>
#include <vector>

namespace godwit::image {

// DIRECTORY/manifest.json, as images/build-* write it. File names are relative to the directory.
struct Manifest {
  std::string name;
  std::string format;  // of the disk: "qcow2" or "raw"; empty: an image without a disk
  std::string disk;
  std::uint64_t virtual_size_bytes{0};
  std::string sha256;  // of the disk's file (of the initrd where there is no disk): the image's content id
  std::string kernel;
  std::string initrd;
  std::string cmdline;
};
BOOST_DESCRIBE_STRUCT(Manifest, (), (name, format, disk, virtual_size_bytes, sha256, kernel, initrd, cmdline))

// A value: what a hypervisor needs of an image, with absolute paths.
struct Image {
  Manifest manifest;
  std::string disk_path;  // empty: none
  std::string kernel_path;
  std::string initrd_path;  // empty: none
};

class Store {
 public:
  explicit Store(sys::Runtime& runtime) : files_(runtime.files) {}

  // Errors: not_found, invalid_argument (a manifest that names files outside of its directory, or another content).
  [[nodiscard]] Result<Image> open(const std::string& directory, const std::string& expected_sha256);

  // An empty overlay at `path` (absolute), owned by `uid`, of at least the image's size. Durable when it returns.
  [[nodiscard]] Result<> create_overlay(const Image& image, const std::string& path, std::uint64_t size_bytes,
                                        unsigned uid);

 private:
  sys::Files& files_;
};

}  // namespace godwit::image
