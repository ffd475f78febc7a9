// One simulated machine: its files, unix sockets and processes.
#pragma once

#include "sim/files.h"
#include "sim/page_files.h"
#include "sim/process.h"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace godwit::sim {

class LocalListening;
class TcpListening;
class SimPacketIo;

class Host final {
 public:
  Host(World& world, std::string name, std::string site, std::string ip);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  using Factory = std::function<std::unique_ptr<Program>(Process&)>;
  using SpawnFactory = std::function<std::unique_ptr<Program>(Process&, const sys::ProcessSpec&)>;
  using Command = std::function<Result<std::string>(const sys::ProcessSpec&)>;

  // Starts a process that nobody on this host spawned, as an init system would.
  Process& start(const std::string& process_name, const Identity& identity, const Factory& make);
  // What sys::Processes::spawn() starts for a path of that last component, and what run() answers.
  void register_program(const std::string& basename, SpawnFactory make) { programs_[basename] = std::move(make); }
  void register_command(const std::string& basename, Command answer) { commands_[basename] = std::move(answer); }

  // The living process of that name, or null.
  [[nodiscard]] Process* find(const std::string& process_name);
  [[nodiscard]] Process* find(sys::ProcessId id);
  // The power fails: every process ends, nobody is told, and files are what was synced. It comes back at once, empty.
  void power_off();

  // While it lives, `gone` is notified of every death on this host.
  class Mourner {
   public:
    Mourner(Host& host, sys::Signal& gone) : host_(host), gone_(gone) { host_.mourners_.push_back(&gone_); }
    ~Mourner() { std::erase(host_.mourners_, &gone_); }
    Mourner(const Mourner&) = delete;
    Mourner& operator=(const Mourner&) = delete;

   private:
    Host& host_;
    sys::Signal& gone_;
  };

  // While it lives, `changed` is notified when a network device has come or gone.
  class LinkWatch {
   public:
    LinkWatch(Host& host, sys::Signal& changed) : host_(host), changed_(changed) {
      host_.link_watches_.push_back(&changed_);
    }
    ~LinkWatch() { std::erase(host_.link_watches_, &changed_); }
    LinkWatch(const LinkWatch&) = delete;
    LinkWatch& operator=(const LinkWatch&) = delete;

   private:
    Host& host_;
    sys::Signal& changed_;
  };
  void links_changed();
  // A network namespace with the gateway's device: there from when the switch makes it until it removes it.
  [[nodiscard]] bool has_gateway(const std::string& network_namespace) const {
    return gateways_.contains(network_namespace);
  }

  // `network_namespace` empty: the host's own.
  [[nodiscard]] TcpListening* listening_on(std::uint16_t port, const std::string& network_namespace = {}) const {
    const auto found = ports_.find({network_namespace, port});
    return found == ports_.end() ? nullptr : found->second;
  }
  [[nodiscard]] std::vector<Process*> processes() const;  // that live
  [[nodiscard]] World& world() { return world_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& site() const { return site_; }
  [[nodiscard]] const std::string& ip() const { return ip_; }
  [[nodiscard]] bool is_dark() const { return dark_; }  // while its power fails
  [[nodiscard]] Files& files() { return files_; }
  [[nodiscard]] PageFiles& page_files() { return page_files_; }

 private:
  friend class World;
  friend class Process;
  friend class SimProcesses;
  friend class SimLocalSockets;
  friend class SimPeerNetwork;
  friend class SimHttp;
  friend class SimTaps;
  friend class SimPacketIo;
  friend class SimSwitchLinks;
  friend class LocalListening;
  friend class TcpListening;
  Process& add_process(const std::string& process_name, const Identity& identity);
  void bury(Process& process);
  [[nodiscard]] std::uint16_t free_port();

  World& world_;
  std::string name_;
  std::string site_;
  std::string ip_;
  Files files_;
  PageFiles page_files_;
  bool dark_{false};
  std::int32_t next_pid_{100};
  std::uint16_t next_port_{40000};
  std::map<std::string, LocalListening*> sockets_;
  std::map<std::pair<std::string, std::uint16_t>, TcpListening*> ports_;  // by network namespace
  std::map<std::uint16_t, SimPacketIo*> udp_ports_;
  std::map<std::string, std::int32_t> taps_;  // guests': name to the pid that holds it
  std::set<std::string> switch_taps_;         // persistent
  std::set<std::string> gateways_;            // likewise: network namespaces
  std::vector<sys::Signal*> link_watches_;
  std::map<std::string, SpawnFactory> programs_;
  std::map<std::string, Command> commands_;
  std::vector<sys::Signal*> mourners_;
  std::vector<std::unique_ptr<Process>> processes_;
};

}  // namespace godwit::sim
