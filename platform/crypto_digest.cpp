#include "platform/crypto_digest.h"

#include <openssl/evp.h>

#include "platform/base/encode.h"
#include "platform/base/result.h"

namespace mill::platform {

struct Digest::State {
    EVP_MD_CTX* context = nullptr;
};

Digest::Digest() : state_(std::make_unique<State>())
{
    state_->context = ::EVP_MD_CTX_new();
    check(state_->context != nullptr && ::EVP_DigestInit_ex(state_->context, ::EVP_sha256(), nullptr) == 1, "SHA-256 is there");
}

Digest::~Digest() { ::EVP_MD_CTX_free(state_->context); }

void Digest::add(std::string_view bytes) { ::EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()); }

std::string Digest::text()
{
    std::string raw(32, '\0');
    ::EVP_DigestFinal_ex(state_->context, reinterpret_cast<unsigned char*>(raw.data()), nullptr);
    return "sha256:" + to_hex(raw);
}

std::string md5_hex(std::string_view bytes)
{
    std::string raw(16, '\0');
    const bool done = ::EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(raw.data()), nullptr, ::EVP_md5(), nullptr) == 1;
    check(done, "MD5 is there");
    return to_hex(raw);
}

}  // namespace mill::platform
