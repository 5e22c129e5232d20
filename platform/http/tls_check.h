// platform/http/tls_check.h -- checks a server's certificate against the name we wanted. For platform/http only.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include <openssl/ssl.h>

namespace mill::platform {

/// cpprestsdk would check against the Host header, port included; we check, and name the server (SNI), by the URI's host.
class TlsCheck {
public:
    explicit TlsCheck(std::string host) : host_(std::move(host)) {}

    /// From now on each connection of `context` is checked by `check`, which lives as long as the context.
    static void install(SSL_CTX* context, const std::shared_ptr<TlsCheck>& check);

    std::string why() const;  ///< what was wrong with the last certificate that was refused; empty for nothing

    /// What the server had against us, as the end of a sentence: its alert, and that it asked for a certificate which it did not get; empty: nothing.
    std::string objection() const;

private:
    static int no_certificate(SSL* connection, X509**, EVP_PKEY**);
    static int verify(X509_STORE_CTX* store, void* check);
    static void at_handshake(const SSL* connection, int where, int result);
    std::string host_;
    mutable std::mutex mutex_;
    std::string why_, alert_;
    bool asked_ = false;
};

/// OpenSSL's words for one of its numbers, such as "tlsv13 alert certificate required".
std::string tls_words(unsigned long code);

}  // namespace mill::platform
