#include "lab/wan_table.h"

#include <boost/json.hpp>

namespace godwit::lab {
namespace {
namespace json = boost::json;

json::value row_json(const WanRow& row) {
  return {{"from", row.from},
          {"to", row.to},
          {"source", format_prefix(row.source)},
          {"destination", format_prefix(row.destination)},
          {"rate_bps", row.shape.rate_bps},
          {"delay_ns", row.shape.delay.count()},
          {"loss_ppm", row.shape.loss_ppm},
          {"cut", row.shape.cut}};
}

json::array table_json(const WanTable& table) {
  json::array rows;
  for (const WanRow& row : table) rows.push_back(row_json(row));
  return rows;
}

// These throw what Boost.JSON throws; parsed() below turns it into a Result.
std::string text_of(const json::value& value) { return std::string(value.as_string()); }
template <class T>
T number_of(const json::value& value) {
  return value.to_number<T>();
}

Ipv4Prefix prefix_of(const json::value& value) {
  const auto prefix = parse_prefix(text_of(value));
  if (!prefix) throw std::invalid_argument(prefix.error().message);
  return *prefix;
}

WanTable table_of(const json::value& value, std::size_t ports) {
  WanTable table;
  if (value.as_array().size() > kMostWanRows) throw std::invalid_argument("too many rows");
  for (const json::value& each : value.as_array()) {
    WanRow row;
    row.from = number_of<std::uint32_t>(each.at("from"));
    row.to = number_of<std::uint32_t>(each.at("to"));
    if (row.from >= ports || row.to >= ports) throw std::invalid_argument("a row names a port that is not there");
    row.source = prefix_of(each.at("source"));
    row.destination = prefix_of(each.at("destination"));
    row.shape.rate_bps = number_of<std::uint64_t>(each.at("rate_bps"));
    row.shape.delay = Nanos{number_of<std::int64_t>(each.at("delay_ns"))};
    row.shape.loss_ppm = number_of<std::uint32_t>(each.at("loss_ppm"));
    row.shape.cut = each.at("cut").as_bool();
    table.push_back(row);
  }
  return table;
}

WanPort port_of(const json::value& value) {
  WanPort port{text_of(value.at("site")), text_of(value.at("netns")), text_of(value.at("device")), {}};
  for (const json::value& each : value.at("prefixes").as_array()) port.prefixes.push_back(prefix_of(each));
  return port;
}

template <class Parse>
auto parsed(std::string_view text, std::string_view what, Parse parse) -> Result<decltype(parse(json::value{}))> {
  if (text.size() > kMostWanJsonBytes) return fail(Errc::protocol, "{}: larger than {} bytes", what, kMostWanJsonBytes);
  try {
    return parse(json::parse(json::string_view(text.data(), text.size())));
  } catch (const std::exception& error) {
    return fail(Errc::protocol, "{}: {}", what, error.what());
  }
}

}  // namespace

std::string to_json(const WanTable& table) { return json::serialize(table_json(table)); }

std::string to_json(const WanSetup& setup) {
  json::array ports;
  for (const WanPort& port : setup.ports) {
    json::array prefixes;
    for (const Ipv4Prefix& prefix : port.prefixes) prefixes.emplace_back(format_prefix(prefix));
    ports.push_back({{"site", port.site}, {"netns", port.netns}, {"device", port.device}, {"prefixes", prefixes}});
  }
  return json::serialize(json::object{{"ports", ports}, {"seed", setup.seed}, {"table", table_json(setup.table)}});
}

std::string to_json(const WanCounters& counters) {
  json::array rows;
  for (const WanRowCounters& row : counters.rows) {
    rows.push_back({{"from", row.from},
                    {"to", row.to},
                    {"packets", row.counters.packets},
                    {"bytes", row.counters.bytes},
                    {"lost", row.counters.lost},
                    {"overflowed", row.counters.overflowed}});
  }
  return json::serialize(json::object{{"malformed", counters.malformed},
                                      {"foreign", counters.foreign},
                                      {"unroutable", counters.unroutable},
                                      {"rows", rows}});
}

Result<WanSetup> parse_wan_setup(std::string_view text) {
  return parsed(text, "set-up of the delay line", [](const json::value& value) {
    WanSetup setup;
    for (const json::value& each : value.at("ports").as_array()) setup.ports.push_back(port_of(each));
    setup.seed = number_of<std::uint64_t>(value.at("seed"));
    setup.table = table_of(value.at("table"), setup.ports.size());
    return setup;
  });
}

Result<WanTable> parse_wan_table(std::string_view text, std::size_t ports) {
  return parsed(text, "table of the delay line", [ports](const json::value& value) { return table_of(value, ports); });
}

Result<WanCounters> parse_wan_counters(std::string_view text) {
  return parsed(text, "counters of the delay line", [](const json::value& value) {
    WanCounters counters;
    counters.malformed = number_of<std::uint64_t>(value.at("malformed"));
    counters.foreign = number_of<std::uint64_t>(value.at("foreign"));
    counters.unroutable = number_of<std::uint64_t>(value.at("unroutable"));
    for (const json::value& each : value.at("rows").as_array()) {
      counters.rows.push_back({.from = number_of<std::uint32_t>(each.at("from")),
                               .to = number_of<std::uint32_t>(each.at("to")),
                               .counters = {.packets = number_of<std::uint64_t>(each.at("packets")),
                                            .bytes = number_of<std::uint64_t>(each.at("bytes")),
                                            .lost = number_of<std::uint64_t>(each.at("lost")),
                                            .overflowed = number_of<std::uint64_t>(each.at("overflowed"))}});
    }
    return counters;
  });
}

}  // namespace godwit::lab
