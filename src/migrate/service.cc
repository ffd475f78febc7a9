#include "migrate/service.h"

#include "base/id.h"
#include "migrate/destination.h"
#include "migrate/source.h"
#include "migrate/zstd_encoding.h"
#include "sys/accepting.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <list>
#include <set>

namespace godwit::migrate {
namespace {

constexpr std::size_t kGreetings = 64;         // connections that have not said what they want, at a time
constexpr std::size_t kUnsettledLimit = 4096;  // as many as a report may have
constexpr std::size_t kForgottenLimit = 4096;  // ids, remembered against an order that was under way

bool is_open(const Record& record) { return !record.ballot.carried_out; }

Standing standing_of(const Record& record) {
  return record.role == wire::MigrationRole::source ? standing_of_source(record) : standing_of_destination(record);
}

}  // namespace

class Service::Impl {
 public:
  Impl(sys::Runtime runtime, Self self, std::string directory, Guests& guests, Locations& locations, Clouds& clouds,
       std::vector<Encoding*> encodings, std::function<void()> on_changed)
      : runtime_(std::move(runtime)),
        news_(std::make_shared<News>(News{std::move(on_changed), this, false})),
        context_{runtime_,
                 std::move(self),
                 Records(runtime_.files, std::move(directory)),
                 guests,
                 locations,
                 clouds,
                 with_usual(std::move(encodings)),
                 [this] { changed(); }},
        gate_(runtime_.executor) {}

  std::vector<Encoding*> with_usual(std::vector<Encoding*> encodings) {
    encodings.insert(encodings.end(), {&zstd_, &plain_});
    return encodings;
  }

  Result<> restore();
  void start(std::unique_ptr<sys::PeerListener> listener);
  void listen_too(std::unique_ptr<sys::PeerListener> listener);
  sys::Task<void> stop();
  void order(const Order& order);
  Standing standing(const std::string& instance) const;
  std::vector<Arrival> arrivals() const;
  std::vector<wire::MigrationReport> reports() const;
  bool under_way() const;
  std::vector<std::string> unsettled() const;
  std::vector<wire::SwitchPoint> dialled() const;
  void forget(const std::string& migration);
  void set_self(Self self) { context_.self = std::move(self); }

 private:
  // Outlives us in what was posted.
  struct News {
    std::function<void()> tell;
    Impl* service;
    bool posted;
  };
  void changed();
  void drop_ended();
  template <class Side>
  using Ended = std::list<std::unique_ptr<Side>>;
  template <class Side>
  sys::Task<void> retire(Ended<Side>& all, typename Ended<Side>::iterator side);
  [[nodiscard]] std::vector<const Record*> records_of(const std::string& instance) const;
  [[nodiscard]] Result<> may_begin(const Order& order) const;
  void begin(const Order& order);

  void accept_at(std::shared_ptr<sys::PeerListener> listener);
  sys::Task<void> greet(std::unique_ptr<sys::PeerStream> stream);
  sys::Task<Result<>> take(std::unique_ptr<sys::PeerStream>& stream, Hello hello);
  sys::Task<Result<>> admit(std::unique_ptr<sys::PeerStream>& stream, Hello hello);
  [[nodiscard]] Result<Destination*> find_for(const Hello& hello, const sys::PeerIdentity& peer);
  [[nodiscard]] Result<> may_arrive(const Hello& hello) const;

