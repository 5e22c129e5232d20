// Certificates and keys that stay valid for a hundred years; the keys open nothing.
#include <catch2/catch.hpp>

#include "platform/client_certificate.h"

using namespace mill;
using namespace mill::platform;
using Catch::Contains;

namespace {

constexpr const char* kCertificate = R"pem(-----BEGIN CERTIFICATE-----
MIIBpjCCAUugAwIBAgIUNHpFuXaNsvYSeEOUYo1M7ewNaOIwCgYIKoZIzj0EAwIw
JzEQMA4GA1UECgwHRXhhbXBsZTETMBEGA1UEAwwKbWlsbHdyaWdodDAgFw0yNjEx
MjcxMDE4NTJaGA8yMTI2MTEwMzEwMTg1MlowJzEQMA4GA1UECgwHRXhhbXBsZTET
MBEGA1UEAwwKbWlsbHdyaWdodDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEQC
zsIdBnXOU76+nqHMjC6MJX/TlTDjuUysNrp0c+VO0uB56DBnindna0euk4XePHG/
noAHYglAE6proUaQxaKjUzBRMB0GA1UdDgQWBBTfeJjfr9MuMhypgjNGiVIsQOBq
gTAfBgNVHSMEGDAWgBTfeJjfr9MuMhypgjNGiVIsQOBqgTAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0kAMEYCIQCJEM8KCtxzMPk25fkeL/QEz2fD0P8JIYDv
KQToDOsxxAIhAOn9cGebbJ8SUcI8XWj85AvExxuUCUX3qPGG4AdtxWPR
-----END CERTIFICATE-----
)pem";
constexpr const char* kKey = R"pem(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgLRwg1eg1gnz8ZCxX
4KmOrIM3SjTvGI0YT2+XMVfakQ2hRANCAAREAs7CHQZ1zlO+vp6hzIwujCV/05Uw
47lMrDa6dHPlTtLgeegwZ4p3Z2tHrpOF3jxxv56AB2IJQBOqa6FGkMWi
-----END PRIVATE KEY-----
)pem";
constexpr const char* kOther = R"pem(-----BEGIN CERTIFICATE-----
MIIBdjCCAR2gAwIBAgIUSInlQhmwqI55e3bJkrPT2gO+cm0wCgYIKoZIzj0EAwIw
EDEOMAwGA1UEAwwFb3RoZXIwIBcNMjYxMTI3MTAxODUyWhgPMjEyNjExMDMxMDE4
NTJaMBAxDjAMBgNVBAMMBW90aGVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
jbTolUFEfq8JJsUa7ju0LgIbgugRzWkKy+IJ5xdMxGdRO21eTjBNmcU/ZdSm9JFW
WZo7f3MeE9oziStdk3u8RaNTMFEwHQYDVR0OBBYEFNHvNDcSZ689Bhvoua9KRCDQ
DponMB8GA1UdIwQYMBaAFNHvNDcSZ689Bhvoua9KRCDQDponMA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgXd75GilK/Ui7FlKEIZ0q0mwp2k8enWj+
xm8xJeqR3cECIDMqOW/sOmn2GPnxSO8JZQfg13dklK9c1WdHEauq6YDD
-----END CERTIFICATE-----
)pem";
constexpr const char* kEncrypted = R"pem(-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgq9YelnJPSBgICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEPfCXKy0YufsGIzdymLotiMEgZAV
mFH699AKiaQjlDUOqRXWGa05GRnqbT4isXAmZgWnjCLEBDpH9SW10xxj6ogU+Lht
eJQ+kR8kYefqKE8K37fBBUudkA7Da9TXGhwOMeuDvVkSCIAWPRhHXmAKWGA9wchv
4yxw5hkitC+c3Wr7KJA4UfTtL30UdkkjAZK9fDy/Os6PmyFU5aX86heAt82/Jic=
-----END ENCRYPTED PRIVATE KEY-----
)pem";

std::string why(std::string_view certificate, std::string_view key, std::string_view authority = {})
{
    const auto read = read_client_certificate(certificate, key, authority);
    return read ? "" : read.error().what;
}

}  // namespace

TEST_CASE("a client's certificate says whose it is and until when, and its key belongs to it", "[platform][certificate]")
{
    const auto read = read_client_certificate(kCertificate, kKey, kOther);
    if (!read) FAIL(read.error().what);
    CHECK(read->subject == "O = Example, CN = millwright");
    CHECK(read->issuer == read->subject);
    CHECK(format_time(read->until).substr(0, 4) == "2126");
    CHECK(read->from < read->until);
    CHECK(read_client_certificate(std::string(kCertificate) + kOther, kKey, {}));   // a chain: its own first
}

TEST_CASE("what is no certificate, no key or another's is said without showing it", "[platform][certificate]")
{
    CHECK_THAT(why("MIIB", kKey), Contains("'certificate' is not"));
    CHECK_THAT(why(std::string(kCertificate) + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", kKey), Contains("'certificate' is not"));
    CHECK_THAT(why(kCertificate, "nothing"), Contains("'key' is not a private key"));
    CHECK_THAT(why(kCertificate, kCertificate), Contains("'key' is not a private key"));
    CHECK_THAT(why(kCertificate, kEncrypted), Contains("'key' is encrypted"));
    CHECK_THAT(why(kOther, kKey), Contains("'key' does not belong to 'certificate'"));
    CHECK_THAT(why(std::string(kOther) + kCertificate, kKey), Contains("whose first certificate must be the client's own"));
    CHECK_THAT(why(kCertificate, kKey, "nothing"), Contains("'authority' is not"));
}
