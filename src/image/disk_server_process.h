// The process of an instance's disk server, as its agent sees it: started, found again, ended. It is recorded beside
// the instance's directory, as DIRECTORY.disk-server.json, and says what it has to say in DIRECTORY.disk-server.log.
#pragma once

#include "image/disk_server.h"
#include "wire/json.h"

namespace godwit::image {

// Of an instance's directory.
[[nodiscard]] std::string base_socket_of(const std::string& directory);
[[nodiscard]] std::string desk_socket_of(const std::string& directory);

struct DiskServerProgram {
  std::string path;  // of `godwit`
};

// Starts it where none runs, as `uid`, and returns when it takes clients. Errors: not_found (no program), io with what
// it said last, timed_out.
[[nodiscard]] sys::Task<Result<sys::ProcessId>> ensure_disk_server(sys::Runtime& runtime, DiskServerProgram program,
                                                                   std::string directory, std::string file,
                                                                   unsigned uid);
// Returns when it is gone; not an error where there is none. Removes its record and log. Errors: io.
[[nodiscard]] sys::Task<Result<>> end_disk_server(sys::Runtime& runtime, std::string directory);

}  // namespace godwit::image
