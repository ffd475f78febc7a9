// apps/system_terminal.h: the terminal, or what stands in its place, of this process.
#pragma once

#include "cli/terminal.h"

namespace godwit::apps {

class SystemTerminal final : public cli::Terminal {
 public:
  void out(std::string_view text) override;
  void err(std::string_view text) override;
  [[nodiscard]] bool err_is_terminal() const override;
  [[nodiscard]] bool in_is_terminal() const override;
  [[nodiscard]] std::size_t columns() const override;
  [[nodiscard]] std::string read_line() override;
  [[nodiscard]] std::string read_all(std::size_t limit_bytes) override;
};

}  // namespace godwit::apps
