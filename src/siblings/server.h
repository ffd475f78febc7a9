// What this host answers to its siblings: as an owner, who holds a digest; as a holder, the page.
// docs/protocols/directory.md.
#pragma once

#include "siblings/holder.h"
#include "siblings/link.h"
#include "siblings/owner.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace godwit::siblings {

class Server final {
 public:
  // `on_missing`: siblings believe that this host holds these, and it does not. The references outlive it.
  Server(sys::Runtime runtime, std::string cloud, Incarnation own, Holder& holder, Owner& owner,
         std::function<void(std::vector<PageDigest>)> on_missing);
  ~Server();

  void start(std::unique_ptr<sys::PeerListener> listener);
  [[nodiscard]] sys::Task<void> stop();
  // Nobody else is answered from now on; those who are not among them any more are forgotten as holders.
  void set_siblings(const std::vector<Sibling>& siblings);

 private:
  struct Connection {
    std::unique_ptr<sys::PeerStream> stream;
    Nonce nonce{};
    std::uint32_t version{kOldestVersion};
  };
  void welcome(std::unique_ptr<sys::PeerStream> stream);
  [[nodiscard]] sys::Task<void> serve(std::shared_ptr<Connection> connection);
  [[nodiscard]] sys::Task<Result<>> converse(std::shared_ptr<Connection> connection);
  [[nodiscard]] Result<> may_ask(const sys::PeerIdentity& peer) const;
  // Empty: there is nothing to answer. Errors: protocol.
  [[nodiscard]] Result<ByteVector> answer(const Connection& connection, ByteView frame);
  [[nodiscard]] Result<ByteVector> answer_alike(const Connection& connection, ByteView frame, Type type);
  template <class Key>
  [[nodiscard]] ByteVector look_up(std::uint32_t request, const std::vector<Key>& keys) const;
  [[nodiscard]] ByteVector serve_pages(const Connection& connection, const Fetch& question);
  [[nodiscard]] ByteVector serve_alike(const Connection& connection, const FetchAlike& question);
  // Whether the question may be answered with pages; else what to say.
  template <class Question>
  [[nodiscard]] Outcome may_have_pages(const Connection& connection, const Question& question) const;

  sys::Runtime runtime_;
  std::string cloud_;
  Incarnation own_;
  Holder& holder_;
  Owner& owner_;
  std::function<void(std::vector<PageDigest>)> on_missing_;
  std::map<std::string, std::string> siblings_;  // name to key
  std::map<std::string, std::shared_ptr<Connection>> connections_;
  std::unique_ptr<sys::PeerListener> listener_;
  std::size_t answering_bytes_{0};
  sys::Gate gate_;
};

}  // namespace godwit::siblings
