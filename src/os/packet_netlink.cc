#include "os/packet_netlink.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace godwit::os {
namespace {

constexpr std::uint32_t kIngressHandle = 0xffff0000;
constexpr std::uint32_t kFilterHandle = 0x80000800;  // 800::800, as tc would name the first u32 filter
constexpr std::uint32_t kFilterPriority = 1;
constexpr std::uint16_t kNested = NLA_F_NESTED;
constexpr timeval kPatience{5, 0};

// A netlink message as it grows: header, a fixed part, attributes.
class Request {
 public:
  Request(std::uint16_t type, std::uint16_t flags) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST | NLM_F_ACK);
    put(header);
  }

  template <class T>
  void put(const T& fixed) {
    bytes_.append(reinterpret_cast<const char*>(&fixed), sizeof fixed);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }
  void attribute(std::uint16_t type, std::string_view value) {
    const auto at = begin(type);
    bytes_.append(value);
    end(at);
  }
  template <class T>
  void attribute_of(std::uint16_t type, const T& value) {
    attribute(type, {reinterpret_cast<const char*>(&value), sizeof value});
  }
  void text(std::uint16_t type, std::string_view value) { attribute(type, std::string(value) + '\0'); }
  // An attribute with attributes inside: everything until end().
  [[nodiscard]] std::size_t begin(std::uint16_t type) {
    const auto at = bytes_.size();
    const nlattr header{0, type};
    bytes_.append(reinterpret_cast<const char*>(&header), sizeof header);
    return at;
  }
  void end(std::size_t at) {
    const auto length = static_cast<std::uint16_t>(bytes_.size() - at);
    std::memcpy(bytes_.data() + at, &length, sizeof length);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }
  [[nodiscard]] std::string_view finish() {
    const auto length = static_cast<std::uint32_t>(bytes_.size());
    std::memcpy(bytes_.data(), &length, sizeof length);
    return bytes_;
  }

 private:
  std::string bytes_;
};

ifinfomsg link(int index, bool up) {
  ifinfomsg out{};
  out.ifi_index = index;
  if (up) out.ifi_flags = out.ifi_change = IFF_UP;
  return out;
}

tcmsg traffic_control(int index, std::uint32_t handle, std::uint32_t parent) {
  tcmsg out{};
  out.tcm_family = AF_UNSPEC;
  out.tcm_ifindex = index;
  out.tcm_handle = handle;
  out.tcm_parent = parent;
  return out;
}

Result<> outcome(int error, std::string_view operation) {
  if (error == 0) return {};
  auto failure = fail_errno(error, operation);
  if (error == EPERM) failure.error().message += ": run as root, or give the binary CAP_NET_ADMIN";
  if (error == ENODEV) failure.error().code = Errc::not_found;
  return failure;
}

// tc filter … u32 match u32 0 0 action mirred egress redirect dev TO
Request redirection(int from, int to) {
  Request request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE);
  auto filter = traffic_control(from, kFilterHandle, kIngressHandle);
  filter.tcm_info = (kFilterPriority << 16U) | htons(ETH_P_ALL);
  request.put(filter);
  request.text(TCA_KIND, "u32");
  const auto options = request.begin(TCA_OPTIONS | kNested);
  // A selector and one key behind it: value 0 under mask 0, which is every packet.
  std::array<char, sizeof(tc_u32_sel) + sizeof(tc_u32_key)> match{};
  tc_u32_sel selector;  // ends in an array of no size, which clang lets nobody initialise
  std::memset(&selector, 0, sizeof selector);
  selector.flags = TC_U32_TERMINAL;
  selector.nkeys = 1;
  std::memcpy(match.data(), &selector, sizeof selector);
  request.attribute(TCA_U32_SEL, {match.data(), match.size()});
  const auto actions = request.begin(TCA_U32_ACT | kNested);
  const auto first = request.begin(1 | kNested);
  request.text(TCA_ACT_KIND, "mirred");
  const auto mirred = request.begin(TCA_ACT_OPTIONS | kNested);
  tc_mirred parameters{};
  parameters.action = TC_ACT_STOLEN;
  parameters.eaction = TCA_EGRESS_REDIR;
  parameters.ifindex = static_cast<std::uint32_t>(to);
  request.attribute_of(TCA_MIRRED_PARMS, parameters);
  request.end(mirred);
  request.end(first);
  request.end(actions);
  request.end(options);
  return request;
}