  sys::Runtime runtime_;
  ZstdEncoding zstd_;
  PlainEncoding plain_;
  std::shared_ptr<News> news_;
  Context context_;
  std::map<std::string, std::unique_ptr<Source>> sources_;
  std::map<std::string, std::unique_ptr<Destination>> destinations_;
  Ended<Source> ended_sources_;  // which stop
  Ended<Destination> ended_destinations_;
  std::set<std::string> admitting_;  // instances whose tickets are being redeemed
  std::set<std::string> forgotten_;
  std::shared_ptr<sys::PeerListener> listener_;  // each shared with the coroutine that accepts from it
  std::shared_ptr<sys::PeerListener> other_listener_;
  std::size_t greetings_{0};
  sys::Gate gate_;
};

// ---- life

Result<> Service::Impl::restore() {
  auto records = context_.records.load();
  if (!records) return pass(records);
  for (auto& record : *records) {
    const auto id = record.id;
    if (record.role == wire::MigrationRole::source) {
      sources_[id] = std::make_unique<Source>(context_, std::move(record));
    } else {
      destinations_[id] = std::make_unique<Destination>(context_, std::move(record));
    }
  }
  return {};
}

void Service::Impl::start(std::unique_ptr<sys::PeerListener> listener) {
  listener_ = std::move(listener);
  for (const auto& [id, each] : sources_) each->restore();
  for (const auto& [id, each] : destinations_) each->restore();
  accept_at(listener_);
}

void Service::Impl::listen_too(std::unique_ptr<sys::PeerListener> listener) {
  if (other_listener_) other_listener_->close();
  other_listener_ = std::move(listener);
  accept_at(other_listener_);
}

sys::Task<void> Service::Impl::stop() {
  news_->service = nullptr;
  for (const auto& each : {listener_, other_listener_}) {
    if (each) each->close();
  }
  co_await gate_.close();
  for (const auto& [id, each] : sources_) co_await each->stop();
  for (const auto& [id, each] : destinations_) co_await each->stop();
  for (const auto& each : ended_sources_) co_await each->stop();
  for (const auto& each : ended_destinations_) co_await each->stop();
}

void Service::Impl::changed() {
  if (news_->posted) return;
  news_->posted = true;
  boost::asio::post(runtime_.executor, [weak = std::weak_ptr(news_)] {
    const auto news = weak.lock();
    if (!news || !news->service) return;
    news->posted = false;
    news->service->drop_ended();
    news->tell();
  });
}

// It is destroyed when it has stopped, also where our own end cuts this short.
template <class Side>
sys::Task<void> Service::Impl::retire(Ended<Side>& all, typename Ended<Side>::iterator side) {
  const auto removed = context_.records.remove((*side)->record().id);
  if (!removed) runtime_.log.error("{}", removed.error().message);
  co_await (*side)->stop();
  all.erase(side);
}

void Service::Impl::drop_ended() {
  const auto drop = [this](auto& sides, auto& ended) {
    for (auto each = sides.begin(); each != sides.end();) {
      if (!each->second->may_drop()) {
        ++each;
        continue;
      }
      if (forgotten_.size() < kForgottenLimit) forgotten_.insert(each->first);
      gate_.spawn(retire(ended, ended.insert(ended.end(), std::move(each->second))));
      each = sides.erase(each);
    }
  };
  drop(sources_, ended_sources_);
  drop(destinations_, ended_destinations_);
}

void Service::Impl::forget(const std::string& migration) {
  if (const auto source = sources_.find(migration); source != sources_.end()) source->second->forget();
  if (const auto arrived = destinations_.find(migration); arrived != destinations_.end()) arrived->second->forget();
  changed();
}

// ---- what the agent asks

std::vector<const Record*> Service::Impl::records_of(const std::string& instance) const {
  std::vector<const Record*> found;
  for (const auto& [id, each] : sources_) {
    if (each->record().spec.id == instance) found.push_back(&each->record());
  }
  for (const auto& [id, each] : destinations_) {
    if (each->record().spec.id == instance) found.push_back(&each->record());
  }
  return found;
}

Standing Service::Impl::standing(const std::string& instance) const {
  if (admitting_.contains(instance)) return Standing::must_not_run;
  const Record* latest = nullptr;
  for (const Record* each : records_of(instance)) {
    if (is_open(*each)) return standing_of(*each);  // one at most: see may_begin(), may_arrive()
    // One that was aborted changed nothing, and one that its cloud knows of is the cloud's to speak of.
    if (each->forgotten || each->ballot.decision != Decision::released) continue;
    if (!latest || each->location_version > latest->location_version) latest = each;
  }
  return latest ? standing_of(*latest) : Standing::may_run;
}

std::vector<Arrival> Service::Impl::arrivals() const {
  std::vector<Arrival> arrivals;
  for (const auto& [id, each] : destinations_) {
    const Record& record = each->record();
    const bool ours = record.ballot.decision == Decision::released && record.ballot.carried_out;
    if (ours && !record.forgotten)
      arrivals.push_back({id, record.spec, {record.location_version, record.location_record, record.hand_offs}});
  }
  return arrivals;
}

std::vector<wire::MigrationReport> Service::Impl::reports() const {
  std::vector<wire::MigrationReport> reports;
  for (const auto& [id, each] : sources_) {
    if (!each->record().forgotten) reports.push_back(each->report());
  }
  for (const auto& [id, each] : destinations_) {
    if (!each->record().forgotten) reports.push_back(each->report());
  }
  return reports;
}

bool Service::Impl::under_way() const {
  const auto open = [](const auto& side) { return is_open(side.second->record()); };
  return std::ranges::any_of(sources_, open) || std::ranges::any_of(destinations_, open);
}

std::vector<std::string> Service::Impl::unsettled() const {
  std::vector<std::string> ids;
  for (const auto& [id, each] : sources_) {
    if (!each->record().ballot.settled && ids.size() < kUnsettledLimit) ids.push_back(id);
  }
  for (const auto& [id, each] : destinations_) {
    const Record& record = each->record();
    if (record.promised && !record.ballot.settled && ids.size() < kUnsettledLimit) ids.push_back(id);
  }
  return ids;
}

std::vector<wire::SwitchPoint> Service::Impl::dialled() const {
  std::vector<wire::SwitchPoint> out;
  for (const auto& [id, each] : sources_) {
    const auto& point = each->record().destination.by_overlay;
    const bool known = std::ranges::find(out, point) != out.end();
    if (!each->record().ballot.settled && !point.record.empty() && !known) out.push_back(point);
  }
  return out;
}

// ---- orders: this host as the source

void Service::Impl::order(const Order& order) {
  const auto& id = order.order.id;
  if (const auto source = sources_.find(id); source != sources_.end()) {
    source->second->direct(order.order);
  } else if (const auto arriving = destinations_.find(id); arriving != destinations_.end()) {
    arriving->second->direct(order.order);
  } else if (is_id("mig", id) && !forgotten_.contains(id) && !order.order.grant.ticket.empty()) {
    begin(order);
  }
}

Result<> Service::Impl::may_begin(const Order& order) const {
  if (order.order.cancel) return fail(Errc::cancelled, "cancelled before it began");
  const auto& instance = order.order.instance;
  if (order.spec.id != instance) return fail(Errc::not_found, "instance {}: is not on this host", instance);
  for (const Record* each : records_of(instance)) {
    if (is_open(*each)) return fail(Errc::conflict, "instance {}: migration {} is under way", instance, each->id);
  }
  const auto& to = order.order.grant.destination;
  if (to.cloud == context_.self.cloud && to.host == context_.self.host) {
    return fail(Errc::invalid_argument, "instance {}: is on {} already", instance, to.host);
  }
  return {};
}

void Service::Impl::begin(const Order& order) {
  const auto may = may_begin(order);
  Record record;
  record.id = order.order.id;
  record.role = wire::MigrationRole::source;
  record.spec = order.spec;
  record.spec.id = order.order.instance;
  record.location_version = order.location_version + 1;
  record.source.cloud = context_.self.cloud;
  record.source.host = context_.self.host;
  record.destination = order.order.grant.destination;
  record.ticket = order.order.grant.ticket;
  record.options = order.order.options;
  record.hand_offs = order.order.hand_offs;
  record.started_ms = context_.unix_ms();
  if (!may) {
    record.error = may.error().message;
    record.ended_ms = record.started_ms;
    record.ballot = {Vote::aborted, Decision::aborted, false, true, true};
  }
  const auto saved = context_.records.save(record);
  if (!saved) {
    runtime_.log.error("migration {}: {}", record.id, saved.error().message);  // the order comes again
    return;
  }
  auto& source = sources_[record.id];
  source = std::make_unique<Source>(context_, std::move(record));
  if (may) source->begin();
  changed();
}

// ---- connections: this host as the destination

void Service::Impl::accept_at(std::shared_ptr<sys::PeerListener> listener) {
  auto& of = *listener;
  auto take = [this, kept = std::move(listener)](std::unique_ptr<sys::PeerStream> stream) {
    if (greetings_ < kGreetings) gate_.spawn(greet(std::move(stream)));  // else its peer tries again
  };
  gate_.spawn(sys::accept_each(of, runtime_.clock, runtime_.log, std::move(take)));
}

sys::Task<void> Service::Impl::greet(std::unique_ptr<sys::PeerStream> stream) {
  ++greetings_;
  auto reading = read_packed(*stream, kHelloLimit_bytes);
  const auto json = co_await sys::within(runtime_.clock, kHelloLimit, "Hello", std::move(reading));
  --greetings_;
  if (!json) co_return;
  const auto who = stream->peer().name;
  auto hello = parse_hello(*json);
  Result<> taken;
  if (hello) {
    taken = co_await take(stream, std::move(*hello));
  } else {
    taken = pass(hello);
  }
  if (taken || !stream) co_return;
  runtime_.log.warn("migration from {} refused: {}", who, taken.error().message);
  Welcome welcome;
  welcome.version = kProtocolVersion;
  welcome.unknown = taken.error().code == Errc::not_found;
  welcome.code = to_string(taken.error().code);
  welcome.error = taken.error().message.substr(0, kReasonLimit_bytes);
  const auto bytes = pack(welcome);
  auto telling = stream->write(bytes);
  const auto told = co_await sys::within(runtime_.clock, kHelloLimit, "refuse", std::move(telling));
  if (told) co_await runtime_.clock.sleep_for(kIntroduceLimit);  // the peer closes when it has read it
}

// Errors are told to the peer; not_found is "no such migration". `stream` is moved from where somebody took it over.
sys::Task<Result<>> Service::Impl::take(std::unique_ptr<sys::PeerStream>& stream, Hello hello) {
  if (hello.version != kProtocolVersion) {
    co_return fail(Errc::unsupported, "protocol version {} where {} is spoken: the older side must be upgraded",
                   hello.version, kProtocolVersion);
  }
  const bool fresh = hello.channel == Channel::control && !hello.resume;
  if (fresh) co_return co_await admit(stream, std::move(hello));
  const auto found = find_for(hello, stream->peer());
  if (!found) co_return pass(found);
  if (hello.channel == Channel::control) {
    (*found)->resume(std::move(stream));
  } else {
    (*found)->join(hello.channel, std::move(hello.nonce), std::move(stream));
  }
  co_return Result<>{};
}

Result<Destination*> Service::Impl::find_for(const Hello& hello, const sys::PeerIdentity& peer) {
  const auto found = destinations_.find(hello.migration);
  if (found == destinations_.end()) return fail(Errc::not_found, "migration {}: is not known here", hello.migration);
  const Record& record = found->second->record();
  if (record.peer_key != peer.key_sha256 || record.source.cloud != peer.cloud) {
    return fail(Errc::denied, "migration {}: belongs to another host", hello.migration);
  }
  return found->second.get();
}

Result<> Service::Impl::may_arrive(const Hello& hello) const {
  const auto valid = wire::validate(hello.spec);
  if (!valid) return valid;
  const auto& id = hello.migration;
  if (destinations_.contains(id) || sources_.contains(id) || forgotten_.contains(id)) {
    return fail(Errc::conflict, "migration {}: is known here already", id);
  }
  if (admitting_.contains(hello.spec.id))
    return fail(Errc::conflict, "instance {}: is arriving already", hello.spec.id);
  for (const Record* each : records_of(hello.spec.id)) {
    if (is_open(*each)) return fail(Errc::conflict, "instance {}: migration {} is under way", hello.spec.id, each->id);
  }
  return {};
}

namespace {

// For as long as it lives, `id` is in `set`.
class Entry {
 public:
  Entry(std::set<std::string>& set, std::string id) : set_(set), id_(std::move(id)) { set_.insert(id_); }
  ~Entry() { set_.erase(id_); }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

