// What a coroutine has begun and has not handed on yet.
#pragma once

#include "sys/task.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <memory>
#include <utility>

namespace godwit::sys {

// Owns an object that may be destroyed only when `close` has returned, for coroutines run in it. Who is cancelled while
// it has one can't wait for that: then the object ends by itself, soon after, and is destroyed. So what it refers to,
// other than the executor, must last until then.
template <class T>
class Begun final {
 public:
  using Close = Task<void> (T::*)();
  Begun(Executor executor, std::unique_ptr<T> object, Close how)
      : executor_(std::move(executor)), object_(std::move(object)), close_(how) {}
  ~Begun() {
    if (object_) boost::asio::co_spawn(executor_, end(std::move(object_), close_), boost::asio::detached);
  }
  Begun(const Begun&) = delete;
  Begun& operator=(const Begun&) = delete;

  [[nodiscard]] T* operator->() const { return object_.get(); }
  [[nodiscard]] Task<void> close() {
    co_await (object_.get()->*close_)();
    object_.reset();
  }
  // Somebody else closes it from here on.
  [[nodiscard]] std::unique_ptr<T> take() { return std::move(object_); }

 private:
  static Task<void> end(std::unique_ptr<T> object, Close how) { co_await (object.get()->*how)(); }

  Executor executor_;
  std::unique_ptr<T> object_;
  Close close_;
};

}  // namespace godwit::sys
