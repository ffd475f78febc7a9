// The ends of a tunnel as processes: what their options mean, and their lives from start to SIGTERM.
#pragma once

#include "os/system.h"

#include "tunnel/sockets.h"
#include <string>
#include <vector>

namespace godwit::apps {

struct EndOptions {
  std::string keys;
  tunnel::Sockets sockets;
  std::vector<std::string> images;
  std::string store{"/var/cache/godwit-tunnel"};
  std::uint64_t store_gib{4};
  std::vector<std::string> encodings{"shrink", "zstd", "plain"};
  std::string tenant{"default"};
  std::string owner;
  std::string log{"info"};
};

struct SendOptions : EndOptions {
  std::string to;
  std::string peer;
  std::string mode{"0600"};
};

// Both in one process, whose sockets are named by convention: guests for NAME go through DIRECTORY/to-NAME.
struct BothOptions : EndOptions {
  std::string directory{"/run/godwit-tunnel"};
  std::string listen{"0.0.0.0:7443"};
  std::string to;
  std::string peer;
  std::string libvirt;  // this host's
};

struct ReceiveOptions : EndOptions {
  std::string listen{"0.0.0.0:7443"};
  std::vector<std::string> from;
};

// Each until it is told to stop. Errors: what stands against its start.
[[nodiscard]] sys::Task<Result<>> send_guests(os::System& system, SendOptions options);
[[nodiscard]] sys::Task<Result<>> receive_guests(os::System& system, ReceiveOptions options);
[[nodiscard]] sys::Task<Result<>> send_and_receive_guests(os::System& system, BothOptions options);

}  // namespace godwit::apps
