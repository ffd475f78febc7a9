// Tables for people: columns aligned by what a terminal shows, whatever the language.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace godwit::cli {

enum class Align : std::uint8_t { left = 1, right };

struct Column {
  std::string title;
  Align align{Align::left};
};

// A value. Cells are made printable; rows shorter than the columns are filled up.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  void add(std::vector<std::string> cells);
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  // Title line and rows, each ending with a newline, without spaces at the ends of lines.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace godwit::cli
