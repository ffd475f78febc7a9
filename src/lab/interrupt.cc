#include "lab/interrupt.h"

namespace godwit::lab {
namespace {

constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP};
volatile std::sig_atomic_t noted = 0;

void note(int /*number*/) { noted = 1; }

}  // namespace

Interrupt::Interrupt() {
  struct sigaction action{};
  action.sa_handler = note;
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &before_[i]);
}

Interrupt::~Interrupt() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
}

bool Interrupt::came() { return noted != 0; }

}  // namespace godwit::lab
