// The server's side of one NBD client's connection, of a disk that is only read: bytes in; answers and reads out.
//
// Source: the NBD protocol, https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md, "Newstyle negotiation",
// "Request message", "Simple reply message".
#pragma once

#include "base/bytes.h"

#include <optional>
#include <string>

namespace godwit::wire {

inline constexpr std::uint32_t kNbdRead_bytes = 1U << 20U;  // of one read; the client is told so
inline constexpr std::size_t kNbdOption_bytes = 4096;       // of an option's data that is looked at
inline constexpr std::size_t kNbdOptions = 64;              // of one client: who hasn't begun by then is no client
inline constexpr std::size_t kNbdReply_bytes = 16;          // before what was read

struct NbdRead {
  std::uint64_t cookie{0};
  std::uint64_t offset{0};
  std::uint32_t length{0};  // 1 to kNbdRead_bytes; all of it is on the disk

  bool operator==(const NbdRead&) const = default;
};

// Pure. Memory: an option, and 16 bytes for every 28 of a feed.
class NbdServer final {
 public:
  // `name` is the one export, and what a client gets that asks for none.
  NbdServer(std::string name, std::uint64_t size_bytes);

  // Takes from the front of `bytes` until there is a read to be answered, or nothing is left. What is to be said before
  // that read's answer is among the answers then.
  // Errors: closed (the client is done), protocol.
  [[nodiscard]] Result<std::optional<NbdRead>> next(ByteView& bytes);
  // All that is to be said since the last call; at first the greeting.
  [[nodiscard]] ByteVector take_answers() { return std::exchange(answers_, {}); }
  [[nodiscard]] bool serving() const { return state_ == State::request || state_ == State::skip; }

 private:
  enum class State : std::uint8_t { flags, option, data, request, skip };
  // True when `field_` has `size` bytes.
  [[nodiscard]] bool fill(ByteView& bytes, std::size_t size);
  [[nodiscard]] Result<> take_flags();
  [[nodiscard]] Result<> take_option();
  [[nodiscard]] Result<> take_data(ByteView& bytes);
  [[nodiscard]] Result<> answer_option(ByteView data);
  [[nodiscard]] Result<> answer_go(ByteView data);
  [[nodiscard]] Result<> begin_by_name(ByteView name);
  [[nodiscard]] Result<std::optional<NbdRead>> take_request();
  void reply(std::uint32_t type, ByteView data);
  void say_export();
  [[nodiscard]] bool is_ours(ByteView name) const;

  std::string name_;
  std::uint64_t size_bytes_;
  State state_{State::flags};
  bool no_zeroes_{false};
  std::uint32_t option_{0};
  std::uint64_t left_bytes_{0};  // of an option's data, or of what a write brings
  std::size_t options_{0};
  ByteVector field_;  // that earlier feeds began
  ByteVector answers_;
};

// The head of a read's answer, before what was read. `error`: 0, or the protocol's.
void store_nbd_reply(ByteSpan head, std::uint64_t cookie, std::uint32_t error);
inline constexpr std::uint32_t kNbdErrorIo = 5;

}  // namespace godwit::wire