// The value of an attribute among others; empty when it is not there.
std::string_view attribute_in(std::string_view attributes, std::uint16_t type) {
  nlattr header{};
  while (attributes.size() >= sizeof header) {
    std::memcpy(&header, attributes.data(), sizeof header);
    if (header.nla_len < sizeof header || header.nla_len > attributes.size()) return {};
    if ((header.nla_type & NLA_TYPE_MASK) == type) {
      return attributes.substr(sizeof header, header.nla_len - sizeof header);
    }
    attributes.remove_prefix(std::min<std::size_t>(NLA_ALIGN(header.nla_len), attributes.size()));
  }
  return {};
}

std::uint32_t number_in(std::string_view attributes, std::uint16_t type) {
  std::uint32_t out = 0;
  const auto value = attribute_in(attributes, type);
  if (value.size() == sizeof out) std::memcpy(&out, value.data(), sizeof out);
  return out;
}

}  // namespace

int link_index(const std::string& name) { return static_cast<int>(::if_nametoindex(name.c_str())); }

Result<Netlink> Netlink::open() {
  Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return fail_errno(errno, "open a netlink socket");
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  return Netlink(std::move(socket));
}

int Netlink::ask(std::string_view request, std::string* answer) {
  std::string message(request);
  const std::uint32_t sequence = ++sequence_;
  std::memcpy(message.data() + offsetof(nlmsghdr, nlmsg_seq), &sequence, sizeof sequence);
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const auto* to = reinterpret_cast<const sockaddr*>(&kernel);
  if (::sendto(socket_.get(), message.data(), message.size(), 0, to, sizeof kernel) < 0) return errno;
  for (;;) {
    alignas(nlmsghdr) std::array<char, 16384> message_in{};
    const auto size = ::recv(socket_.get(), message_in.data(), message_in.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN ? ETIMEDOUT : errno;
    nlmsghdr header{};
    if (static_cast<std::size_t>(size) < sizeof header + sizeof(nlmsgerr)) continue;
    std::memcpy(&header, message_in.data(), sizeof header);
    if (header.nlmsg_seq != sequence) continue;
    if (header.nlmsg_type != NLMSG_ERROR) {
      if (answer) answer->assign(message_in.data() + NLMSG_HDRLEN, static_cast<std::size_t>(size) - NLMSG_HDRLEN);
      continue;
    }
    nlmsgerr error{};
    std::memcpy(&error, message_in.data() + NLMSG_HDRLEN, sizeof error);
    return -error.error;
  }
}

Result<> Netlink::set_link(int index, const LinkSettings& settings) {
  Request request(RTM_NEWLINK, 0);
  auto change = link(index, true);
  if (!settings.answers_arp) {
    change.ifi_flags |= IFF_NOARP;
    change.ifi_change |= IFF_NOARP;
  }
  if (settings.promiscuous) {
    change.ifi_flags |= IFF_PROMISC;
    change.ifi_change |= IFF_PROMISC;
  }
  request.put(change);
  if (settings.mtu != 0) request.attribute_of(IFLA_MTU, settings.mtu);
  if (settings.queue_length != 0) request.attribute_of(IFLA_TXQLEN, settings.queue_length);
  if (settings.mac != 0) {
    std::array<char, 6> mac{};
    for (unsigned i = 0; i < 6; ++i) mac[i] = static_cast<char>(settings.mac >> (40U - 8 * i));
    request.attribute(IFLA_ADDRESS, {mac.data(), mac.size()});
  }
  return outcome(ask(request.finish()), fmt::format("set up network device {}", index));
}

Result<> Netlink::bring_up(int index) {
  Request request(RTM_NEWLINK, 0);
  request.put(link(index, true));
  return outcome(ask(request.finish()), fmt::format("bring up network device {}", index));
}

Result<> Netlink::remove_link(int index) {
  Request request(RTM_DELLINK, 0);
  request.put(link(index, false));
  return outcome(ask(request.finish()), fmt::format("remove network device {}", index));
}

Result<> Netlink::set_address(int index, const std::string& address_and_prefix) {
  const auto slash = address_and_prefix.find('/');
  const bool v6 = address_and_prefix.find(':') != std::string::npos;
  const unsigned most = v6 ? 128 : 32;
  const auto length_text = slash == std::string::npos ? std::to_string(most) : address_and_prefix.substr(slash + 1);
  unsigned length = 0;
  const auto parsed = std::from_chars(length_text.data(), length_text.data() + length_text.size(), length);
  std::array<char, 16> address{};
  const auto text = address_and_prefix.substr(0, slash);
  if (::inet_pton(v6 ? AF_INET6 : AF_INET, text.c_str(), address.data()) != 1 || parsed.ec != std::errc{} ||
      length > most) {
    return fail(Errc::invalid_argument, "address \"{}\": must be like 10.77.0.1/24 or fd00::1/48", address_and_prefix);
  }
  Request request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
  ifaddrmsg fixed{};
  fixed.ifa_family = v6 ? AF_INET6 : AF_INET;
  fixed.ifa_prefixlen = static_cast<std::uint8_t>(length);
  fixed.ifa_flags = v6 ? IFA_F_NODAD : 0;  // usable at once
  fixed.ifa_index = static_cast<std::uint32_t>(index);
  request.put(fixed);
  const std::string_view bytes(address.data(), v6 ? 16 : 4);
  request.attribute(IFA_LOCAL, bytes);
  request.attribute(IFA_ADDRESS, bytes);
  return outcome(ask(request.finish()), fmt::format("give {} to network device {}", address_and_prefix, index));
}

Result<> Netlink::redirect(int from, int to) {
  Request qdisc(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);
  qdisc.put(traffic_control(from, kIngressHandle, TC_H_INGRESS));
  qdisc.text(TCA_KIND, "ingress");
  const int added = ask(qdisc.finish());
  if (added != 0 && added != EEXIST) return outcome(added, fmt::format("add an ingress queue to device {}", from));
  const int error = ask(redirection(from, to).finish());
  return outcome(error, fmt::format("redirect network device {} to {}", from, to));
}

Result<> Netlink::end_redirect(int from) {
  Request request(RTM_DELQDISC, 0);
  request.put(traffic_control(from, kIngressHandle, TC_H_INGRESS));
  const int error = ask(request.finish());
  if (error == ENOENT || error == EINVAL || error == ENODEV) return {};
  return outcome(error, fmt::format("end the redirection of network device {}", from));
}

Result<> Netlink::skip_scheduling(int index) {
  Request request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE);
  request.put(traffic_control(index, 0, TC_H_ROOT));
  request.text(TCA_KIND, "noqueue");
  return outcome(ask(request.finish()), fmt::format("take the scheduler from network device {}", index));
}

Result<std::uint32_t> Netlink::tap_queues(int index) {
  Request request(RTM_GETLINK, 0);
  request.put(link(index, false));
  std::string answer;
  const auto asked = outcome(ask(request.finish(), &answer), fmt::format("look at network device {}", index));
  if (!asked) return pass(asked);
  if (answer.size() < sizeof(ifinfomsg)) return std::uint32_t{0};
  const auto info = attribute_in(std::string_view(answer).substr(NLMSG_ALIGN(sizeof(ifinfomsg))), IFLA_LINKINFO);
  if (attribute_in(info, IFLA_INFO_KIND).substr(0, 3) != "tun") return std::uint32_t{0};
  const auto data = attribute_in(info, IFLA_INFO_DATA);
  return number_in(data, IFLA_TUN_NUM_QUEUES) + number_in(data, IFLA_TUN_NUM_DISABLED_QUEUES);
}

}  // namespace godwit::os
