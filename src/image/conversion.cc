#include "image/conversion.h"

#include "image/qcow2_header.h"
#include "wire/json.h"

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/object.hpp>

namespace godwit::image {
namespace {

constexpr const char* kPrlimit = "/usr/bin/prlimit";
constexpr const char* kQemuImg = "/usr/bin/qemu-img";
constexpr std::string_view kSourceName = "source";
constexpr std::uint64_t kCopyPart_bytes = 16ULL << 20U;  // before others have their turn
constexpr Millis kLookEvery{200};
constexpr unsigned kOpenFiles = 64;
constexpr std::uint64_t kLargestRaw_bytes = 1ULL << 40U;

// The file names no other one: neither a backing file nor one with its data (QEMU's docs/interop/qcow2.txt).
Result<> check_qcow2(ByteView start, const std::string& path) {
  constexpr std::uint64_t kExternalData = 4;
  if (start.size() < kQcow2HeaderBytes) return fail(Errc::invalid_argument, "{}: no qcow2", path);
  const auto version = load_be32(start.subspan(4));
  if (version != 2 && version != 3) return fail(Errc::unsupported, "{}: qcow2 of version {}", path, version);
  if (load_be64(start.subspan(8)) != 0) return fail(Errc::unsupported, "{}: it has a backing file", path);
  if (version == 3 && (load_be64(start.subspan(72)) & kExternalData) != 0) {
    return fail(Errc::unsupported, "{}: its data is in another file", path);
  }
  return {};
}

// A descriptor has extents instead, in files that it names; so has one in a sparse file without a capacity (QEMU's
// block/vmdk.c).
Result<> check_vmdk(ByteView start, const std::string& path) {
  constexpr std::string_view kMagic = "KDMV";
  constexpr std::size_t kCapacityAt = 12;
  constexpr std::size_t kCapacity_bytes = 8;
  if (start.size() < kCapacityAt + kCapacity_bytes || as_text(start.first(kMagic.size())) != kMagic ||
      load_be64(start.subspan(kCapacityAt)) == 0) {
    return fail(Errc::unsupported, "{}: a vmdk of several files", path);
  }
  return {};
}

// Parents are not opened, whatever the file says of them.
Result<> check_alone(const sys::PageFile& file, const std::string& path, const std::string& format) {
  ByteVector start(std::min<std::uint64_t>(file.size(), kQcow2HeaderBytes));
  if (auto read = file.read_at(0, start); !read) return read;
  if (format == "qcow2") return check_qcow2(start, path);
  if (format == "vmdk") return check_vmdk(start, path);
  if (format == "vdi" || format == "vhdx" || format == "vpc") return {};
  return fail(Errc::unsupported, "{}: format \"{}\" (raw, qcow2, vmdk, vdi, vhdx or vpc)", path, format);
}

sys::Task<Result<>> copy_source(sys::Runtime& runtime, std::string path, std::string to, std::uint64_t limit_bytes) {
  const auto source = runtime.page_files.open(path);
  if (!source) co_return pass(source);
  const auto bytes = (*source)->size();
  if (bytes > limit_bytes)
    co_return fail(Errc::exhausted, "copy {}: {} bytes, where {} may be written", path, bytes, limit_bytes);
  auto copy = runtime.page_files.create(to, 0600);
  if (!copy) co_return pass(copy);
  for (std::uint64_t at = 0; at < bytes; at += kCopyPart_bytes) {
    const auto part = std::min(kCopyPart_bytes, bytes - at);
    auto copied = (*copy)->copy_from(**source, at, at, part);
    if (!copied) co_return copied;
    co_await boost::asio::post(runtime.executor, boost::asio::use_awaitable);
  }
  co_return Result<>{};
}

// As QEMU's block layer takes it: driver and file, and nothing that it would look for by itself.
std::string source_options(const std::string& path, const std::string& format) {
  wire::json::object file{{"driver", "file"}, {"filename", path}};
  wire::json::object options{{"driver", format}, {"file", std::move(file)}};
  if (format == "qcow2" || format == "vmdk") options["backing"] = nullptr;
  return "json:" + wire::print_json(options);
}

sys::ProcessSpec limited(const std::vector<std::string>& command, const ConversionLimits& limits) {
  sys::ProcessSpec spec;
  spec.argv = {kPrlimit,
               fmt::format("--as={}", limits.memory_bytes),
               fmt::format("--cpu={}", limits.time.count()),
               fmt::format("--fsize={}", kLargestRaw_bytes),
               fmt::format("--nofile={}", kOpenFiles),
               "--core=0",
               "--"};
  spec.argv.insert(spec.argv.end(), command.begin(), command.end());
  spec.environment = {{"PATH", "/usr/bin:/bin"}, {"LC_ALL", "C"}};
  spec.uid = limits.uid;
  return spec;
}

// Returns when more is there than may be.
sys::Task<void> until_too_much(sys::Runtime& runtime, std::string path, std::uint64_t limit_bytes) {
  for (;;) {
    co_await runtime.clock.sleep_for(kLookEvery);
    const auto file = runtime.page_files.open(path);
    if (file && (*file)->used_bytes() > limit_bytes) co_return;
  }
}

sys::Task<Result<>> run_watched(sys::Runtime& runtime, sys::ProcessSpec spec, std::string output,
                                ConversionLimits limits) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto race = runtime.processes.run(std::move(spec), limits.time) || until_too_much(runtime, output, limits.disk_bytes);
  auto outcome = co_await std::move(race);
  if (outcome.index() == 1) {
    co_return fail(Errc::exhausted, "convert to {}: more than the {} bytes for which there is room", output,
                   limits.disk_bytes);
  }
  const auto ran = std::get<0>(std::move(outcome));
  if (!ran) co_return pass(ran);
  const auto file = runtime.page_files.open(output);
  if (!file) co_return pass(file);
  if ((*file)->used_bytes() > limits.disk_bytes) {
    co_return fail(Errc::exhausted, "convert to {}: more than the {} bytes for which there is room", output,
                   limits.disk_bytes);
  }
  co_return Result<>{};
}

}  // namespace

