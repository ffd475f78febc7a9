// Prometheus' text exposition format, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). Pure.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace godwit {

class Exposition {
 public:
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";
  enum class Kind : std::uint8_t { counter, gauge };
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  // Begins a family: all samples that follow are of it. Once each name: letters, digits and underscores, a counter's
  // ending in _total.
  void family(std::string_view name, Kind kind, std::string_view help);
  // Values of labels may be any text; each set of labels once a family.
  void sample(double value, Labels labels = {});
  // A family of one sample.
  void add(std::string_view name, Kind kind, std::string_view help, double value) {
    family(name, kind, help);
    sample(value);
  }

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string name_;
  std::string text_;
};

}  // namespace godwit
