// Deduplicated and compressed: a page crosses once, or never. A connection's bytes to the destination are batches
// (migrate/batch.h); the way back carries QEMU's own answers, what was rebuilt, and what must be said again.
// Format: docs/formats/batch.md.
#pragma once

#include "content/library.h"
#include "content/siblings.h"
#include "migrate/batch_encoder.h"
#include "migrate/encoding.h"
#include "migrate/rapport.h"
#include "sys/runtime.h"

#include <memory>

namespace godwit::migrate {

inline constexpr Effort kExactOnly{true, false, 0};

class ShrinkEncoding final : public Encoding {
 public:
  // The references outlive it. `siblings`: what else the hosts of this host's cloud hold; nullptr: nothing.
  ShrinkEncoding(sys::Runtime& runtime, content::Store& store, content::Library& images,
                 content::Siblings* siblings = nullptr)
      : ShrinkEncoding(runtime, store, images, siblings, "shrink", std::nullopt) {}
  // One that always tries as much, under a name of its own: `kExactOnly` as "dedup" is what Shrinker did in 2011.
  // `memory`: shared with the host's other encodings; nullptr: the host has no other.
  ShrinkEncoding(sys::Runtime& runtime, content::Store& store, content::Library& images, content::Siblings* siblings,
                 std::string_view name, std::optional<Effort> effort, std::shared_ptr<HostMemory> memory = nullptr);
  [[nodiscard]] std::string_view name() const override { return name_; }
  [[nodiscard]] bool has_room() const override;
  [[nodiscard]] std::unique_ptr<Transfer> leave(TransferSpec spec) override;
  [[nodiscard]] std::unique_ptr<Transfer> arrive(TransferSpec spec) override;

 private:
  sys::Runtime& runtime_;
  content::Store& store_;
  content::Library& images_;
  content::Siblings* siblings_;
  std::shared_ptr<HostMemory> memory_;  // with the host's other encodings, and with what crosses
  Rapports rapports_;
  std::string_view name_;  // a literal
  std::optional<Effort> effort_;
};

}  // namespace godwit::migrate
