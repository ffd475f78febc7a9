// What two agents say to each other about a migration: the first frame of each connection, its answer, and the frames
// of the control channel. Pure. Format: docs/protocols/migration.md.
#pragma once

#include "migrate/handover.h"
#include "sys/stream.h"
#include "wire/migration.h"

#include <cstdint>
#include <string>
#include <vector>

namespace godwit::migrate {

inline constexpr std::uint32_t kProtocolVersion = 1;
inline constexpr std::size_t kHelloLimit_bytes =
    512UL * 1024;  // a spec with 64 KiB of user data, however it is escaped
inline constexpr std::size_t kFrameLimit_bytes = 64UL * 1024;
inline constexpr std::size_t kReasonLimit_bytes = 4UL * 1024;

BOOST_DEFINE_ENUM_CLASS(Channel, control, disk, memory)

// The first frame, from the source. Fields that a channel has no use for are empty.
struct Hello {
  std::uint32_t version{0};
  Channel channel{Channel::control};
  std::string migration;
  std::string nonce;   // disk, memory: as the control channel's Welcome said
  bool resume{false};  // control: both know the migration, or did
  std::string ticket;  // from here on: a control channel that begins a migration
  wire::InstanceSpec spec;
  std::uint64_t location_version{0};  // the source's claim
  std::string source_api;             // URL of the source's cloud, as hosts of other clouds reach it
  wire::PeerPoint source;             // for people; what counts is the certificate
  wire::MigrationOptions options;
  std::vector<std::string> encodings;  // that the source can use, best first
};
BOOST_DESCRIBE_STRUCT(Hello, (),
                      (version, channel, migration, nonce, resume, ticket, spec, location_version, source_api, source,
                       options, encodings))

// Its answer. ok = false ends the connection.
struct Welcome {
  std::uint32_t version{0};
  bool ok{false};
  bool unknown{false};  // resume: there is no record of this migration
  std::string code;     // of the error, as to_string(Errc) says it
  std::string error;    // for people
  std::string nonce;
  std::string encoding;
  std::string post_copy_problem;  // what stands against it here, where the source has asked for it
  std::uint32_t batches{1};       // the newest version of docs/formats/batch.md that it speaks
};
BOOST_DESCRIBE_STRUCT(Welcome, (), (version, ok, unknown, code, error, nonce, encoding, post_copy_problem, batches))

BOOST_DEFINE_ENUM_CLASS(FrameType,
                        none,  // invalid
                        ping, pong, disk_ready, paused, drained, progress, prepared, released, owned, abort, settled)

struct Frame {
  FrameType type{FrameType::none};
  std::uint64_t sequence{0};                 // ping; echoed by pong
  std::string reason;                        // abort
  std::optional<double> started_after_ms{};  // owned: from D's hearing of S's vote to the start of the vCPUs there
  std::optional<wire::MigrationProgress> progress{};
  std::vector<std::string> hand_offs{};  // released: what proves to others that D has it
};
BOOST_DESCRIBE_STRUCT(Frame, (), (type, sequence, reason, started_after_ms, progress, hand_offs))

// Errors: protocol, naming what is wrong.
[[nodiscard]] Result<Hello> parse_hello(std::string_view json);
[[nodiscard]] Result<Welcome> parse_welcome(std::string_view json);
[[nodiscard]] Result<Frame> parse_frame(std::string_view json);

// Votes among the frames.
[[nodiscard]] std::optional<Saying> saying_of(const Frame& frame);

// `u32 length, JSON`.
template <class Message>
[[nodiscard]] ByteVector pack(const Message& message) {
  const auto json = wire::encode(message);
  ByteVector bytes;
  append_be32(bytes, static_cast<std::uint32_t>(json.size()));
  append(bytes, as_bytes(json));
  return bytes;
}

// One frame's JSON. Errors: protocol (empty, or longer than `limit_bytes`), and those of the stream.
[[nodiscard]] sys::Task<Result<std::string>> read_packed(sys::Stream& stream, std::size_t limit_bytes);

// The Welcome to a Hello that `stream` carries. Errors: those of the stream, protocol, and the other side's refusal
// with its own code and reason.
[[nodiscard]] sys::Task<Result<Welcome>> introduce(sys::Stream& stream, Hello hello);

}  // namespace godwit::migrate
