#include "migrate/shrink_encoding.h"

#include "migrate/shrink_destination.h"
#include "migrate/shrink_source.h"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace godwit::migrate {
namespace {

constexpr std::uint64_t kBlocksAStep = 2048;  // 8 MiB to read and hash, before others get their turn

// Reads on until every block of the image is in its index. What can't be read is never referred to.
// So is what there is no memory for.
sys::Task<Result<>> index_whole(sys::Executor executor, const content::Library& images,
                                std::shared_ptr<content::Library::Volume> image) {
  while (image && images.index_more(*image, kBlocksAStep)) {
    co_await boost::asio::post(executor, boost::asio::use_awaitable);
  }
  co_return Result<>{};
}

// What a migration of one disk and one channel of memory may need, and a few more.
constexpr std::size_t kOneMigration_bytes = 24 * kMiB;

std::unexpected<Error> no_room() {
  return fail(Errc::exhausted,
              "no memory is left for another connection of a migration (try again when others have ended)");
}

// The newer half of what the store may hold; the other half is for what arrives.
content::PageId leased_from(const content::Store& store) {
  const auto half = store.limit_pages() / 2;
  return store.next() > half ? store.next() - half : 1;
}

class Leaving final : public Transfer {
 public:
  Leaving(sys::Runtime& runtime, content::Library& images, Rapports& rapports, Departure departure)
      : runtime_(runtime), images_(images), rapports_(rapports), departure_(std::move(departure)) {
    departure_.member = departure_.memory->favour.enter();
  }
  ~Leaving() override { departure_.memory->favour.leave(departure_.member); }
  Leaving(const Leaving&) = delete;
  Leaving& operator=(const Leaving&) = delete;

  sys::Task<Result<>> carry(Channel channel, std::unique_ptr<sys::Stream> local,
                            std::unique_ptr<sys::Stream> wan) override {
    auto room = SourceRoom::take(*departure_.memory);
    if (!room) co_return no_room();
    const Rapports::Use use(rapports_, departure_.rapport);
    const auto connection = ++departure_.rapport->last_connection;
    auto& count = channel == Channel::disk ? wan_bytes_.disk : wan_bytes_.memory;
    ShrinkSource source(runtime_.executor, runtime_.clock, departure_, connection, channel, std::move(*room), count);
    // The disk comes first, and its mirror need not wait; when memory comes, the index is whole, or soon.
    if (channel == Channel::memory) (void)co_await index_image();
    auto forth = source.forth(*local, *wan);
    auto back = source.back(*wan, *local);
    using namespace boost::asio::experimental::awaitable_operators;
    auto carried = carry_both(std::move(local), std::move(wan), std::move(forth), std::move(back));
    if (channel == Channel::memory) co_return co_await std::move(carried);
    auto both = std::move(carried) && index_image();
    const auto [done, indexed] = co_await std::move(both);
    co_return done;
  }
  wire::WanBytes wan_bytes() const override { return wan_bytes_; }
  void note(const wire::MigrationProgress& progress, bool may_pause) override {
    departure_.memory->favour.note(departure_.member, progress, may_pause, runtime_.clock.now());
  }
  wire::Savings savings() const override { return departure_.savings; }

 private:
  sys::Task<Result<>> index_image() { return index_whole(runtime_.executor, images_, departure_.image); }

  sys::Runtime& runtime_;
  content::Library& images_;
  Rapports& rapports_;
  Departure departure_;
  wire::WanBytes wan_bytes_;
};

class Arriving final : public Transfer {
 public:
  Arriving(sys::Runtime& runtime, Rapports& rapports, Arrivals arrivals)
      : runtime_(runtime),
        rapports_(rapports),
        arrivals_(std::move(arrivals)),
        pin_(arrivals_.store.pin(arrivals_.leased_from)) {}

  sys::Task<Result<>> carry(Channel channel, std::unique_ptr<sys::Stream> local,
                            std::unique_ptr<sys::Stream> wan) override {
    auto room = DestinationRoom::take(*arrivals_.memory);
    if (!room) co_return no_room();
    const Rapports::Use use(rapports_, arrivals_.rapport);
    ShrinkDestination destination(runtime_.executor, arrivals_, channel, std::move(*room));
    auto forth = destination.forth(*wan, *local);
    auto back = destination.back(*local, *wan);
    co_return co_await carry_both(std::move(local), std::move(wan), std::move(forth), std::move(back));
  }
  wire::WanBytes wan_bytes() const override { return {}; }

 private:
  sys::Runtime& runtime_;
  Rapports& rapports_;
  Arrivals arrivals_;
  std::unique_ptr<content::Store::Pin> pin_;  // what arrives, or may be referred to, stays until then
};

}  // namespace

ShrinkEncoding::ShrinkEncoding(sys::Runtime& runtime, content::Store& store, content::Library& images,
                               content::Siblings* siblings, std::string_view name, std::optional<Effort> effort,
                               std::shared_ptr<HostMemory> memory)
    : runtime_(runtime),
      store_(store),
      images_(images),
      siblings_(siblings),
      memory_(memory ? std::move(memory) : std::make_shared<HostMemory>()),
      rapports_(store, memory_, runtime.page_files, name),
      name_(name),
      effort_(effort) {}

bool ShrinkEncoding::has_room() const { return memory_->connections.spare_bytes() >= kOneMigration_bytes; }

std::unique_ptr<Transfer> ShrinkEncoding::leave(TransferSpec spec) {
  auto rapport = rapports_.with(spec.tenant, spec.peer);
  if (rapport->id == RapportId{}) runtime_.random.fill(rapport->id);
  Departure departure{store_,
                      std::move(rapport),
                      images_.find(spec.image_sha256),
                      Places{},
                      wire::Savings{},
                      effort_,
                      tag_of(spec.instance),
                      memory_,
                      Favour::Member{0},
                      siblings_,
                      spec.tenant,
                      spec.frames_version};
  return std::make_unique<Leaving>(runtime_, images_, rapports_, std::move(departure));
}

std::unique_ptr<Transfer> ShrinkEncoding::arrive(TransferSpec spec) {
  auto rapport = rapports_.with(spec.tenant, spec.peer);
  Arrivals arrivals{store_,
                    std::move(rapport),
                    images_.find(spec.image_sha256),
                    spec.flushes_cross,
                    spec.tenant,
                    leased_from(store_),
                    siblings_,
                    tag_of(spec.instance),
                    memory_};
  return std::make_unique<Arriving>(runtime_, rapports_, std::move(arrivals));
}

}  // namespace godwit::migrate
