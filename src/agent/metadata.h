// The guests' metadata service: EC2's IMDSv2 (token first) at 169.254.169.254, for one network of this host, and the
// place where a guest that has finished its first boot phones home. Paths: docs/formats/metadata.md; source: the EC2
// user guide, "Instance metadata categories", and what cloud-init asks.
#pragma once

#include "sys/clock.h"
#include "sys/http.h"
#include "wire/instance.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::agent {

// What the service says to one guest.
struct Guest {
  wire::InstanceSpec spec;
  std::string cloud;   // its availability zone and region
  std::string domain;  // of its network
  std::string cidr;
};

class Metadata {
 public:
  // `on_ready` is called with the instance's id each time its guest phones home.
  Metadata(sys::Clock& clock, sys::Random& random, std::function<void(const std::string&)> on_ready);

  // Who is on this network and host now. Guests are told apart by their IP: the switch drops frames that lie about it.
  void set_guests(const std::vector<Guest>& guests);

  // One request; `request.remote` is "IP:port". 401 without a valid token, 404 for a path or a guest that is not there.
  [[nodiscard]] sys::HttpResponse answer(const sys::HttpRequest& request);

 private:
  struct Entry {
    Guest guest;
    std::map<std::string, std::string> tree;  // path below meta-data/ to content
    std::map<std::string, TimePoint> tokens;  // to the end of their life
  };
  [[nodiscard]] sys::HttpResponse issue_token(Entry& entry, const sys::HttpRequest& request);
  [[nodiscard]] bool holds_token(Entry& entry, const sys::HttpRequest& request);

  sys::Clock& clock_;
  sys::Random& random_;
  std::function<void(const std::string&)> on_ready_;
  std::map<std::string, Entry> by_ip_;
};

// The tree below meta-data/: path to content. Public for its test.
[[nodiscard]] std::map<std::string, std::string> metadata_tree(const Guest& guest);
// A leaf's content, or the listing of a directory as EC2 prints it (names, one a line; directories end with a slash).
[[nodiscard]] std::optional<std::string> look_up(const std::map<std::string, std::string>& tree, std::string_view path);

}  // namespace godwit::agent
