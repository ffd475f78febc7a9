// A sky over two simulated clouds, under virtual time.
#pragma once

#include "sky/sky.h"
#include "support/counting_random.h"
#include "support/fake_cloud.h"
#include "support/memory_files.h"
#include "support/virtual_time.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

namespace godwit::testing {

// What sky never touches.
class NoProcesses final : public sys::Processes {
  Result<sys::ProcessId> spawn(const sys::ProcessSpec&) override { return fail(Errc::unsupported, "none here"); }
  sys::Task<Result<std::string>> run(sys::ProcessSpec, Nanos) override {
    co_return fail(Errc::unsupported, "none here");
  }
  bool alive(sys::ProcessId) const override { return false; }
  void signal(sys::ProcessId, int) override {}
  sys::Task<void> wait_gone(sys::ProcessId) override { co_return; }
};
class NoSockets final : public sys::LocalSockets {
  sys::Task<Result<std::unique_ptr<sys::Stream>>> dial(std::string) override {
    co_return fail(Errc::unsupported, "none here");
  }
  Result<std::unique_ptr<sys::Listener>> listen(const std::string&, unsigned, unsigned) override {
    return fail(Errc::unsupported, "none here");
  }
};
class NoPeers final : public sys::PeerNetwork {
  void trust(std::vector<sys::TrustedCa>) override {}
  sys::Task<Result<std::unique_ptr<sys::PeerStream>>> dial(sys::PeerAddress) override {
    co_return fail(Errc::unsupported, "none here");
  }
  Result<std::unique_ptr<sys::PeerListener>> listen(const std::string&, std::uint16_t) override {
    return fail(Errc::unsupported, "none here");
  }
};
class NoPageFiles final : public sys::PageFiles {
 public:
  Result<std::unique_ptr<sys::PageFile>> open(const std::string& path) override { return none(path); }
  Result<std::unique_ptr<sys::PageFile>> reopen(const std::string& path) override { return none(path); }
  Result<std::unique_ptr<sys::PageFile>> create(const std::string& path, unsigned /*mode*/) override {
    return none(path);
  }
  Result<> remove(const std::string& /*path*/) override { return {}; }
  Result<> clear_directory(const std::string& /*path*/) override { return {}; }
  Result<> make_directory(const std::string& /*path*/, unsigned /*mode*/) override { return {}; }
  Result<std::unique_ptr<sys::DirectoryLock>> lock_directory(const std::string& /*path*/) override {
    return std::make_unique<sys::DirectoryLock>();
  }
  Result<std::uint64_t> free_bytes(const std::string& /*directory*/) override { return 0; }

 private:
  static std::unexpected<Error> none(const std::string& path) { return fail(Errc::io, "{}: no page files here", path); }
};

class NoTaps final : public sys::Taps {
  Result<std::vector<int>> open_for_guest(const std::string&, unsigned, unsigned) override {
    return fail(Errc::unsupported, "none here");
  }
  void close_descriptor(int) override {}
};

// A sky over cloud-a and cloud-b, which may be restarted at any moment.
class SkyWorld {
 protected:
  SkyWorld() {
    for (const auto* name : {"cloud-a", "cloud-b"}) {
      auto& cloud = clouds_.try_emplace(name, time_, name).first->second;
      cloud.others = &by_name_;
      by_name_[name] = &cloud;
      http_.hosts[name] = [&cloud](sys::HttpRequest request) { return cloud.handle(std::move(request)); };
    }
    start();
  }
  void add_accounts() {
    for (auto& [name, cloud] : clouds_) {
      const auto added = time_.wait(sky_->put_account(account(name)));
      EXPECT_TRUE(added) << added.error().message;
    }
  }
  ~SkyWorld() { end(); }
  SkyWorld(const SkyWorld&) = delete;
  SkyWorld& operator=(const SkyWorld&) = delete;

  FakeCloud& a() { return clouds_.at("cloud-a"); }
  FakeCloud& b() { return clouds_.at("cloud-b"); }

  wire::Account account(const std::string& name) {
    auto& cloud = clouds_.at(name);
    return {name, "https://" + name + ":7443", cloud.about.ca_pem, cloud.token()};
  }
  void start() {
    auto opened = sky::Sky::open(runtime_, {"/sky"});
    ASSERT_TRUE(opened) << opened.error().message;
    sky_ = std::move(*opened);
    sky_->start();
  }
  void end() {
    if (sky_) time_.wait(sky_->stop());
    sky_.reset();
  }
  void restart() {
    end();
    start();
  }

  wire::ClusterSpec demo(std::uint32_t size = 4) {
    wire::ClusterSpec spec;
    spec.name = "demo";
    spec.size = size;
    spec.clouds = {"cloud-a", "cloud-b"};
    spec.ssh_keys = {"ssh-ed25519 AAAA alice"};
    return spec;
  }
  Result<wire::ClusterView> create(const wire::ClusterSpec& spec) { return time_.wait(sky_->create_cluster(spec)); }
  bool reaches(wire::ClusterState state, Nanos limit = Seconds{120}) {
    return time_.run_until([&] { return sky_->cluster("demo") && sky_->cluster("demo")->state == state; }, limit);
  }
  bool ends(const std::string& migration, Nanos limit = Seconds{120}) {
    return time_.run_until([&] { return wire::is_final(sky_->migration(migration)->phase); }, limit);
  }
  wire::ClusterView view() { return sky_->cluster("demo").value(); }
  wire::MoveRequest to(const std::string& cloud) {
    wire::MoveRequest request;
    request.to_cloud = cloud;
    return request;
  }
  std::string describe() {
    const auto cluster = sky_->cluster("demo");
    return cluster ? wire::encode(*cluster) : cluster.error().message;
  }

  VirtualTime time_;
  CountingRandom random_;
  MemoryFiles files_;
  FakeHttp http_{time_};
  NoPageFiles page_files_;
  NoProcesses processes_;
  NoSockets sockets_;
  NoPeers peers_;
  NoTaps taps_;
  sys::Runtime runtime_{time_.executor(), time_,  random_, files_, page_files_, processes_,
                        sockets_,         peers_, http_,   taps_,  {}};
  std::map<std::string, FakeCloud> clouds_;
  std::map<std::string, FakeCloud*> by_name_;
  std::unique_ptr<sky::Sky> sky_;
};

}  // namespace godwit::testing
