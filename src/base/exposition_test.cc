#include "base/exposition.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

TEST(Exposition, StandsAsPrometheusReadsIt) {
  Exposition out;
  out.add("godwit_frames_total", Exposition::Kind::counter, "Frames, counted\nwith a \\ and a \"", 12345678901234.0);
  out.family("godwit_round_trip_seconds", Exposition::Kind::gauge, "Smoothed.");
  out.sample(0.0405, {{"host", "a1"}, {"path", "direct"}});
  out.sample(0.5, {{"host", "a \"quoted\"\nname\\"}});
  EXPECT_EQ(out.text(),
            "# HELP godwit_frames_total Frames, counted\\nwith a \\\\ and a \"\n"
            "# TYPE godwit_frames_total counter\n"
            "godwit_frames_total 12345678901234\n"
            "# HELP godwit_round_trip_seconds Smoothed.\n"
            "# TYPE godwit_round_trip_seconds gauge\n"
            "godwit_round_trip_seconds{host=\"a1\",path=\"direct\"} 0.0405\n"
            "godwit_round_trip_seconds{host=\"a \\\"quoted\\\"\\nname\\\\\"} 0.5\n");
}

}  // namespace
}  // namespace godwit
