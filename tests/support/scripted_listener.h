// A listener that gives what was put into it, in order: streams and errors. The last must be what ends whoever accepts.
#pragma once

#include "sys/stream.h"

#include <deque>
#include <memory>
#include <utility>

namespace godwit::testing {

class ScriptedListener final : public sys::Listener {
 public:
  using Came = Result<std::unique_ptr<sys::Stream>>;

  explicit ScriptedListener(std::deque<Came> script) : script_(std::move(script)) {}
  sys::Task<Came> accept() override {
    auto next = std::move(script_.front());
    script_.pop_front();
    co_return next;
  }
  void close() override {}

 private:
  std::deque<Came> script_;
};

}  // namespace godwit::testing