sys::Task<Result<>> convert_to_raw(sys::Runtime& runtime, std::string path, std::string format, std::string directory,
                                   ConversionLimits limits) {
  auto made = runtime.files.make_directories(directory, 0700, limits.uid);
  if (made) made = runtime.page_files.make_directory(directory, 0700);
  if (!made) co_return made;
  const auto source = fmt::format("{}/{}", directory, kSourceName);
  auto copied = co_await copy_source(runtime, path, source, limits.disk_bytes);
  if (!copied) co_return copied;
  // From here on it is looked at as it is in the copy, which nobody else can change.
  {
    const auto file = runtime.page_files.open(source);
    if (!file) co_return pass(file);
    auto alone = check_alone(**file, path, format);
    if (!alone) co_return alone;
  }
  if (limits.uid != 0) {
    auto given = runtime.files.change_owner(source, limits.uid);
    if (!given) co_return given;
  }
  const auto output = fmt::format("{}/{}", directory, kConvertedName);
  const std::vector<std::string> command{kQemuImg, "convert", "-O", "raw", source_options(source, format), output};
  auto spec = limited(command, limits);
  auto ran = co_await run_watched(runtime, std::move(spec), output, limits);
  if (!ran) co_return fail(ran, fmt::format("convert {} from {}", path, format));
  co_return Result<>{};
}

sys::Task<Result<>> convert_to_qcow2(sys::Runtime& runtime, std::string path, std::string to, Seconds limit) {
  sys::ProcessSpec spec;
  spec.argv = {kQemuImg, "convert", "-f", "raw", "-O", "qcow2", std::move(path), std::move(to)};
  spec.environment = {{"PATH", "/usr/bin:/bin"}, {"LC_ALL", "C"}};
  auto ran = co_await runtime.processes.run(std::move(spec), limit);
  if (!ran) co_return pass(ran);
  co_return Result<>{};
}

}  // namespace godwit::image
