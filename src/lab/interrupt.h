// lab/interrupt.h: a person's Ctrl-C (SIGINT, SIGTERM, SIGHUP) as a question that long work asks between its steps, so
// that it can undo what it did.
#pragma once

#include <array>
#include <csignal>

namespace godwit::lab {

// While one exists, those signals are only noted. Signals belong to the process, so this is one of its few globals.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  [[nodiscard]] static bool came();

 private:
  std::array<struct sigaction, 3> before_{};
};

}  // namespace godwit::lab
