#include "migrate/rapport_file.h"

#include "wire/varint.h"

#include <algorithm>

namespace godwit::migrate {
namespace {

constexpr std::uint32_t kMagic = 0x47575250;  // "GWRP"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHead_bytes = 8;
constexpr std::size_t kCheck_bytes = 8;
constexpr std::size_t kName_bytes = 1024;

std::unexpected<Error> not_ours() { return fail(Errc::protocol, "a file of rapports: not one of ours"); }

// ---- writing

void append_text(ByteVector& out, const std::string& text) {
  wire::append_varint(out, text.size());
  append(out, as_bytes(text));
}

void append_crossed(ByteVector& out, const Crossed& crossed) {
  wire::append_varint(out, crossed.instances().size());
  for (const auto& [connection, instance] : crossed.instances()) {
    wire::append_varint(out, connection);
    append_be64(out, instance);
  }
  wire::append_varint(out, crossed.runs());
  crossed.visit([&](const Crossed::Run& run) {
    wire::append_varint(out, run.first.connection);
    wire::append_varint(out, run.first.number);
    wire::append_varint(out, run.id);
    wire::append_varint(out, run.count);
  });
}

ByteVector pack_one(const NamedRapport& named) {
  const auto& rapport = *named.rapport;
  ByteVector out;
  append_text(out, named.tenant);
  append_text(out, named.peer);
  append(out, rapport.id);
  wire::append_varint(out, rapport.last_connection);
  append_crossed(out, rapport.mine);
  append_crossed(out, rapport.theirs);
  wire::append_varint(out, rapport.acknowledged.size());
  for (const auto& [connection, numbers] : rapport.acknowledged) {
    wire::append_varint(out, connection);
    wire::append_varint(out, numbers);
  }
  return out;
}

// ---- reading

std::uint32_t next_connection(wire::VarintReader& in) {
  const auto value = in.next();
  return value > UINT32_MAX ? 0 : static_cast<std::uint32_t>(value);
}

Result<std::string> next_text(wire::VarintReader& in) {
  const auto size = in.next();
  if (size > kName_bytes) return not_ours();
  return std::string(as_text(in.take(size)));
}

// Each thing of which there are `count` is two bytes or more: none is made that is not there.
bool next_crossed(wire::VarintReader& in, Crossed& crossed) {
  for (auto count = in.next(); count > 0 && !in.failed(); --count) {
    const auto connection = next_connection(in);
    const auto tag = in.take(sizeof(InstanceTag));
    if (!tag.empty()) crossed.note_instance(connection, load_be64(tag));
  }
  content::PageId after = 0;
  for (auto count = in.next(); count > 0 && !in.failed(); --count) {
    const Numbered first{next_connection(in), in.next()};
    const auto id = in.next();
    const auto pages = in.next();
    const bool in_order = id > after && pages > 0 && pages <= UINT64_MAX - id && pages <= UINT64_MAX - first.number;
    if (in.failed() || !in_order) return false;
    crossed.add(first, id, pages);
    after = id + pages - 1;
  }
  return !in.failed();
}

Result<NamedRapport> next_rapport(wire::VarintReader& in) {
  NamedRapport named;
  named.rapport = std::make_shared<Rapport>();
  auto& rapport = *named.rapport;
  auto tenant = next_text(in);
  auto peer = next_text(in);
  const auto id = in.take(rapport.id.size());
  if (!tenant || !peer || id.empty()) return not_ours();
  named.tenant = std::move(*tenant);
  named.peer = std::move(*peer);
  std::ranges::copy(id, rapport.id.begin());
  rapport.last_connection = next_connection(in);
  if (!next_crossed(in, rapport.mine) || !next_crossed(in, rapport.theirs)) return not_ours();
  for (auto count = in.next(); count > 0 && !in.failed(); --count) {
    const auto connection = next_connection(in);
    rapport.acknowledged[connection] = in.next();
  }
  if (in.failed()) return not_ours();
  return named;
}

}  // namespace

ByteVector pack(const std::vector<NamedRapport>& rapports) {
  ByteVector out;
  append_be32(out, kMagic);
  append_be32(out, kVersion);
  for (const auto& each : rapports) {
    const auto packed = pack_one(each);
    if (out.size() + packed.size() + kCheck_bytes > kRapportFile_bytes) break;
    append(out, packed);
  }
  append_be64(out, content::fingerprint_of(out));
  return out;
}

Result<std::vector<NamedRapport>> parse_rapports(ByteView bytes) {
  const bool ours = bytes.size() >= kHead_bytes + kCheck_bytes && bytes.size() <= kRapportFile_bytes &&
                    load_be32(bytes) == kMagic && load_be32(bytes.subspan(4)) == kVersion;
  if (!ours) return not_ours();
  const auto checked = bytes.first(bytes.size() - kCheck_bytes);
  if (load_be64(bytes.subspan(checked.size())) != content::fingerprint_of(checked)) return not_ours();
  wire::VarintReader in(checked.subspan(kHead_bytes));
  std::vector<NamedRapport> rapports;
  while (!in.at_end()) {
    auto next = next_rapport(in);
    if (!next) return pass(next);
    rapports.push_back(std::move(*next));
  }
  return rapports;
}

}  // namespace godwit::migrate
