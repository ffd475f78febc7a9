// All networks of a switch, and which device belongs to which port. Pure.
#pragma once

#include "overlay/control_message.h"
#include "overlay/outbox.h"
#include "overlay/segment.h"

#include <map>
#include <memory>

namespace godwit::overlay {

// What a device is: an instance's port, or (port == nullptr) the gateway of a network, or its LAN.
struct Attachment {
  Segment* segment{nullptr};
  Port* port{nullptr};
  bool lan{false};
};

class Segments {
 public:
  [[nodiscard]] Segment* find(const std::string& id) const {
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : found->second.get();
  }
  [[nodiscard]] Segment* find(std::uint32_t vni) const {
    const auto found = by_vni_.find(vni);
    return found == by_vni_.end() ? nullptr : found->second;
  }
  [[nodiscard]] const Attachment* attached(sys::PortHandle handle) const {
    const auto found = attachments_.find(handle);
    return found == attachments_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] const std::map<std::string, std::unique_ptr<Segment>>& all() const { return by_id_; }

  Segment& add(std::unique_ptr<Segment> segment) {
    auto& at = by_id_[segment->id()];
    at = std::move(segment);
    return *at;
  }
  void remove(const std::string& id) { by_id_.erase(id); }
  // After any change of networks, ports or handles.
  void index();
  // Of all ports' connections.
  [[nodiscard]] ConnectionBudget& connection_budget() { return connection_budget_; }

 private:
  ConnectionBudget connection_budget_;  // first: what the segments hold uses it
  std::map<std::string, std::unique_ptr<Segment>> by_id_;
  std::unordered_map<std::uint32_t, Segment*> by_vni_;
  std::unordered_map<sys::PortHandle, Attachment> attachments_;
};

// Authenticates `control` with the segment's key and puts it into the outbox.
void send_control(Segment& segment, PeerId peer, const Control& control, Outbox& out);

}  // namespace godwit::overlay
