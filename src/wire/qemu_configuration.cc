#include "wire/qemu_configuration.h"

namespace godwit::wire {
namespace {

constexpr std::byte kSubsection{0x05};
constexpr std::uint32_t kMostMachineName_bytes = 1024;
constexpr std::size_t kVersion_bytes = 4;

}  // namespace

Step QemuConfiguration::step(StreamCut& cut) {
  switch (state_) {
    case State::machine_length: {
      const auto field = cut.field(4);
      if (field.empty()) return Step::more;
      const auto length_bytes = load_be32(field);
      skip(length_bytes);
      return length_bytes <= kMostMachineName_bytes ? Step::more : Step::lost;
    }
    case State::skip:
      cut.pass(left_bytes_);
      if (left_bytes_ == 0) state_ = State::next;
      return Step::more;
    case State::next:
      if (cut.front() != kSubsection) return Step::done;
      state_ = State::subsection_length;
      return Step::more;
    case State::subsection_length: {
      const auto field = cut.field(2);  // the mark, the length of the name
      if (field.empty()) return Step::more;
      name_bytes_ = std::to_integer<std::size_t>(field[1]);
      state_ = State::subsection;
      return Step::more;
    }
    case State::subsection: {
      const auto field = cut.field(name_bytes_ + kVersion_bytes);
      return field.empty() ? Step::more : begin_subsection(field.first(name_bytes_));
    }
    default: take_capability(cut); return Step::more;
  }
}

Step QemuConfiguration::begin_subsection(ByteView name) {
  if (as_text(name) == "configuration/target-page-bits") {
    skip(4);
  } else if (as_text(name) == "configuration/uuid") {
    skip(16);
  } else if (as_text(name) == "configuration/capabilities") {
    state_ = State::capabilities;
  } else {
    return Step::lost;
  }
  return Step::more;
}

void QemuConfiguration::take_capability(StreamCut& cut) {
  if (state_ == State::capabilities) {
    const auto field = cut.field(4);
    if (field.empty()) return;
    capabilities_left_ = load_be32(field);
    name_bytes_ = 0;
    state_ = capabilities_left_ > 0 ? State::capability : State::next;
    return;
  }
  if (name_bytes_ == 0) {  // u8 length, then the name
    name_bytes_ = std::to_integer<std::size_t>(cut.field(1).front());
    if (name_bytes_ > 0) return;
  } else {
    const auto name = cut.field(name_bytes_);
    if (name.empty()) return;
    if (as_text(name) == "x-ignore-shared") ignores_shared_ = true;
    name_bytes_ = 0;
  }
  if (--capabilities_left_ == 0) state_ = State::next;
}

void QemuConfiguration::skip(std::uint64_t bytes) {
  left_bytes_ = bytes;
  state_ = bytes > 0 ? State::skip : State::next;
}

}  // namespace godwit::wire
