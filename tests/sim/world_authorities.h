// The CAs of the simulated clouds: certificates alone, whose keys nobody has. They are constants, since a signature of
// ECDSA is another one each time and would make each run another one.
#pragma once

#include <string>

namespace godwit::simtest {

inline const std::string kCaA =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBnDCCAUKgAwIBAgIUNII0qKnooQrgI7TtAZajYG6nIm8wCgYIKoZIzj0EAwIw\n"
    "GTEXMBUGA1UEAwwOY2xvdWQtYS5nb2R3aXQwIBcNMjYxMTIyMjMyMTA3WhgPMjEy\n"
    "NjEwMjkyMzIxMDdaMBkxFzAVBgNVBAMMDmNsb3VkLWEuZ29kd2l0MFkwEwYHKoZI\n"
    "zj0CAQYIKoZIzj0DAQcDQgAE6a1zg3xzRZxNBNiAMqbXAPgfFROc2no4xZKvB4E/\n"
    "2c8P0Jy+vO81N8foGgi53zM+tHYJwpGGVr2OmS1AeJByh6NmMGQwHQYDVR0OBBYE\n"
    "FLcknQ+aPM5IJAYbIx0ncbCfbwcMMB8GA1UdIwQYMBaAFLcknQ+aPM5IJAYbIx0n\n"
    "cbCfbwcMMBIGA1UdEwEB/wQIMAYBAf8CAQAwDgYDVR0PAQH/BAQDAgEGMAoGCCqG\n"
    "SM49BAMCA0gAMEUCIG6Z1t8UrSFhA9lmPG1DXV36lhKBAjiaZS9SAJgH/UL2AiEA\n"
    "imZm1dDXnHTk5iKJ+CFNraV4mZU9zNnNVnlBbXDNn90=\n"
    "-----END CERTIFICATE-----\n";

inline const std::string kCaB =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBmzCCAUKgAwIBAgIUIL9+rUZ5Ja40DB7gC5JYlyFLbpowCgYIKoZIzj0EAwIw\n"
    "GTEXMBUGA1UEAwwOY2xvdWQtYi5nb2R3aXQwIBcNMjYxMTIyMjMyMTA3WhgPMjEy\n"
    "NjEwMjkyMzIxMDdaMBkxFzAVBgNVBAMMDmNsb3VkLWIuZ29kd2l0MFkwEwYHKoZI\n"
    "zj0CAQYIKoZIzj0DAQcDQgAEwfquWvbrF4SFaat55xOLxcgExtjrrL+j4okgzOdf\n"
    "fe5m4bf/uVT3CT+D3bZCgdtJ79mwOgSxzWdxJgORNCVIzqNmMGQwHQYDVR0OBBYE\n"
    "FKcjrsa9XNamnu5jGTkP4IYr7ccQMB8GA1UdIwQYMBaAFKcjrsa9XNamnu5jGTkP\n"
    "4IYr7ccQMBIGA1UdEwEB/wQIMAYBAf8CAQAwDgYDVR0PAQH/BAQDAgEGMAoGCCqG\n"
    "SM49BAMCA0cAMEQCIAQ0jcWK647HNEWRPYpz6mSyeHcws7eLqZwXs5ct4tXWAiAP\n"
    "GdddjzCdf5bjI9EJCl8T18M+ak8IccYTRfaI9lPtug==\n"
    "-----END CERTIFICATE-----\n";

}  // namespace godwit::simtest
