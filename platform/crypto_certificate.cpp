#include "platform/client_certificate.h"

#include <ctime>
#include <memory>
#include <vector>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace mill::platform {
namespace {

struct Free {
    void operator()(BIO* it) const { BIO_free(it); }
    void operator()(X509* it) const { X509_free(it); }
    void operator()(EVP_PKEY* it) const { EVP_PKEY_free(it); }
};
template <class T> using Own = std::unique_ptr<T, Free>;

Own<BIO> memory(std::string_view text) { return Own<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

/// No terminal is ever asked.
int no_password(char*, int, int, void*) { return 0; }

/// All that stand there; none when one cannot be read.
std::vector<Own<X509>> certificates(std::string_view pem)
{
    std::vector<Own<X509>> out;
    const auto bio = memory(pem);
    while (bio) {
        Own<X509> one(PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr));
        if (!one) break;
        out.push_back(std::move(one));
    }
    const auto why = ERR_peek_last_error();
    ERR_clear_error();
    if (ERR_GET_LIB(why) != ERR_LIB_PEM || ERR_GET_REASON(why) != PEM_R_NO_START_LINE) out.clear();   // else it has come to the end
    return out;
}

std::string words(const X509_NAME* name)
{
    const Own<BIO> bio(BIO_new(BIO_s_mem()));
    if (!bio || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) < 0) return {};
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<std::size_t>(size > 0 ? size : 0)};
}

WallTime time_of(const ASN1_TIME* time)
{
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
    return {static_cast<std::int64_t>(::timegm(&parts)) * 1'000'000};
}

}  // namespace

Result<CertificateFacts> read_client_certificate(std::string_view certificate, std::string_view key, std::string_view authority)
{
    const auto chain = certificates(certificate);
    if (chain.empty()) return fail(Errc::invalid, "'certificate' is not one or more certificates in PEM (-----BEGIN CERTIFICATE-----)");
    if (!authority.empty() && certificates(authority).empty()) return fail(Errc::invalid, "'authority' is not one or more certificates in PEM (-----BEGIN CERTIFICATE-----)");
    const auto bio = memory(key);
    const Own<EVP_PKEY> own(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr) : nullptr);
    ERR_clear_error();
    const bool encrypted = key.find("ENCRYPTED") != std::string_view::npos;
    if (!own) return fail(Errc::invalid, encrypted ? "'key' is encrypted: give it without its passphrase (openssl pkey -in KEY); the factory's vault encrypts it" : "'key' is not a private key in PEM (-----BEGIN PRIVATE KEY-----)");
    const bool fits = X509_check_private_key(chain.front().get(), own.get()) == 1;
    ERR_clear_error();
    if (!fits) return fail(Errc::invalid, "'key' does not belong to 'certificate', whose first certificate must be the client's own");
    const X509* first = chain.front().get();
    return CertificateFacts{words(X509_get_subject_name(first)), words(X509_get_issuer_name(first)), time_of(X509_get0_notBefore(first)), time_of(X509_get0_notAfter(first))};
}

}  // namespace mill::platform
