// What all kinds of statements do alike; for the kinds alone (crypto/host_record.cc, location_record.cc,
// image_record.cc).
//
// A `Kind` says what is its own:
//   using Said = …;                               // a value, with `validity`
//   static constexpr StatementKind kKind; static constexpr std::string_view kName;
//   static Result<> check(const Said&);           // its fields
//   static void write(const Said&, ByteVector&);  // they, behind those that every statement begins with
//   static void read(ByteReader&, Said&);         // of any bytes
//   static const std::string& by(const Said&);    // the cloud whose word it is
//   static std::string about(const Said&);        // for errors
#pragma once

#include "base/byte_reader.h"
#include "crypto/statement.h"

namespace godwit::crypto {

template <class Kind>
Result<ByteVector> encode_as(const typename Kind::Said& said) {
  const auto good = Kind::check(said);
  if (!good) return fail(good, std::string(Kind::kName));
  if (said.validity.from.time_since_epoch() < Millis{0} || said.validity.until <= said.validity.from) {
    return fail(Errc::invalid_argument, "{}: ends before it starts", Kind::kName);
  }
  auto out = begin_statement(Kind::kKind, said.validity);
  Kind::write(said, out);
  return out;
}

template <class Kind>
Result<ByteVector> sign_as(const typename Kind::Said& said, const Key& authority) {
  auto encoded = encode_as<Kind>(said);
  if (!encoded) return encoded;
  return sign_statement(std::move(*encoded), authority);
}

template <class Kind>
Result<typename Kind::Said> read_as(ByteView statement) {
  typename Kind::Said out;
  const auto fields = statement_fields(statement, Kind::kKind, out.validity);
  if (!fields) return fail(fields, std::string(Kind::kName));
  ByteReader from(*fields);
  Kind::read(from, out);
  if (!from.ended_in_order()) return fail(Errc::invalid_argument, "{}: too short, or too long", Kind::kName);
  const auto good = Kind::check(out);
  if (!good) return fail(good, std::string(Kind::kName));
  return out;
}

template <class Kind>
Result<typename Kind::Said> open_as(ByteView statement, const Authority& authority, WallTime now) {
  auto said = read_as<Kind>(statement);
  if (!said) return said;
  const auto context = [&] { return fmt::format("{} {}", Kind::kName, Kind::about(*said)); };
  if (Kind::by(*said) != authority.cloud()) {
    return fail(Errc::not_authentic, "{}: the CA of {} is believed for its own cloud alone", context(),
                authority.cloud());
  }
  const auto checked = authority.check(statement, said->validity, now);
  if (!checked) return fail(checked, context());
  return said;
}

}  // namespace godwit::crypto
