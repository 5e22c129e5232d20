#include "platform/http/tls_check.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

namespace mill::platform {
namespace {

using Shared = std::shared_ptr<TlsCheck>;

void free_shared(void*, void* held, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<Shared*>(held); }

int shared_index()
{
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_shared);
    return index;
}

bool is_address(const std::string& host)
{
    in_addr v4{};
    in6_addr v6{};
    return inet_pton(AF_INET, host.c_str(), &v4) == 1 || inet_pton(AF_INET6, host.c_str(), &v6) == 1;
}

}  // namespace

void TlsCheck::install(SSL_CTX* context, const std::shared_ptr<TlsCheck>& check)
{
    SSL_CTX_set_ex_data(context, shared_index(), new Shared(check));
    SSL_CTX_set_cert_verify_callback(context, verify, check.get());
    SSL_CTX_set_info_callback(context, at_handshake);
    SSL_CTX_set_client_cert_cb(context, no_certificate);   // not called when there is one
}

int TlsCheck::verify(X509_STORE_CTX* store, void* held)
{
    auto* check = static_cast<TlsCheck*>(held);
    X509_VERIFY_PARAM* wanted = X509_STORE_CTX_get0_param(store);
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const bool named = is_address(check->host_) ? X509_VERIFY_PARAM_set1_ip_asc(wanted, check->host_.c_str()) == 1
                                                : X509_VERIFY_PARAM_set1_host(wanted, check->host_.c_str(), 0) == 1;
    X509_STORE_CTX_set_verify_cb(store, [](int good, X509_STORE_CTX*) { return good; });
    if (named && X509_verify_cert(store) == 1) return 1;
    const std::scoped_lock lock(check->mutex_);
    check->why_ = X509_verify_cert_error_string(X509_STORE_CTX_get_error(store));
    return 0;
}

int TlsCheck::no_certificate(SSL* connection, X509**, EVP_PKEY**)
{
    if (const auto* check = static_cast<Shared*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(connection), shared_index()))) {
        const std::scoped_lock lock((*check)->mutex_);
        (*check)->asked_ = true;
    }
    return 0;
}

void TlsCheck::at_handshake(const SSL* connection, int where, int result)
{
    const auto* check = static_cast<Shared*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(connection), shared_index()));
    if (check == nullptr) return;
    // With TLS 1.3 a server judges our certificate when we are done already: the library only sees that the connection breaks.
    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && (result >> 8) == SSL3_AL_FATAL) {
        const std::scoped_lock lock((*check)->mutex_);
        (*check)->alert_ = SSL_alert_desc_string_long(result);
    }
    if ((where & SSL_CB_HANDSHAKE_START) == 0) return;
    SSL* writable = const_cast<SSL*>(connection);
    // An address is no name to ask for (RFC 6066, 3).
    SSL_set_tlsext_host_name(writable, is_address((*check)->host_) ? nullptr : (*check)->host_.data());
}

std::string TlsCheck::why() const
{
    const std::scoped_lock lock(mutex_);
    return why_;
}

std::string TlsCheck::objection() const
{
    const std::scoped_lock lock(mutex_);
    std::string out = alert_.empty() ? "" : "; the server's TLS alert: " + alert_;
    if (asked_) out += "; it asked for a client certificate, and none was shown";
    return out;
}

std::string tls_words(unsigned long code)
{
    const char* words = ERR_reason_error_string(code);
    return words == nullptr ? "error " + std::to_string(code) : std::string(words);
}

}  // namespace mill::platform
