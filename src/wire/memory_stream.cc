#include "wire/memory_stream.h"

namespace godwit::wire {
namespace {

constexpr std::uint64_t kHeader = 0x5145564d'00000003ULL;  // "QEVM", version 3
constexpr std::uint8_t kSectionStart = 0x01;
constexpr std::uint8_t kSectionPart = 0x02;
constexpr std::uint8_t kSectionEnd = 0x03;
constexpr std::uint8_t kSectionFull = 0x04;
constexpr std::uint8_t kDescription = 0x06;
constexpr std::uint8_t kConfiguration = 0x07;
constexpr std::uint8_t kCommand = 0x08;
constexpr std::uint8_t kFooter = 0x7e;
constexpr std::uint16_t kPackaged = 7;
constexpr std::uint32_t kMemoryVersion = 4;
// A section of memory that begins: u8 type, u32 id, and then these 12 bytes: the name's length, "ram", instance 0,
// version.
constexpr std::uint32_t kNamedRam = 0x03'72616dU;
constexpr std::uint64_t kInstanceAndVersion = kMemoryVersion;
constexpr std::size_t kInstanceAndVersion_bytes = 8;

}  // namespace

void MemoryStream::feed(ByteView bytes, std::vector<Stretch>& stretches) {
  cut_.begin(bytes, stretches);
  while (!cut_.empty()) step();
}

// Takes at least a byte, or goes on to a state that does.
void MemoryStream::step() {
  switch (state_) {
    case State::header: return take_header();
    case State::section: return take_section_type();
    case State::section_id: return take_section_id();
    case State::section_head:
    case State::section_name: return take_section_head();
    case State::configuration: return follow(configuration_.step(cut_));
    case State::command:
    case State::package_length: return take_command();
    case State::skip:
      cut_.pass(left_bytes_);
      if (left_bytes_ == 0) state_ = State::section;
      return;
    case State::memory: return follow(records_.step(cut_));
    case State::unknown: return search();
  }
}

void MemoryStream::take_header() {
  const auto field = cut_.field(8);
  if (field.empty()) return;
  state_ = State::section;
  if (load_be64(field) != kHeader) lose();
}

void MemoryStream::take_section_type() {
  section_type_ = std::to_integer<std::uint8_t>(cut_.field(1).front());
  switch (section_type_) {
    case kSectionStart:
    case kSectionFull: state_ = State::section_head; return;
    case kSectionPart:
    case kSectionEnd:
    case kFooter:
    case kDescription: state_ = State::section_id; return;
    case kConfiguration:
      configuration_ = {};
      state_ = State::configuration;
      return;
    case kCommand: state_ = State::command; return;
    default: lose();  // the end of the stream, too: what follows is a description of it
  }
}

// What follows the type in four bytes: a section's id, or the length of a description.
void MemoryStream::take_section_id() {
  const auto field = cut_.field(4);
  if (field.empty()) return;
  const auto value = load_be32(field);
  if (section_type_ == kDescription) {
    skip(value);
  } else if (section_type_ == kFooter) {
    state_ = State::section;
    if (value != section_id_) lose();
  } else if (has_memory_id_ && value == memory_id_) {
    section_id_ = value;
    state_ = State::memory;
  } else {
    lose();
  }
}

void MemoryStream::take_section_head() {
  if (state_ == State::section_head) {
    const auto field = cut_.field(5);
    if (field.empty()) return;
    section_id_ = load_be32(field);
    name_bytes_ = std::to_integer<std::size_t>(field[4]);
    state_ = State::section_name;
    return;
  }
  const auto field = cut_.field(name_bytes_ + kInstanceAndVersion_bytes);
  if (field.empty()) return;
  const bool is_memory = section_type_ == kSectionStart && as_text(field.first(name_bytes_)) == "ram" &&
                         load_be64(field.subspan(name_bytes_)) == kInstanceAndVersion;
  if (!is_memory) return lose();
  has_memory_id_ = true;
  memory_id_ = section_id_;
  state_ = State::memory;
}

// u16 command, u16 length, data. A package is a stream of its own, of devices: its length is the data.
void MemoryStream::take_command() {
  if (state_ == State::package_length) {
    if (const auto field = cut_.field(4); !field.empty()) skip(load_be32(field));
    return;
  }
  const auto field = cut_.field(4);
  if (field.empty()) return;
  const auto length_bytes = load_be16(field.subspan(2));
  if (load_be16(field) == kPackaged && length_bytes == 4) {
    state_ = State::package_length;
  } else {
    skip(length_bytes);
  }
}

void MemoryStream::follow(Step step) {
  if (step == Step::lost) return lose();
  if (step == Step::more) return;
  if (state_ == State::configuration) records_.expect_addresses(configuration_.ignores_shared());
  state_ = State::section;
}

void MemoryStream::search() {
  bool found = false;
  std::uint64_t searched_bytes = 0;
  for (const std::byte byte : cut_.rest()) {
    ++searched_bytes;
    found = finds_memory(byte);
    if (found) break;
  }
  cut_.pass(searched_bytes);
  if (!found) return;
  seen_ = {};
  state_ = State::memory;
}

bool MemoryStream::finds_memory(std::byte byte) {
  seen_[0] = seen_[0] << 8U | seen_[1] >> 56U;
  seen_[1] = seen_[1] << 8U | std::to_integer<std::uint64_t>(byte);
  const auto newest = static_cast<std::uint32_t>(seen_[1]);
  if (has_memory_id_ && newest == memory_id_) {
    // A footer (u8 mark, u32 id), then a section of memory that goes on: u8 type, u32 id.
    const auto type = static_cast<std::uint8_t>(seen_[1] >> 32U);
    const auto footer = static_cast<std::uint8_t>(seen_[0] >> 8U);
    section_id_ = memory_id_;
    if (footer == kFooter && (type == kSectionPart || type == kSectionEnd)) return true;
  }
  if (newest != kMemoryVersion) return false;
  const bool begins = seen_[1] == kInstanceAndVersion && static_cast<std::uint32_t>(seen_[0]) == kNamedRam;
  if (!begins) return false;
  section_id_ = memory_id_ = static_cast<std::uint32_t>(seen_[0] >> 32U);
  has_memory_id_ = true;
  return true;
}

void MemoryStream::skip(std::uint64_t bytes) {
  left_bytes_ = bytes;
  state_ = bytes > 0 ? State::skip : State::section;
}

void MemoryStream::lose() {
  seen_ = {};
  state_ = State::unknown;
}

}  // namespace godwit::wire
