// The CAs of the simulated clouds. They are constants, since a signature of ECDSA is another one each time and would
// make each run another one; what the clouds sign while they run is looked at by nothing but its checks.
#pragma once

#include <string>

namespace godwit::simtest {

struct WorldAuthority {
  std::string pem;
  std::string key_pem;
};

inline const WorldAuthority kCaA{
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBeTCCAR6gAwIBAgIRANnYFBjKAKb39uV2PZl/dp4wCgYIKoZIzj0EAwIwGTEX\n"
    "MBUGA1UEAwwOY2xvdWQtYS5nb2R3aXQwIBcNMjUwMTAxMDAwMDAwWhgPMjEyNTAx\n"
    "MDEwMDAwMDBaMBkxFzAVBgNVBAMMDmNsb3VkLWEuZ29kd2l0MFkwEwYHKoZIzj0C\n"
    "AQYIKoZIzj0DAQcDQgAEC36vXN5QEHFNC6UO/fUBE4csVWJpefY2bQZnGGm73WdR\n"
    "vwSKLwm4EW2ixqUsQnrs+KmMZpNKbMffAaTBASeQzqNFMEMwEgYDVR0TAQH/BAgw\n"
    "BgEB/wIBADAOBgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFKJaV5AcCZvolDM0KDGE\n"
    "sC8wMYs1MAoGCCqGSM49BAMCA0kAMEYCIQDij06BnabKBGHRHJKfaxxxiJrUK7nH\n"
    "zqu/yi5pbA/dEwIhAMACV3LrX1ELERHeOSQtnn2R77ZPAe3tjmn396ZKX5pK\n"
    "-----END CERTIFICATE-----\n",
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdNYwLoWgJXxhPOuN\n"
    "iGnxDmGhZMVBYseHEcBSm14dec+hRANCAAQLfq9c3lAQcU0LpQ799QEThyxVYml5\n"
    "9jZtBmcYabvdZ1G/BIovCbgRbaLGpSxCeuz4qYxmk0psx98BpMEBJ5DO\n"
    "-----END PRIVATE KEY-----\n"};

inline const WorldAuthority kCaB{
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBeDCCAR6gAwIBAgIRAJz9xaI3eLntExmdsR6IddwwCgYIKoZIzj0EAwIwGTEX\n"
    "MBUGA1UEAwwOY2xvdWQtYi5nb2R3aXQwIBcNMjUwMTAxMDAwMDAwWhgPMjEyNTAx\n"
    "MDEwMDAwMDBaMBkxFzAVBgNVBAMMDmNsb3VkLWIuZ29kd2l0MFkwEwYHKoZIzj0C\n"
    "AQYIKoZIzj0DAQcDQgAEy8wfnQb8dDl39CsMnG3+Rnp9muRHWIra0H+7EqaDA9Ke\n"
    "nnMRhamWIHf8wT4LH0+iigWe3BX3qxsduyR6eMOFEKNFMEMwEgYDVR0TAQH/BAgw\n"
    "BgEB/wIBADAOBgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFIC+kTh0NMaL90Zum6SM\n"
    "XHuTs1nLMAoGCCqGSM49BAMCA0gAMEUCIQCkYs3RvyNuVlLYzl+uHr/cBVUPg4E3\n"
    "QJhZylnVvH2U6AIgcWofP9IRDJemlo0xPT2N93r4zOqRrW4lTugtJj2vnxM=\n"
    "-----END CERTIFICATE-----\n",
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg5jIRqJE+YHeLzTmC\n"
    "Tlk0QwLTMtAeN0ySbfNZ1bww3BmhRANCAATLzB+dBvx0OXf0Kwycbf5Gen2a5EdY\n"
    "itrQf7sSpoMD0p6ecxGFqZYgd/zBPgsfT6KKBZ7cFferGx27JHp4w4UQ\n"
    "-----END PRIVATE KEY-----\n"};

}  // namespace godwit::simtest
