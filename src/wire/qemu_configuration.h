// The configuration section of QEMU's migration stream, behind its mark: machine type, then subsections.
//
// Source: QEMU 7.2 to 10.0, migration/savevm.c: vmstate_configuration; docs/formats/qemu-streams.md.
#pragma once

#include "wire/stream_cut.h"

namespace godwit::wire {

class QemuConfiguration final {
 public:
  // Takes something of a `cut` that isn't empty, or changes state. `done`: before the byte that is none of it.
  [[nodiscard]] Step step(StreamCut& cut);

  // The capability x-ignore-shared is on. (It is said here exactly when it is.)
  [[nodiscard]] bool ignores_shared() const { return ignores_shared_; }

 private:
  enum class State : std::uint8_t {
    machine_length,
    skip,
    next,
    subsection_length,
    subsection,
    capabilities,
    capability
  };

  [[nodiscard]] Step begin_subsection(ByteView name);
  void take_capability(StreamCut& cut);
  void skip(std::uint64_t bytes);

  State state_{State::machine_length};
  std::uint64_t left_bytes_{0};
  std::size_t name_bytes_{0};
  std::uint32_t capabilities_left_{0};
  bool ignores_shared_{false};
};

}  // namespace godwit::wire
