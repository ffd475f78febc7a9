// A guest's memory as QEMU sends it, made up or of a file's pages, pushed through a tunnel as fast as it goes, and
// compared with what comes out. Usage: stream_pump KIND MIB SEED KNOWN NEW IN OUT: one number, the seconds that it
// took.
//   known   pages of the file KNOWN, in shuffled runs as they lie in a guest's memory
//   new     pages of chance
//   mixed   half from KNOWN, a sixth that the stream had before, a third from NEW: what four idle guests send
// IN is the sending tunnel's socket; OUT is made here, for the receiving one to dial.
#include "base/bytes.h"
#include "base/page.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <random>
#include <stdexcept>
#include <thread>

namespace {

using namespace godwit;
using SteadyClock = std::chrono::steady_clock;

constexpr std::uint32_t kRamId = 2;
constexpr std::size_t kSectionPages = 16'384;
constexpr std::size_t kRunPages = 16;  // 64 KiB lie together
constexpr std::size_t kWriteBytes = 1UL << 20U;
constexpr std::size_t kReadBytes = 1UL << 20U;

[[noreturn]] void give_up(const std::string& doing) {
  throw std::runtime_error(fmt::format("{}: {}", doing, std::strerror(errno)));
}

// All pages of a file, in memory; what is left of its last page is not looked at.
class Pages {
 public:
  explicit Pages(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat found{};
    if (file < 0 || ::fstat(file, &found) != 0) give_up(path);
    count_ = static_cast<std::size_t>(found.st_size) / kPage_bytes;
    if (count_ < kRunPages) throw std::runtime_error(path + ": is too small");
    void* at = ::mmap(nullptr, count_ * kPage_bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (at == MAP_FAILED) give_up("map " + path);
    ::close(file);
    bytes_ = {static_cast<const std::byte*>(at), count_ * kPage_bytes};
  }
  [[nodiscard]] std::size_t runs() const { return count_ / kRunPages; }
  [[nodiscard]] ByteView run(std::size_t number) const {
    return bytes_.subspan(number % runs() * kRunPages * kPage_bytes, kRunPages * kPage_bytes);
  }

 private:
  std::size_t count_{0};
  ByteView bytes_;
};

// QEMU's precopy stream of one block of RAM, machine types from 2.4 on (docs of `wire/memory_stream.h`).
class StreamMaker {
 public:
  explicit StreamMaker(std::size_t pages) {
    constexpr std::string_view kBlock = "pc.ram";
    bytes_.reserve(pages * (kPage_bytes + 8) + (1UL << 16U));
    append_be32(bytes_, 0x5145564d);
    append_be32(bytes_, 3);
    begin_section(0x01);
    bytes_.push_back(std::byte{3});
    append(bytes_, as_bytes("ram"));
    append_be32(bytes_, 0);
    append_be32(bytes_, 4);
    append_be64(bytes_, pages * kPage_bytes | 0x04);
    bytes_.push_back(std::byte{kBlock.size()});
    append(bytes_, as_bytes(kBlock));
    append_be64(bytes_, pages * kPage_bytes);
    end_section();
  }
  void add(ByteView run) {
    for (; !run.empty(); run = run.subspan(kPage_bytes)) {
      const bool begins = pages_ % kSectionPages == 0;
      if (begins && pages_ > 0) end_section();
      if (begins) begin_section(0x02);
      append_be64(bytes_, pages_ * kPage_bytes | 0x08 | (begins ? 0 : 0x20));
      if (begins) {
        bytes_.push_back(std::byte{6});
        append(bytes_, as_bytes("pc.ram"));
      }
      append(bytes_, run.first(kPage_bytes));
      ++pages_;
    }
  }
  [[nodiscard]] ByteVector finish() {
    end_section();
    bytes_.push_back(std::byte{0});
    return std::move(bytes_);
  }

 private:
  void begin_section(std::uint8_t type) {
    bytes_.push_back(static_cast<std::byte>(type));
    append_be32(bytes_, kRamId);
  }
  void end_section() {
    append_be64(bytes_, 0x10);
    bytes_.push_back(std::byte{0x7e});
    append_be32(bytes_, kRamId);
  }

