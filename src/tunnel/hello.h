// What the two ends of a tunnel say to each other before a connection's bytes: one frame each way. Pure.
// Format: docs/protocols/tunnel.md.
#pragma once

#include "migrate/channel.h"
#include "wire/json.h"

#include <cstdint>
#include <string>
#include <vector>

namespace godwit::tunnel {

inline constexpr std::uint32_t kProtocolVersion = 1;
inline constexpr std::size_t kFrameLimit_bytes = 8UL * 1024;
inline constexpr std::uint32_t kGuestsLimit = 64;  // that one tunnel moves at a time

BOOST_DEFINE_ENUM_CLASS(Channel,
                        none,     // invalid
                        memory,   // QEMU's migration stream; many connections with multifd
                        disk,     // NBD; a connection a disk
                        libvirt)  // libvirt's own protocol: control

// From the sending end.
struct Hello {
  std::uint32_t version{0};
  Channel channel{Channel::none};
  std::uint32_t guest{0};              // memory, disk: whose sockets, from 1
  std::string migration;               // memory, disk: an id of prefix "mig", of all connections that belong together
  std::string tenant;                  // memory, disk: whose content it is; both ends must be told the same
  std::vector<std::string> images;     // memory, disk: SHA-256 of files that the sending end has
  std::vector<std::string> encodings;  // memory, disk: that the sending end can use, best first
};
BOOST_DESCRIBE_STRUCT(Hello, (), (version, channel, guest, migration, tenant, images, encodings))

// From the receiving end, when it is connected to the destination's QEMU or libvirt. ok = false ends the connection.
struct Welcome {
  std::uint32_t version{0};
  bool ok{false};
  std::string code;                 // of the error, as to_string(Errc) says it
  std::string error;                // for people
  std::string encoding;             // memory, disk: the one that is used
  std::vector<std::string> images;  // memory, disk: those of the Hello's that the receiving end has too, in that order
};
BOOST_DESCRIBE_STRUCT(Welcome, (), (version, ok, code, error, encoding, images))

// Errors: invalid_argument.
[[nodiscard]] Result<> check_tenant(const std::string& tenant);

// Errors: protocol, naming what is wrong; unsupported: another version.
[[nodiscard]] Result<Hello> parse_hello(std::string_view json);
[[nodiscard]] Result<Welcome> parse_welcome(std::string_view json);

// The Welcome to `hello`. Errors: those of the stream, protocol, and the other end's refusal with its own code and
// reason.
[[nodiscard]] sys::Task<Result<Welcome>> introduce(sys::Stream& stream, Hello hello);

}  // namespace godwit::tunnel
