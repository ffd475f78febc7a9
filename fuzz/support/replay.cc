// main() of a fuzz target where the compiler has no libFuzzer: every file of a corpus, then inputs that are mutated
// from them without coverage, the same in every run.
//
// Usage: fuzz_NAME [-runs=N] [-seed=N] CORPUS…     (words of libFuzzer, whose other options are passed over)
// An input that ends the process is left in ./crash-replay.
#include "support/input.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kMostBytes = 64UL * 1024;
constexpr std::size_t kMostChanges = 6;

Bytes current;

extern "C" void keep_input(int signal_number) {
  const int file = ::open("crash-replay", O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
  if (file >= 0) {
    [[maybe_unused]] const auto written = ::write(file, current.data(), current.size());
  }
  std::signal(signal_number, SIG_DFL);
  std::raise(signal_number);
}

void run(Bytes input) {
  current = std::move(input);
  LLVMFuzzerTestOneInput(current.data(), current.size());
}

class Mutator {
 public:
  Mutator(const std::vector<Bytes>& seeds, std::uint64_t seed) : seeds_(seeds), random_(seed) {}

  Bytes next() {
    Bytes out = seeds_[below(seeds_.size())];
    const auto changes = 1 + below(kMostChanges);
    for (std::size_t i = 0; i < changes; ++i) change(out);
    if (out.size() > kMostBytes) out.resize(kMostBytes);
    return out;
  }

 private:
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }
  auto at(const Bytes& bytes, std::size_t offset) { return bytes.begin() + static_cast<std::ptrdiff_t>(offset); }

  void change(Bytes& out) {
    static constexpr std::array<std::uint8_t, 20> kTelling{0,   1,   0x7f, 0x80, 0xff, '"', '{', '}', '[', ']',
                                                           ':', ',', '/',  '%',  '\\', '.', '-', '0', ' ', '\n'};
    const auto place = below(out.size() + 1);
    const auto length = 1 + below(std::min<std::size_t>(out.size() - place, 16));
    const auto& other = seeds_[below(seeds_.size())];
    switch (below(11) / 2) {  // what cuts off the rest is the rarest
      case 0:
        if (place < out.size()) out[place] ^= static_cast<std::uint8_t>(1U << below(8));
        break;
      case 1:
        if (place < out.size()) out[place] = kTelling[below(kTelling.size())];
        break;
      case 2: out.insert(at(out, place), length, kTelling[below(kTelling.size())]); break;
      case 3:
        if (place < out.size()) out.erase(at(out, place), at(out, place + length));
        break;
      case 4: {  // a part of another seed
        const auto from = below(other.size() + 1);
        out.insert(at(out, place), at(other, from), at(other, from + below(other.size() - from + 1)));
        break;
      }
      default: out.resize(place); break;
    }
  }

  const std::vector<Bytes>& seeds_;
  std::mt19937_64 random_;
};

// Sorted by name: the same order on every file system.
std::vector<Bytes> read_corpus(const std::set<std::string>& places) {
  std::set<std::filesystem::path> files;
  for (const auto& place : places) {
    for (const auto& each : std::filesystem::directory_iterator(place)) files.insert(each.path());
  }
  std::vector<Bytes> out;
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    out.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return out;
}

std::uint64_t number_of(std::string_view option) {
  std::uint64_t number = 0;
  const auto digits = option.substr(option.find('=') + 1);
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t runs = 0;
  std::uint64_t seed = 1;
  std::set<std::string> places;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.starts_with("-runs=")) runs = number_of(word);
    if (word.starts_with("-seed=")) seed = number_of(word);
    if (!word.starts_with('-')) places.emplace(word);
  }
  for (const int each : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGTERM}) std::signal(each, keep_input);
  auto seeds = read_corpus(places);
  seeds.emplace_back();  // nothing at all is an input too
  for (const auto& each : seeds) run(each);
  Mutator mutator(seeds, seed);
  for (std::uint64_t i = 0; i < runs; ++i) run(mutator.next());
  std::printf("%zu seeds and %llu mutations\n", seeds.size(), static_cast<unsigned long long>(runs));
  return 0;
}
