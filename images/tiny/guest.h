// images/tiny/guest.h: what process 1 does to a bare kernel before the service starts.
#pragma once

#include <string>

namespace godwit::tiny {

// Mounts /proc, /sys, /dev and loads the modules of /modules in the order of their names.
void prepare_kernel();

// The value of `key=` on the kernel's command line, or nothing.
std::string kernel_option(const std::string& key);

// Brings eth0 up: godwit.ip=ADDRESS/PREFIX [godwit.gateway=ADDRESS] [godwit.mtu=BYTES], or godwit.ip=none, or else
// DHCP. DHCP goes on in the background until it gets an answer.
void bring_up_network();

// Facts about eth0 for people and tests: "mac=… ip=… mtu=…".
std::string network_facts();

// Runs a shell command; its output comes through a descriptor that the caller closes. -1 if it can't be started.
int start_shell(const std::string& command, int& process_id);

}  // namespace godwit::tiny
