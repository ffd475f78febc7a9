// What every part of a cloud works with: its keys, its settings, its database, time and chance.
#pragma once

#include "base/log.h"
#include "cloud/tables.h"
#include "crypto/identity.h"
#include "crypto/ticket.h"
#include "sys/http.h"
#include "sys/task.h"

#include <map>
#include <string>

namespace godwit::cloud {

// A host that says nothing for this long is not alive: nothing new is placed there, its instances show a problem.
constexpr Seconds kHostSilence{15};
// The longest that a sync is kept waiting; below kHostSilence, for a host that waits is not silent.
constexpr Millis kLongestPoll{10'000};
constexpr Seconds kTicketLife{120};
constexpr std::size_t kInstancesPerReport = 4096;
constexpr std::size_t kLansPerReport = 64;

struct Settings {
  std::string name;
  std::string api_url;                   // as hosts of all clouds reach it
  std::string cpu_model{"Nehalem"};      // of new instances: what every host of the last fifteen years has
  std::uint32_t vcpus_per_cpu{4};        // overcommitment of vCPUs; memory and disk are never overcommitted
  std::map<std::string, double> prices;  // per hour by instance type
  std::string currency{"USD"};
};
BOOST_DESCRIBE_STRUCT(Settings, (), (name, api_url, cpu_model, vcpus_per_cpu, prices, currency))

struct Keys {
  crypto::Key authority;
  std::string authority_pem;
  crypto::TicketSigner tickets;
};

// Borrowed references outlive the cloud.
struct Parts {
  sys::Executor executor;
  sys::Clock& clock;
  sys::Random& random;
  sys::Http& http;
  Database& database;
  Keys& keys;
  Log log;
};

class Core {
 public:
  Core(Parts parts, Settings own)
      : parts_(std::move(parts)), settings_(std::move(own)), started_ms_(now_ms()), changed_(parts_.executor) {}

  [[nodiscard]] const sys::Executor& executor() const { return parts_.executor; }
  [[nodiscard]] Database& database() { return parts_.database; }
  [[nodiscard]] sys::Clock& clock() { return parts_.clock; }
  [[nodiscard]] sys::Random& random() { return parts_.random; }
  [[nodiscard]] sys::Http& http() { return parts_.http; }
  [[nodiscard]] const Keys& keys() const { return parts_.keys; }
  [[nodiscard]] const Log& log() const { return parts_.log; }
  [[nodiscard]] const Settings& settings() const { return settings_; }
  [[nodiscard]] const std::string& name() const { return settings_.name; }
  [[nodiscard]] std::int64_t now_ms() const { return parts_.clock.wall_now().time_since_epoch().count(); }

  [[nodiscard]] std::int64_t started_ms() const { return started_ms_; }

  // Where this cloud gives images to its hosts, at its API's address; 0: nowhere.
  [[nodiscard]] std::uint16_t image_port() const { return image_port_; }
  void set_image_port(std::uint16_t port) { image_port_ = port; }

  // Wakes every long poll and watch: something that they may show has been committed.
  void announce_change() { changed_.notify(); }
  [[nodiscard]] sys::Signal& changed() { return changed_; }

 private:
  Parts parts_;
  Settings settings_;
  std::int64_t started_ms_;
  std::uint16_t image_port_{0};
  sys::Signal changed_;
};

// "a1.cloud-a.godwit": what the certificate of a host says.
[[nodiscard]] inline std::string certificate_name(const std::string& host, const std::string& cloud) {
  return host + "." + cloud + ".godwit";
}

// The user of a request. `tenant` owns what it makes and sees nothing of others.
struct User {
  std::string tenant;
  wire::Quota quota;
  bool is_operator{false};
};

// Opens the settings of a database that `godwit cloud init` made. Errors: not_found.
[[nodiscard]] Result<Settings> load_settings(Database& database);
[[nodiscard]] Result<> save_settings(Database& database, const Settings& settings);

}  // namespace godwit::cloud
