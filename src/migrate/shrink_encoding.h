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
  // The references outlive it. Memory of one connection: at the source up to 28 MiB, of which 16 are what the
  // destination has not yet rebuilt; at the destination up to 6 MiB, and 16 while it waits for a batch to be said
  // again.
  // `siblings`: what else the hosts of this host's cloud hold; nullptr: nothing.
  ShrinkEncoding(sys::Runtime& runtime, content::Store& store, content::Library& images,
                 content::Siblings* siblings = nullptr)
      : ShrinkEncoding(runtime, store, images, siblings, "shrink", std::nullopt) {}
  // One that always tries as much, under a name of its own: `kExactOnly` as "dedup" is what Shrinker did in 2011.
  ShrinkEncoding(sys::Runtime& runtime, content::Store& store, content::Library& images, content::Siblings* siblings,
                 std::string_view name, std::optional<Effort> effort);
  [[nodiscard]] std::string_view name() const override { return name_; }
  [[nodiscard]] std::unique_ptr<Transfer> leave(TransferSpec spec) override;
  [[nodiscard]] std::unique_ptr<Transfer> arrive(TransferSpec spec) override;

 private:
  sys::Runtime& runtime_;
  content::Store& store_;
  content::Library& images_;
  content::Siblings* siblings_;
  Rapports rapports_;
  std::string_view name_;  // a literal
  std::optional<Effort> effort_;
};

}  // namespace godwit::migrate
