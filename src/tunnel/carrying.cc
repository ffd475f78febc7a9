#include "tunnel/carrying.h"

#include "tunnel/images.h"
#include <algorithm>

namespace godwit::tunnel {

std::vector<std::string> names(const Encodings& encodings) {
  std::vector<std::string> all;
  all.reserve(encodings.size());
  for (const auto* each : encodings) all.emplace_back(each->name());
  return all;
}

migrate::Encoding* choose(const Encodings& here, const std::vector<std::string>& wanted) {
  for (const auto& name : wanted) {
    const auto found = std::ranges::find(here, name, [](const auto* each) { return each->name(); });
    const bool usable = found != here.end() && ((*found)->has_room() || wanted.size() == 1);
    if (usable) return *found;
  }
  return nullptr;
}

Carrying::Carrying(migrate::Encoding& encoding, Role role, std::string tenant, std::string peer,
                   std::vector<std::string> images)
    : encoding_(encoding.name()), images_(std::move(images)) {
  migrate::TransferSpec spec;
  spec.tenant = std::move(tenant);
  spec.peer = std::move(peer);
  spec.image_sha256 = Images::joined(images_);
  spec.flushes_cross = true;  // libvirt doesn't flush the disk at the destination
  transfer_ = role == Role::send ? encoding.leave(std::move(spec)) : encoding.arrive(std::move(spec));
}

sys::Task<Result<>> Carrying::carry(Channel channel, std::unique_ptr<sys::Stream> local,
                                    std::unique_ptr<sys::Stream> wan) {
  const auto kind = channel == Channel::disk ? migrate::Channel::disk : migrate::Channel::memory;
  return transfer_->carry(kind, std::move(local), std::move(wan));
}

}  // namespace godwit::tunnel
