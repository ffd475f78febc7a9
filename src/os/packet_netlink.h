// What the switch asks of rtnetlink(7) and tc: links, addresses, and the redirection that joins two devices.
#pragma once

#include "base/result.h"
#include "os/descriptor.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace godwit::os {

struct LinkSettings {
  std::uint32_t mtu{0};
  std::uint32_t queue_length{0};  // 0: as it is
  std::uint64_t mac{0};           // 0: as it is
  bool answers_arp{true};
  bool promiscuous{false};  // true: hears also what is for other addresses
};

// A socket in the network namespace of the thread that opened it. Blocking and short; one thread.
class Netlink {
 public:
  [[nodiscard]] static Result<Netlink> open();

  // Errors: not_found, io.
  [[nodiscard]] Result<> set_link(int index, const LinkSettings& settings);  // and up
  [[nodiscard]] Result<> bring_up(int index);
  [[nodiscard]] Result<> remove_link(int index);
  [[nodiscard]] Result<> set_address(int index, const std::string& address_and_prefix);
  // All that comes in at `from` goes out at `to`, instead of whatever it did before. Calling it again changes nothing.
  [[nodiscard]] Result<> redirect(int from, int to);
  // Ends that; not an error when there is none.
  [[nodiscard]] Result<> end_redirect(int from);
  // What goes out waits nowhere in the kernel but in the device's own queues. To be called before the device is up:
  // for one of several queues Linux makes a scheduler for each of 256, 6.5 MiB a TAP, and then needs none of them.
  [[nodiscard]] Result<> skip_scheduling(int index);
  // How many queues of a TAP processes hold now; 0 of any other device. Errors: not_found, io.
  [[nodiscard]] Result<std::uint32_t> tap_queues(int index);

 private:
  explicit Netlink(Descriptor socket) : socket_(std::move(socket)) {}
  // Sends one request and waits for its acknowledgement. `answer`: the message that came before it, without its header.
  [[nodiscard]] int ask(std::string_view request, std::string* answer = nullptr);

  Descriptor socket_;
  std::uint32_t sequence_{0};
};

// 0 when there is no such device here.
[[nodiscard]] int link_index(const std::string& name);

}  // namespace godwit::os
