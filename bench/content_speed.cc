// How fast one core recognises pages, each step alone, in real content: an image's blocks. bench_content runs it.
// Speeds are GB a second of processor time. Usage: content_speed IMAGE FORMAT SCRATCH_DIRECTORY; lines of "name value".
#include "base/assert.h"
#include "content/digest.h"
#include "content/directory.h"
#include "content/image_index.h"
#include "content/sketch.h"
#include "content/store.h"
#include "crypto/block_digests.h"
#include "image/pieces.h"
#include "image/qcow2_blocks.h"
#include "os/page_files.h"

#include <time.h>

#include <algorithm>
#include <iostream>
#include <random>
#include <vector>

namespace godwit {
namespace {

constexpr std::uint64_t kMost_pages = 65'536;  // 256 MiB: more than any cache

struct Pages {
  ByteVector bytes;
  std::vector<std::uint64_t> blocks;  // where each comes from
  std::vector<std::uint64_t> fingerprints;

  [[nodiscard]] std::size_t count() const { return blocks.size(); }
  [[nodiscard]] ByteView page(std::size_t i) const { return ByteView(bytes).subspan(i * kPage_bytes, kPage_bytes); }
};

void must(const Result<>& done) {
  if (done) return;
  std::cerr << "content_speed: " << done.error().message << "\n";
  std::exit(1);
}
template <class T>
T must(Result<T> done) {
  if (!done) must(Result<>(pass(done)));
  return std::move(*done);
}

// The first blocks that hold anything.
Pages read_pages(const content::Blocks& blocks) {
  Pages pages;
  ByteVector page(kPage_bytes);
  for (std::uint64_t block = 0; block < blocks.count() && pages.count() < kMost_pages; ++block) {
    if (blocks.is_hole(block)) continue;
    must(blocks.read(block, page));
    if (std::all_of(page.begin(), page.end(), [](std::byte each) { return each == std::byte{0}; })) continue;
    append(pages.bytes, page);
    pages.blocks.push_back(block);
    pages.fingerprints.push_back(content::fingerprint_of(page));
  }
  return pages;
}

// A guest's memory holds a file's blocks in runs, which lie anywhere.
std::vector<std::size_t> in_runs(std::size_t count) {
  constexpr std::size_t kRun = 16;
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i + kRun <= count; i += kRun) starts.push_back(i);
  std::shuffle(starts.begin(), starts.end(), std::mt19937_64(1));  // NOLINT(bugprone-random-generator-seed)
  std::vector<std::size_t> order;
  for (const auto start : starts) {
    for (std::size_t i = 0; i < kRun; ++i) order.push_back(start + i);
  }
  return order;
}

// Of the processor, which others use too: what one core does, and not how busy it was.
double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

template <class Each>
void measure(const char* name, const std::vector<std::size_t>& order, Each each) {
  const auto began = cpu_seconds();
  for (const auto i : order) each(i);
  std::cout << name << " " << static_cast<double>(order.size() * kPage_bytes) / (cpu_seconds() - began) / 1e9 << "\n";
}

void measure_image(const content::Blocks& blocks, const Pages& pages, const std::vector<std::size_t>& order) {
  content::ImageIndex index(blocks);
  const auto began = cpu_seconds();
  while (must(index.advance(1024))) {
  }
  const auto ended = cpu_seconds();
  std::uint64_t filled = 0;
  for (std::uint64_t block = 0; block < blocks.count(); ++block) filled += blocks.is_hole(block) ? 0 : 1;
  std::cout << "image_read " << static_cast<double>(filled * kPage_bytes) / (ended - began) / 1e9 << "\n"
            << "image_bytes_a_block " << static_cast<double>(index.bytes()) / static_cast<double>(filled) << "\n";
  std::uint64_t near = 0;
  std::size_t found = 0;
  measure("image_find", order, [&](std::size_t i) {
    const auto page = pages.page(i);
    const auto block = index.find(page, content::fingerprint_of(page), near);
    if (!block) return;
    near = *block + 1;
    ++found;
  });
  GODWIT_ASSERT(found == order.size());
}

void measure_store(const std::string& scratch, const Pages& pages, const std::vector<std::size_t>& order) {
  os::SystemPageFiles files;
  content::Store store(files, scratch + "/store", {});
  const auto domain = store.domain("alice");
  std::vector<std::size_t> unique;
  measure("store_append", order, [&](std::size_t i) {
    const auto page = pages.page(i);
    if (store.find(domain, page, pages.fingerprints[i]) != 0) return;
    (void)must(store.append(domain, page, pages.fingerprints[i]));
    unique.push_back(i);
  });
  std::size_t missed = 0;
  measure("exact_find", order, [&](std::size_t i) {
    const auto page = pages.page(i);
    missed += store.find(domain, page, content::fingerprint_of(page)) == 0 ? 1 : 0;
  });
  GODWIT_ASSERT(missed <= order.size() / 10'000);  // two of 65,536 pages may well have one hash of 32 bits
  const auto other = store.domain("bob");
  measure("exact_miss", order, [&](std::size_t i) {
    const auto page = pages.page(i);
    GODWIT_ASSERT(store.find(other, page, content::fingerprint_of(page)) == 0);
  });
  measure("similar_find", order, [&](std::size_t i) { (void)store.find_similar(domain, pages.page(i), 1); });
  const auto use = store.use();
  std::cout << "unique_pages " << use.pages << "\n"
            << "store_bytes_a_page " << static_cast<double>(use.index_bytes) / static_cast<double>(use.pages) << "\n";
}

void measure_directory(const Pages& pages) {
  const content::PageKey key(as_bytes("a key of the benchmark, 32 bytes"));
  content::Holdings holdings(1U << 20U);
  content::OwnerTable owned(1U << 20U);
  const content::SketchKey sketches(as_bytes("a key of the benchmark, 32 bytes"));
  content::OwnerTable likenesses(content::kSuperFeatures << 20U);
  for (std::size_t i = 0; i < pages.count(); ++i) {
    const auto digest = key.digest(pages.page(i));
    holdings.add(digest, i + 1);
    owned.add(content::hint_of(digest), 1);
    const auto sketch = content::sketch_of(pages.page(i));
    for (std::size_t place = 0; place < sketch.size(); ++place) {
      if (sketch[place] != 0) likenesses.add(content::hint_of(sketches.tag(place, sketch[place])), 1);
    }
  }
  std::cout << "holdings_bytes_an_entry "
            << static_cast<double>(holdings.bytes()) / static_cast<double>(holdings.size()) << "\n"
            << "owned_bytes_an_entry " << static_cast<double>(owned.bytes()) / static_cast<double>(owned.size()) << "\n"
            << "owned_bytes_with_sketch "
            << static_cast<double>(owned.bytes() + likenesses.bytes()) / static_cast<double>(owned.size()) << "\n";
}

// Of an image's blocks, a piece at once, as whoever gets or imports one digests them.
void measure_blocks(const char* name, const Pages& pages, crypto::BlockDigests digests) {
  constexpr std::size_t kBlocks = image::kPiece_bytes / kPage_bytes;
  ByteVector into(kBlocks * crypto::kBlockDigest);
  const auto began = cpu_seconds();
  std::size_t done = 0;
  for (; done + kBlocks <= pages.count(); done += kBlocks) {
    digests.digest(ByteView(pages.bytes).subspan(done * kPage_bytes, image::kPiece_bytes), into);
  }
  std::cout << name << " " << static_cast<double>(done * kPage_bytes) / (cpu_seconds() - began) / 1e9 << "\n";
}

void measure_all(const std::string& image, const std::string& format, const std::string& scratch) {
  os::SystemPageFiles files;
  const auto blocks = must(image::open_blocks(files, image, format));
  const auto pages = read_pages(*blocks);
  const auto order = in_runs(pages.count());
  std::uint64_t sum = 0;
  measure("fingerprint", order, [&](std::size_t i) { sum += content::fingerprint_of(pages.page(i)); });
  measure("sketch", order, [&](std::size_t i) { sum += content::sketch_of(pages.page(i))[0]; });
  const content::PageKey key(as_bytes("a key of the benchmark, 32 bytes"));
  measure("keyed_digest", order,
          [&](std::size_t i) { sum += std::to_integer<unsigned>(key.digest(pages.page(i))[0]); });
  GODWIT_ASSERT(sum != 0);
  measure_blocks("block_digests", pages, crypto::BlockDigests::fastest());
  measure_blocks("block_digests_openssl", pages, crypto::BlockDigests::openssl());
  measure_image(*blocks, pages, order);
  measure_store(scratch, pages, order);
  measure_directory(pages);
}

}  // namespace
}  // namespace godwit

int main(int count, char** words) {
  if (count != 4) {
    std::cerr << "usage: content_speed IMAGE FORMAT SCRATCH_DIRECTORY\n";
    return 2;
  }
  godwit::measure_all(words[1], words[2], words[3]);
  return 0;
}
