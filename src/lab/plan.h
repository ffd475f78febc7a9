// lab/plan.h: from what lab.toml says to what must be made: namespaces, and the commands that fill them. Pure.
//
//   a1  a2  a0            one namespace each, eth0 on the cloud's LAN
//    \   |  /
//   lan0 bridge           in cloud-a-router, which routes (and translates)
//   wan0 TUN  --------.
//                      delay line (in wan)  ------- wan0 of cloud-b-router, of each public node
#pragma once

#include "lab/config.h"
#include "lab/wan_table.h"

#include <string>
#include <string_view>
#include <vector>

namespace godwit::lab {

enum class Role : std::uint8_t { host = 1, control, router, public_node, wan };
[[nodiscard]] std::string_view to_string(Role role);

struct Node {
  std::string name;   // "a1", "cloud-a-router", "wan"
  std::string site;   // its cloud, or itself for a public node; empty for wan
  std::string netns;  // "gw-demo-a1"
  Role role{Role::host};
  Ipv4Prefix address;  // where others reach it: on its LAN, or public; 0.0.0.0 for wan
};

// A program run in a namespace ("" is the caller's), with `input` on its standard input.
struct Command {
  std::string netns;
  std::vector<std::string> argv;
  std::string input;
};

struct Plan {
  Config config;
  std::vector<Node> nodes;
  std::vector<Command> make_namespaces;
  std::vector<Command> fill_namespaces;
  WanSetup wan;  // one port a site, in the order of config: clouds, then public nodes
};

// What the names of all of a lab's namespaces start with, those that its agents make included.
[[nodiscard]] std::string netns_prefix(std::string_view lab);

[[nodiscard]] Plan make_plan(Config config);
// Null when there is no such node.
[[nodiscard]] const Node* find_node(const Plan& plan, std::string_view name);

}  // namespace godwit::lab
