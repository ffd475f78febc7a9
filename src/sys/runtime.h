// Everything that a process may touch, in one place: main() builds it from os, a test from sim.
#pragma once

#include "base/log.h"
#include "sys/files.h"
#include "sys/http.h"
#include "sys/page_file.h"
#include "sys/stream.h"
#include "sys/task.h"

namespace godwit::sys {

// Borrowed references: whoever builds a Runtime keeps the parts alive until every actor that was given it has stopped.
struct Runtime {
  Executor executor;
  Clock& clock;
  Random& random;
  Files& files;
  PageFiles& page_files;
  Processes& processes;
  LocalSockets& local;
  PeerNetwork& peers;
  Http& http;
  Taps& taps;
  Log log;
};

}  // namespace godwit::sys
