#include "tests/unit/factory_http/certificates.h"

#include <cstdio>
#include <cstdlib>
#include <memory>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace mill::test {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

void require(bool holds)
{
    if (!holds) std::abort();
}

void extend(X509* certificate, X509* issuer, int kind, const std::string& value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    require(extension && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

Certificate make(EVP_PKEY* key, const std::string& name, X509* issuer, EVP_PKEY* issuer_key, long serial)
{
    Certificate out(X509_new(), X509_free);
    X509_set_version(out.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(out.get()), serial);
    X509_gmtime_adj(X509_getm_notBefore(out.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(out.get()), 86400);
    X509_set_pubkey(out.get(), key);
    X509_NAME* subject = X509_get_subject_name(out.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(out.get(), X509_get_subject_name(issuer ? issuer : out.get()));
    if (!issuer) {
        extend(out.get(), out.get(), NID_basic_constraints, "critical,CA:TRUE");
        extend(out.get(), out.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
    } else {
        const bool address = name.find_first_not_of("0123456789.") == std::string::npos;
        extend(out.get(), issuer, NID_subject_alt_name, (address ? "IP:" : "DNS:") + name);
    }
    require(X509_sign(out.get(), issuer_key, EVP_sha256()) > 0);
    return out;
}

Key make_key()
{
    EVP_PKEY* out = nullptr;
    EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nullptr);
    require(context && EVP_PKEY_keygen_init(context) == 1 && EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1 &&
            EVP_PKEY_keygen(context, &out) == 1);
    EVP_PKEY_CTX_free(context);
    return Key(out, EVP_PKEY_free);
}

template <class Write> void to_file(const std::string& path, Write write)
{
    std::FILE* file = std::fopen(path.c_str(), "w");
    require(file && write(file) == 1 && std::fclose(file) == 0);
}

}  // namespace

Certificates make_certificates(const std::string& folder, const std::string& name)
{
    Certificates out{folder + "/ca.pem", folder + "/certificate.pem", folder + "/key.pem"};
    const Key ca_key = make_key(), key = make_key();
    require(ca_key && key);
    const Certificate ca = make(ca_key.get(), "Test Authority", nullptr, ca_key.get(), 1);
    const Certificate leaf = make(key.get(), name, ca.get(), ca_key.get(), 2);
    to_file(out.ca, [&](std::FILE* file) { return PEM_write_X509(file, ca.get()); });
    to_file(out.certificate, [&](std::FILE* file) { return PEM_write_X509(file, leaf.get()); });
    to_file(out.key, [&](std::FILE* file) { return PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
    return out;
}

}  // namespace mill::test
