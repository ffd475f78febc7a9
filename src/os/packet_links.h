// The switch's devices on Linux: persistent TAPs, joined to the guests' by tc redirect, and gateways in namespaces.
#pragma once

#include "sys/packet.h"

#include <memory>

namespace godwit::os {

// Works in the network namespace in which it was made. One strand.
class SystemSwitchLinks final : public sys::SwitchLinks {
 public:
  [[nodiscard]] static Result<std::unique_ptr<SystemSwitchLinks>> open(const sys::Executor& executor);
  ~SystemSwitchLinks() override;

  [[nodiscard]] Result<std::unique_ptr<sys::PacketDevice>> open_tap(const std::string& name, std::uint32_t mtu,
                                                                    std::uint32_t queues) override;
  [[nodiscard]] Result<> remove_tap(const std::string& name) override;
  // Errors: not_found: `tap` is gone.
  [[nodiscard]] Result<bool> join(const std::string& tap, const std::string& guest, bool promiscuous) override;
  [[nodiscard]] Result<> part(const std::string& guest) override;
  [[nodiscard]] Result<std::unique_ptr<sys::PacketDevice>> open_gateway(const sys::GatewaySpec& spec) override;
  [[nodiscard]] Result<std::unique_ptr<sys::PacketDevice>> open_host_device(const sys::HostDeviceSpec& spec) override;
  [[nodiscard]] Result<> remove_gateway(const std::string& network_namespace) override;
  [[nodiscard]] sys::Task<Result<>> wait_changed() override;

 private:
  struct Impl;
  explicit SystemSwitchLinks(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::os