  ByteVector bytes_;
  std::size_t pages_{0};
};

ByteVector make_stream(const std::string& kind, std::size_t pages, std::uint64_t seed, const Pages& known,
                       const Pages& fresh) {
  StreamMaker maker(pages);
  std::mt19937_64 chance(seed);
  std::vector<ByteView> had;
  ByteVector random(kRunPages * kPage_bytes);
  std::size_t next_fresh = 0;
  for (std::size_t made = 0; made < pages; made += kRunPages) {
    const auto draw = kind == "mixed" ? chance() % 6 : 0;
    if (kind == "new") {
      for (std::size_t at = 0; at < random.size(); at += sizeof(std::uint64_t)) {
        const auto word = chance();
        std::memcpy(random.data() + at, &word, sizeof word);
      }
      maker.add(random);
    } else if (draw < 3) {
      maker.add(known.run(chance() % known.runs()));
    } else if (draw == 3 && !had.empty()) {
      maker.add(had[chance() % had.size()]);
    } else {
      had.push_back(fresh.run(next_fresh++));
      maker.add(had.back());
    }
  }
  return maker.finish();
}

// ---- the sockets

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error(path + ": is too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

int listen_at(const std::string& path) {
  const auto address = address_of(path);
  ::unlink(path.c_str());
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto* at = reinterpret_cast<const sockaddr*>(&address);
  if (socket < 0 || ::bind(socket, at, sizeof address) != 0 || ::listen(socket, 1) != 0) give_up("listen at " + path);
  return socket;
}

int dial(const std::string& path) {
  const auto address = address_of(path);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) give_up("dial " + path);
  return socket;
}

void push(int socket, ByteView stream) {
  while (!stream.empty()) {
    const auto count = ::send(socket, stream.data(), std::min(stream.size(), kWriteBytes), MSG_NOSIGNAL);
    if (count < 0) give_up("write");
    stream = stream.subspan(static_cast<std::size_t>(count));
  }
  ::shutdown(socket, SHUT_WR);
}

// What comes must be `stream`, and end with it.
void pull(int socket, ByteView stream) {
  ByteVector buffer(kReadBytes);
  for (;;) {
    const auto count = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (count < 0) give_up("read");
    if (count == 0) break;
    const auto size = static_cast<std::size_t>(count);
    if (size > stream.size() || std::memcmp(buffer.data(), stream.data(), size) != 0) {
      throw std::runtime_error("other bytes came than were sent");
    }
    stream = stream.subspan(size);
  }
  if (!stream.empty()) throw std::runtime_error(fmt::format("the last {} bytes did not come", stream.size()));
}

double carry(ByteView stream, const std::string& in, const std::string& out) {
  const int listener = listen_at(out);
  const int source = dial(in);
  const int sink = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (sink < 0) give_up("accept at " + out);
  const auto began = SteadyClock::now();
  std::exception_ptr failure;
  {
    const std::jthread pushing([&] {
      try {
        push(source, stream);
      } catch (...) {
        failure = std::current_exception();
      }
    });
    pull(sink, stream);
  }
  if (failure) std::rethrow_exception(failure);
  const auto took_s = std::chrono::duration<double>(SteadyClock::now() - began).count();
  ::unlink(out.c_str());
  return took_s;
}

}  // namespace

int main(int count, char** words) {
  const std::vector<std::string> given(words + 1, words + count);
  if (given.size() != 7 || (given[0] != "known" && given[0] != "new" && given[0] != "mixed")) {
    std::cerr << "usage: stream_pump known|new|mixed MIB SEED KNOWN NEW IN OUT\n";
    return 2;
  }
  try {
    const auto pages = static_cast<std::size_t>(std::stoul(given[1])) * ((1UL << 20U) / kPage_bytes);
    const auto stream = make_stream(given[0], pages, std::stoull(given[2]), Pages(given[3]), Pages(given[4]));
    fmt::print("{:.4f}\n", carry(stream, given[5], given[6]));
  } catch (const std::exception& failure) {
    std::cerr << "stream_pump: " << failure.what() << "\n";
    return 1;
  }
}
