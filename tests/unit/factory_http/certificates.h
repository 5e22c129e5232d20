// tests/unit/factory_http/certificates.h -- a private authority and certificates of its making, for tests of TLS.
#pragma once

#include <string>

namespace mill::test {

/// Files of PEM in `folder`.
struct Certificates {
    std::string ca, certificate, key;
};
/// A new authority, and a certificate for `name` (DNS, or an address written as such) signed by it.
Certificates make_certificates(const std::string& folder, const std::string& name);

}  // namespace mill::test
