#include "image/distribution.h"

#include "image/chain_share.h"
#include "sys/accepting.h"

#include <algorithm>

namespace godwit::image {
namespace {

constexpr Seconds kHelloLimit{5};
constexpr std::size_t kMostGreeting = 128;  // connections that haven't said for which image they are

using Share = chain::Share;

}  // namespace

std::vector<ChainHost> in_chain_order(std::vector<ChainHost> hosts) {
  std::vector<std::string> sites;
  for (const auto& each : hosts) {
    if (std::find(sites.begin(), sites.end(), each.site) == sites.end()) sites.push_back(each.site);
  }
  const auto rank = [&](const ChainHost& host) { return std::find(sites.begin(), sites.end(), host.site); };
  std::stable_sort(hosts.begin(), hosts.end(),
                   [&](const ChainHost& a, const ChainHost& b) { return rank(a) < rank(b); });
  return hosts;
}

struct Distribution::Impl {
  Impl(sys::Runtime on, std::string own)
      : runtime(std::move(on)),
        name(std::move(own)),
        press(std::make_shared<PiecePress>(runtime.clock)),
        rate(std::make_shared<SendRate>()),
        gate(runtime.executor) {}

  sys::Runtime runtime;
  std::string name;
  std::unique_ptr<sys::PeerListener> listener;
  std::shared_ptr<PiecePress> press;  // shared with shares, which may end later
  std::shared_ptr<SendRate> rate;     // likewise
  std::shared_ptr<std::size_t> kept_frames{std::make_shared<std::size_t>(0)};
  std::map<std::string, std::shared_ptr<Share>> shares;
  std::size_t greeting{0};
  sys::Gate gate;
};

namespace {

sys::Task<Result<chain::Hello>> read_hello(std::shared_ptr<chain::Connection> to) {
  const auto head = co_await chain::read_head(*to->stream);
  if (!head) co_return pass(head);
  if (head->type != chain::Type::hello) co_return fail(Errc::protocol, "chain: it says no hello");
  const auto body = co_await chain::read_body(*to->stream, *head);
  if (!body) co_return pass(body);
  co_return chain::parse_hello(*body);
}

// Counted while it lives.
class Greeting {
 public:
  explicit Greeting(std::size_t& count) : count_(count) { ++count_; }
  ~Greeting() { --count_; }
  Greeting(const Greeting&) = delete;
  Greeting& operator=(const Greeting&) = delete;

 private:
  std::size_t& count_;
};

template <class State>
sys::Task<void> greet(std::shared_ptr<State> at, std::shared_ptr<chain::Connection> to) {
  const Greeting counted(at->greeting);
  auto reading = read_hello(to);
  auto hello = co_await sys::within(at->runtime.clock, kHelloLimit, "hello", std::move(reading));
  if (!hello) {
    at->runtime.log.debug("images: {}: {}", to->stream->peer().name, hello.error().message);
    co_return;
  }
  const auto found = at->shares.find(hello->image);
  if (found != at->shares.end() && found->second->open >= chain::kMostOpen) co_return;
  if (found == at->shares.end()) {
    const auto answer = pack(chain::Answer{chain::Outcome::unknown, 0, {}});
    (void)co_await to->stream->write(answer);
    co_return;
  }
  found->second->adopt(*to);
  to->gate.spawn(chain::serve(found->second, to, std::move(*hello)));
}

template <class State>
void welcome(const std::shared_ptr<State>& at, std::unique_ptr<sys::PeerStream> stream) {
  if (at->greeting >= kMostGreeting) return;
  auto connection = std::make_shared<chain::Connection>(at->runtime.executor);
  connection->stream = std::move(stream);
  at->gate.spawn(greet(at, std::move(connection)));
}

Result<> check(const Assignment& each, const std::string& name) {
  const auto count = std::count_if(each.hosts.begin(), each.hosts.end(),
                                   [&](const ChainHost& host) { return host.address.name == name; });
  if (count != 1 || each.hosts.size() > kMostChainHosts || each.image.size() > chain::kImageLimit_bytes) {
    return fail(Errc::invalid_argument, "image {}: {} is {} times in a list of {} hosts", each.image, name, count,
                each.hosts.size());
  }
  return {};
}

}  // namespace

Distribution::Distribution(sys::Runtime runtime, std::string name)
    : impl_(std::make_shared<Impl>(std::move(runtime), std::move(name))) {}
Distribution::~Distribution() {
  for (const auto& [image, share] : impl_->shares) share->close();
  impl_->gate.cancel();
}

void Distribution::limit(std::uint64_t bytes_per_s) {
  impl_->rate->set(bytes_per_s == 0 ? 0 : std::max(bytes_per_s, kLeastSendRate_bytes_per_s));
}

void Distribution::start(std::unique_ptr<sys::PeerListener> listener) {
  impl_->listener = std::move(listener);
  if (!impl_->listener) return;
  auto take = [at = impl_](std::unique_ptr<sys::PeerStream> stream) { welcome(at, std::move(stream)); };
  impl_->gate.spawn(sys::accept_each(*impl_->listener, impl_->runtime.clock, impl_->runtime.log, std::move(take)));
}

sys::Task<void> Distribution::stop() {
  if (impl_->listener) impl_->listener->close();
  for (const auto& [image, share] : impl_->shares) share->close();
  for (const auto& [image, share] : impl_->shares) co_await share->wait_ended();
  co_await impl_->gate.close();
}

Result<> Distribution::set(std::vector<Assignment> assignments) {
  for (auto& each : assignments) {
    auto checked = check(each, impl_->name);
    if (!checked) return checked;
    each.hosts = in_chain_order(std::move(each.hosts));
  }
  std::map<std::string, std::shared_ptr<Share>> kept;
  for (auto& each : assignments) {
    const auto before = impl_->shares.find(each.image);
    auto& share = kept[each.image];
    if (before != impl_->shares.end() && before->second->assignment.pieces == each.pieces) {
      share = before->second;
      share->assign(std::move(each));
      continue;
    }
    share = std::make_shared<Share>(impl_->runtime, impl_->name, std::move(each), impl_->press, impl_->rate,
                                    impl_->kept_frames);
    share->gate.spawn(chain::tick(share));
  }
  for (const auto& [image, share] : impl_->shares) {
    const auto still = kept.find(image);
    if (still == kept.end() || still->second != share) share->close();
  }
  impl_->shares = std::move(kept);
  return {};
}

std::vector<ImageProgress> Distribution::progress() const {
  std::vector<ImageProgress> all;
  for (const auto& [image, share] : impl_->shares) all.push_back(share->progress());
  return all;
}

void Distribution::look_again(const std::string& image) {
  if (const auto found = impl_->shares.find(image); found != impl_->shares.end()) found->second->look_again();
}

void Distribution::want(const std::string& image, const std::vector<std::uint32_t>& pieces) {
  if (const auto found = impl_->shares.find(image); found != impl_->shares.end()) found->second->want(pieces);
}

void Distribution::pace(const std::string& image, std::uint64_t fill_bytes_per_s) {
  const auto found = impl_->shares.find(image);
  if (found == impl_->shares.end()) return;
  found->second->pace(fill_bytes_per_s == 0 ? 0 : std::max(fill_bytes_per_s, kLeastFill_bytes_per_s));
}

}  // namespace godwit::image
