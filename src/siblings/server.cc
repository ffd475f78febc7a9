#include "siblings/server.h"

#include "base/page.h"
#include "crypto/digest.h"
#include "sys/accepting.h"

#include <algorithm>

namespace godwit::siblings {
namespace {

constexpr Seconds kHelloLimit{5};
constexpr Seconds kAnswerLimit{5};                        // for a sibling to take one
constexpr std::size_t kMostAnswering_bytes = 8UL << 20U;  // in memory, to all siblings together

// For as long as it lives, so many bytes are counted.
class Counted {
 public:
  Counted(std::size_t& sum, std::size_t bytes) : sum_(sum), bytes_(bytes) { sum_ += bytes_; }
  ~Counted() { sum_ -= bytes_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::size_t& sum_;
  std::size_t bytes_;
};

void add_page(Pages& pages, const Holder& holder, const std::string& tenant, content::PageId id) {
  const auto before = pages.content.size();
  pages.content.resize(before + kPage_bytes);
  const bool held = id != 0 && holder.read(tenant, id, ByteSpan(pages.content).subspan(before)).has_value();
  if (!held) pages.content.resize(before);
  pages.held.push_back(held);
}

}  // namespace

Server::Server(sys::Runtime runtime, std::string cloud, Incarnation own, Holder& holder, Owner& owner,
               std::function<void(std::vector<PageDigest>)> on_missing)
    : runtime_(std::move(runtime)),
      cloud_(std::move(cloud)),
      own_(own),
      holder_(holder),
      owner_(owner),
      on_missing_(std::move(on_missing)),
      gate_(runtime_.executor) {}

Server::~Server() = default;

void Server::start(std::unique_ptr<sys::PeerListener> listener) {
  listener_ = std::move(listener);
  if (!listener_) return;
  auto take = [this](std::unique_ptr<sys::PeerStream> stream) { welcome(std::move(stream)); };
  gate_.spawn(sys::accept_each(*listener_, runtime_.clock, runtime_.log, std::move(take)));
}

sys::Task<void> Server::stop() {
  if (listener_) listener_->close();
  for (const auto& [name, connection] : connections_) connection->stream->close();
  co_await gate_.close();
}

void Server::set_siblings(const std::vector<Sibling>& siblings) {
  std::map<std::string, std::string> now;
  for (const auto& each : siblings) now[each.name] = each.key_sha256;
  for (const auto& [name, key] : siblings_) {
    const auto still = now.find(name);
    if (still != now.end() && still->second == key) continue;
    owner_.depart(name);
    if (const auto open = connections_.find(name); open != connections_.end()) open->second->stream->close();
  }
  siblings_ = std::move(now);
}

// ---- connections

void Server::welcome(std::unique_ptr<sys::PeerStream> stream) {
  const auto may = may_ask(stream->peer());
  if (!may) {
    runtime_.log.debug("directory: {}", may.error().message);
    return;
  }
  auto connection = std::make_shared<Connection>();
  connection->stream = std::move(stream);
  runtime_.random.fill(connection->nonce);
  gate_.spawn(serve(std::move(connection)));
}

Result<> Server::may_ask(const sys::PeerIdentity& peer) const {
  const auto known = siblings_.find(peer.name);
  if (peer.cloud != cloud_ || known == siblings_.end() || known->second != peer.key_sha256) {
    return fail(Errc::denied, "{} of cloud {}: is no host of this cloud that is known here", peer.name, peer.cloud);
  }
  return {};
}

// One connection a sibling: a newer one takes the place of the one before.
sys::Task<void> Server::serve(std::shared_ptr<Connection> connection) {
  const auto name = connection->stream->peer().name;
  auto& place = connections_[name];
  if (place) place->stream->close();
  place = connection;
  const auto ended = co_await converse(connection);
  if (ended.error().code != Errc::closed && ended.error().code != Errc::cancelled) {
    runtime_.log.debug("directory: {}: {}", name, ended.error().message);
  }
  const auto known = connections_.find(name);
  if (known != connections_.end() && known->second == connection) connections_.erase(known);
}

// Until it fails, which it does in the end.
sys::Task<Result<>> Server::converse(std::shared_ptr<Connection> connection) {
  auto& stream = *connection->stream;
  auto reading = read_frame(stream, kGreetingLimit_bytes);
  const auto first = co_await sys::within(runtime_.clock, kHelloLimit, "hello", std::move(reading));
  if (!first) co_return pass(first);
  const auto hello = parse_hello(*first);
  if (!hello) co_return pass(hello);
  owner_.meet(stream.peer().name, hello->incarnation);
  connection->version = hello->version;
  Welcome welcome{own_, connection->nonce, hello->version};
  auto answered = pack(welcome);
  for (;;) {
    if (!answered.empty()) {
      const Counted counted(answering_bytes_, answered.size());
      auto writing = stream.write(answered);
      const auto written = co_await sys::within(runtime_.clock, kAnswerLimit, "an answer", std::move(writing));
      if (!written) co_return written;
    }
    const auto frame = co_await read_frame(stream, kAskingLimit_bytes);
    if (!frame) co_return pass(frame);
    auto next = answer(*connection, *frame);
    if (!next) co_return pass(next);
    answered = std::move(*next);
  }
}

// ---- answers

Result<ByteVector> Server::answer(const Connection& connection, ByteView frame) {
  const auto& name = connection.stream->peer().name;
  const auto type = type_of(frame);
  if (type == Type::tell) {
    const auto news = parse_tell(frame);
    if (!news) return pass(news);
    owner_.tell(name, news->digests);
    return ByteVector{};
  }
  if (type == Type::withdraw) {
    const auto news = parse_withdraw(frame);
    if (!news) return pass(news);
    owner_.withdraw(name, news->digests);
    return ByteVector{};
  }
  if (type == Type::lookup) {
    const auto question = parse_lookup(frame);
    if (!question) return pass(question);
    return look_up(question->request, question->digests);
  }
  if (type == Type::fetch) {
    const auto question = parse_fetch(frame);
    if (!question) return pass(question);
    return serve_pages(connection, *question);
  }
  if (type && *type >= Type::tell_alike && connection.version >= 2) return answer_alike(connection, frame, *type);
  return fail(Errc::protocol, "directory: a frame that is not for the one who was dialled");
}

Result<ByteVector> Server::answer_alike(const Connection& connection, ByteView frame, Type type) {
  if (type == Type::tell_alike) {
    const auto news = parse_tell_alike(frame);
    if (!news) return pass(news);
    owner_.tell_alike(connection.stream->peer().name, news->tags);
    return ByteVector{};
  }
  if (type == Type::seek) {
    const auto question = parse_seek(frame);
    if (!question) return pass(question);
    return look_up(question->request, question->tags);
  }
  const auto question = parse_fetch_alike(frame);
  if (!question) return pass(question);
  return serve_alike(connection, *question);
}

template <class Key>
ByteVector Server::look_up(std::uint32_t request, const std::vector<Key>& keys) const {
  Found found;
  found.request = request;
  std::map<std::string, std::uint8_t> places;
  for (const auto& key : keys) {
    const auto& holder = owner_.holder_of(key);
    std::uint8_t place = 0;
    if (const auto known = places.find(holder); known != places.end()) {
      place = known->second;
    } else if (!holder.empty() && found.holders.size() < UINT8_MAX) {
      found.holders.push_back(holder);
      place = static_cast<std::uint8_t>(found.holders.size());
      places[holder] = place;
    }
    found.of.push_back(place);
  }
  return pack(found);
}

template <class Question>
Outcome Server::may_have_pages(const Connection& connection, const Question& question) const {
  const auto expected = holder_.prove(question.tenant, connection.nonce, connection.stream->peer().name);
  if (!expected || !crypto::equal_secrets(*expected, question.proof)) return Outcome::denied;
  return answering_bytes_ + kAnswerLimit_bytes > kMostAnswering_bytes ? Outcome::busy : Outcome::served;
}

// Nothing waits in here, so no page is evicted between finding and reading it.
ByteVector Server::serve_pages(const Connection& connection, const Fetch& question) {
  Pages pages{question.request, may_have_pages(connection, question), {}, {}};
  if (pages.outcome != Outcome::served) return pack(pages);
  std::vector<PageDigest> missing;
  for (const auto& digest : question.digests) {
    const auto id = holder_.find(question.tenant, digest);
    add_page(pages, holder_, question.tenant, id);
    if (id == 0) missing.push_back(digest);
  }
  if (!missing.empty()) on_missing_(std::move(missing));
  return pack(pages);
}

ByteVector Server::serve_alike(const Connection& connection, const FetchAlike& question) {
  Pages pages{question.request, may_have_pages(connection, question), {}, {}};
  if (pages.outcome != Outcome::served) return pack(pages);
  for (const auto& sketch : question.sketches) {
    add_page(pages, holder_, question.tenant, holder_.find_alike(question.tenant, sketch));
  }
  return pack(pages);
}

}  // namespace godwit::siblings
