#include "crypto/openssl.h"

#include <openssl/err.h>

#include <array>

namespace godwit::crypto {

std::unexpected<Error> fail_openssl(Errc code, std::string_view operation) {
  const auto error = ERR_get_error();
  ERR_clear_error();
  std::array<char, 256> text{};
  if (error != 0) ERR_error_string_n(error, text.data(), text.size());
  return fail(code, "{}: {}", operation, error != 0 ? text.data() : "OpenSSL gave no reason");
}

BioPtr reader_of(std::string_view pem) { return BioPtr(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); }

std::string content_of(BIO* written) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(written, &data);
  return {data, static_cast<std::size_t>(size)};
}

int no_password(char*, int, int, void*) { return 0; }

}  // namespace godwit::crypto
