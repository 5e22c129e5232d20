// platform/client_certificate.h -- a client's certificate and its key (PEM): what they say, and whether they belong together.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/clock.h"
#include "platform/base/result.h"

namespace mill::platform {

struct CertificateFacts {
    std::string subject, issuer;   ///< "CN = millwright, O = Example"
    WallTime from, until;          ///< of the certificate itself, the first of the chain
};

/// `certificate`: the client's own first, then those between it and its authority. `authority`: one or more, or empty; those by which the server is
/// judged. Errors: invalid: which of the three is no PEM, is encrypted, or does not belong to the others; never with a key in it.
Result<CertificateFacts> read_client_certificate(std::string_view certificate, std::string_view key, std::string_view authority);

}  // namespace mill::platform