 private:
  std::set<std::string>& set_;
  std::string id_;
};

// Our cloud has checked its signature, and bound everything else at admission; these it could not know.
Result<> check_claims(const wire::TicketClaims& claims, const Hello& hello, const sys::PeerIdentity& peer,
                      const Self& self) {
  if (claims.migration != hello.migration) return fail(Errc::denied, "ticket: is for migration {}", claims.migration);
  if (claims.instance != hello.spec.id) return fail(Errc::denied, "ticket: is for instance {}", claims.instance);
  if (claims.source_cloud != peer.cloud || claims.source_host_key != peer.key_sha256) {
    return fail(Errc::denied, "ticket: is for another host than {}", peer.name);
  }
  if (claims.destination.host != self.host) {
    return fail(Errc::denied, "ticket: is for host {}, this is {}", claims.destination.host, self.host);
  }
  return {};
}

}  // namespace

sys::Task<Result<>> Service::Impl::admit(std::unique_ptr<sys::PeerStream>& stream, Hello hello) {
  const auto may = may_arrive(hello);
  if (!may) co_return may;
  const Entry entry(admitting_, hello.spec.id);
  const auto peer = stream->peer();
  wire::RedeemRequest request{hello.ticket, peer.cloud, peer.key_sha256, hello.spec, hello.location_version};
  auto redeeming = context_.clouds.redeem(std::move(request));
  const auto redeemed =
      co_await sys::within(runtime_.clock, kCloudCallLimit, "redeem the ticket", std::move(redeeming));
  if (!redeemed) {
    // "not_found" would say something else to the source.
    const bool missing = redeemed.error().code == Errc::not_found;
    co_return std::unexpected(Error{missing ? Errc::denied : redeemed.error().code, redeemed.error().message});
  }
  const auto claims = check_claims(redeemed->claims, hello, peer, context_.self);
  if (!claims) co_return claims;
  Record record;
  record.id = hello.migration;
  record.role = wire::MigrationRole::destination;
  record.spec = std::move(hello.spec);
  record.location_version = std::max(hello.location_version + 1, redeemed->location_version);
  record.location_record = redeemed->location_record;
  record.source = hello.source;
  record.source.cloud = peer.cloud;
  record.source.certificate_name = peer.name;
  record.destination = redeemed->claims.destination;
  record.peer_key = peer.key_sha256;
  record.source_api = std::move(hello.source_api);
  record.options = hello.options;
  record.started_ms = context_.unix_ms();
  const auto saved = context_.records.save(record);
  if (!saved) co_return saved;
  auto& arriving = destinations_[record.id];
  arriving = std::make_unique<Destination>(context_, std::move(record));
  arriving->begin(std::move(stream), std::move(hello.encodings));
  changed();
  co_return Result<>{};
}

// ---- the outer class

Service::Service(sys::Runtime runtime, Self self, std::string records_directory, Guests& guests, Locations& locations,
                 Clouds& clouds, std::vector<Encoding*> encodings, std::function<void()> on_changed)
    : impl_(std::make_unique<Impl>(std::move(runtime), std::move(self), std::move(records_directory), guests, locations,
                                   clouds, std::move(encodings), std::move(on_changed))) {}
Service::~Service() = default;
Result<> Service::restore() { return impl_->restore(); }
void Service::start(std::unique_ptr<sys::PeerListener> listener) { impl_->start(std::move(listener)); }
void Service::listen_too(std::unique_ptr<sys::PeerListener> listener) { impl_->listen_too(std::move(listener)); }
sys::Task<void> Service::stop() { return impl_->stop(); }
void Service::order(const Order& order) { impl_->order(order); }
Standing Service::standing(const std::string& instance) const { return impl_->standing(instance); }
std::vector<Arrival> Service::arrivals() const { return impl_->arrivals(); }
std::vector<wire::MigrationReport> Service::reports() const { return impl_->reports(); }
bool Service::under_way() const { return impl_->under_way(); }
std::vector<std::string> Service::unsettled() const { return impl_->unsettled(); }
std::vector<wire::SwitchPoint> Service::dialled() const { return impl_->dialled(); }
void Service::forget(const std::string& migration) { impl_->forget(migration); }
void Service::set_self(Self self) { impl_->set_self(std::move(self)); }

}  // namespace godwit::migrate
