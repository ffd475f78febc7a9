// The user's accounts on clouds: who is called where, with which token, and whose certificates are believed.
#pragma once

#include "sky/cloud_client.h"
#include "sky/records.h"
#include "sys/runtime.h"

#include <map>
#include <string>
#include <vector>

namespace godwit::sky {

class Accounts {
 public:
  // `runtime` and `store` outlive the accounts. `known` is what the store has.
  Accounts(sys::Runtime& runtime, Store& store, std::vector<wire::Account> known);
  Accounts(const Accounts&) = delete;
  Accounts& operator=(const Accounts&) = delete;

  // Asks the cloud who it is and whether it takes the token, then keeps the account, in place of an older one.
  // Errors: invalid_argument, or those of the call; then nothing has changed.
  [[nodiscard]] sys::Task<Result<wire::AccountView>> put(wire::Account account);
  // Errors: not_found, io. Whether it is still needed is the caller's question.
  [[nodiscard]] Result<> remove(const std::string& cloud);

  // Errors: not_found, naming the clouds that there are.
  [[nodiscard]] Result<CloudClient> client(const std::string& cloud) const;
  [[nodiscard]] Result<std::string> ca_pem(const std::string& cloud) const;
  [[nodiscard]] std::vector<std::string> clouds() const;  // sorted

  // Every account with what its cloud says now, asked all at once.
  [[nodiscard]] sys::Task<std::vector<wire::AccountView>> views();
  [[nodiscard]] sys::Task<std::vector<wire::CloudHosts>> hosts();
  [[nodiscard]] sys::Task<wire::SnapshotList> snapshots();

 private:
  struct Entry {
    wire::Account account;
    sys::HttpEndpoint endpoint;
  };

  [[nodiscard]] std::unexpected<Error> unknown(const std::string& cloud) const;
  [[nodiscard]] sys::Task<wire::AccountView> view_of(std::string cloud);
  [[nodiscard]] sys::Task<wire::CloudHosts> hosts_of(std::string cloud);
  [[nodiscard]] sys::Task<wire::SnapshotList> snapshots_of(std::string cloud);
  void trust_all();

  sys::Runtime& runtime_;
  Store& store_;
  std::map<std::string, Entry> entries_;
  std::vector<sys::TrustedCa> trying_;  // of accounts that are being put
};

}  // namespace godwit::sky
