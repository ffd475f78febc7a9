// What a migration's source compressed, or says that it did.
// Input: 'e' for bytes to encode, any other byte for bytes to decode; the length of the pieces (one byte); the bytes.
#include "migrate/zstd_encoding.h"

#include "support/byte_stream.h"
#include "support/input.h"
#include "support/run_dry.h"

namespace {

using namespace godwit;

Result<> decode(ByteView bytes, std::size_t piece, fuzz::ByteStream& local) {
  migrate::ZstdEncoding encoding;
  fuzz::ByteStream wan(bytes, piece);
  return fuzz::run_dry(encoding.decode(migrate::Channel::memory, wan, local));
}

void same_again(ByteView bytes, std::size_t piece) {
  migrate::ZstdEncoding encoding;
  fuzz::ByteStream local(bytes, piece);
  fuzz::ByteStream wan({}, 1);
  std::uint64_t wan_bytes = 0;
  GODWIT_ASSERT(fuzz::run_dry(encoding.encode(migrate::Channel::memory, local, wan, wan_bytes)));
  GODWIT_ASSERT(wan_bytes == wan.written().size());
  fuzz::ByteStream back({}, 1);
  GODWIT_ASSERT(decode(wan.written(), piece, back));
  GODWIT_ASSERT(std::ranges::equal(back.written(), bytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const bool encode = input.byte() == 'e';
  const std::size_t piece = 16U * (1U + input.byte());
  if (encode) {
    same_again(input.bytes(), piece);
  } else {
    fuzz::ByteStream local({}, 1);
    const auto decoded = decode(input.bytes(), piece, local);
    if (!decoded) GODWIT_ASSERT(decoded.error().code == Errc::protocol || decoded.error().code == Errc::exhausted);
  }
  return 0;
}
