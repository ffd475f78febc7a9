// This host's connection to one sibling, on which it asks and tells: dialled when there is something to say, kept, and
// dialled again after a pause that grows. docs/protocols/directory.md.
#pragma once

#include "siblings/messages.h"
#include "sys/runtime.h"

#include <functional>
#include <memory>
#include <string>

namespace godwit::siblings {

// Another host of the cloud.
struct Sibling {
  std::string name;  // as its certificate says
  std::string ip;
  std::uint16_t port{0};
  std::string key_sha256;  // of its newest certificate's key

  bool operator==(const Sibling&) const = default;
};

// One of a sibling. What runs ends with the link.
class Link final {
 public:
  // `on_owing`: the sibling can be reached, and lacks something that it was told, or may have been: a process of it is
  // new, or words were lost. Borrows `runtime`.
  Link(sys::Runtime& runtime, Sibling sibling, Incarnation own, std::function<void()> on_owing);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // A frame that has no answer. Sent some time, or lost: then on_owing says so later.
  void say(ByteVector frame);
  // A question, made by `make` for the number of the request and the nonce of the connection, and the frame that
  // answers it. Errors: unavailable, timed_out (at `deadline`), and what ended the connection.
  using Make = std::function<Result<ByteVector>(std::uint32_t request, const Nonce& nonce)>;
  [[nodiscard]] sys::Task<Result<ByteVector>> ask(Make make, TimePoint deadline);
  // What came from it was false: nothing is asked of it for a while.
  void shun(const std::string& why);

  // Nothing is said or asked any more; what is asked just now fails.
  void close();

  [[nodiscard]] const Sibling& sibling() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace godwit::siblings
