// OpenSSL 3 behind platform/crypto.h. A call that cannot fail but for want of memory ends the process then.
#include "platform/crypto.h"

#include <cstring>
#include <fstream>
#include <memory>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/base/json.h"

namespace mill::platform {
namespace {

template <auto Free>
struct Freer {
    template <class T> void operator()(T* value) const { Free(value); }
};
using Digest = std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, Freer<EVP_CIPHER_CTX_free>>;

constexpr std::size_t kNonce = 12, kTag = 16, kKey = 32, kSignature = 64;

const unsigned char* raw(std::string_view bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
unsigned char* raw(std::string& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

std::string finish(EVP_MD_CTX* context)
{
    std::string out(32, '\0');
    unsigned size = 0;
    check(EVP_DigestFinal_ex(context, raw(out), &size) == 1 && size == 32, "SHA-256 failed");
    return out;
}

}  // namespace

std::string sha256(std::string_view bytes)
{
    const Digest context(EVP_MD_CTX_new());
    check(context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1 &&
              EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1,
          "SHA-256 failed");
    return finish(context.get());
}

Result<std::string> sha256_file(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    if (!file) return fail(Errc::not_found, fmt::format("{}: cannot be read", path));
    const Digest context(EVP_MD_CTX_new());
    check(context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1, "SHA-256 failed");
    std::string block(1 << 16, '\0');
    while (file.read(block.data(), static_cast<std::streamsize>(block.size())) || file.gcount() > 0)
        check(EVP_DigestUpdate(context.get(), block.data(), static_cast<std::size_t>(file.gcount())) == 1, "SHA-256 failed");
    if (file.bad()) return fail(Errc::unavailable, fmt::format("{}: reading failed", path));
    return finish(context.get());
}

std::string hmac_sha256(std::string_view key, std::string_view bytes)
{
    std::string out(32, '\0');
    unsigned size = 0;
    check(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), raw(bytes), bytes.size(), raw(out), &size) != nullptr &&
              size == 32,
          "HMAC failed");
    return out;
}

bool equal_constant_time(std::string_view a, std::string_view b)
{
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

SigningKey make_signing_key()
{
    SigningKey key{random_bytes(kKey), std::string(kKey, '\0')};  // an Ed25519 private key is any 32 random bytes (RFC 8032, 5.1.5)
    const Key pair(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw(key.private_key), kKey));
    std::size_t size = kKey;
    check(pair && EVP_PKEY_get_raw_public_key(pair.get(), raw(key.public_key), &size) == 1 && size == kKey, "Ed25519 failed");
    return key;
}

Result<std::string> sign(std::string_view private_key, std::string_view bytes)
{
    if (private_key.size() != kKey) return fail(Errc::invalid, "an Ed25519 private key has 32 bytes");
    const Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw(private_key), kKey));
    const Digest context(EVP_MD_CTX_new());
    std::string out(kSignature, '\0');
    std::size_t size = out.size();
    if (!key || !context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
        EVP_DigestSign(context.get(), raw(out), &size, raw(bytes), bytes.size()) != 1 || size != kSignature)
        return fail(Errc::internal, "signing failed");
    return out;
}

bool verify(std::string_view public_key, std::string_view bytes, std::string_view signature)
{
    if (public_key.size() != kKey || signature.size() != kSignature) return false;
    const Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(public_key), kKey));
    const Digest context(EVP_MD_CTX_new());
    return key && context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
           EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(bytes), bytes.size()) == 1;
}

std::string seal(std::string_view key, std::string_view plain, std::string_view context)
{
    check(key.size() == kKey, "a sealing key has 32 bytes");
    std::string out = random_bytes(kNonce);
    out.resize(kNonce + plain.size() + kTag);
    const Cipher cipher(EVP_CIPHER_CTX_new());
    int size = 0, rest = 0;
    const bool done = cipher && EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, raw(key), raw(out)) == 1 &&
                      EVP_EncryptUpdate(cipher.get(), nullptr, &size, raw(context), static_cast<int>(context.size())) == 1 &&
                      EVP_EncryptUpdate(cipher.get(), raw(out) + kNonce, &size, raw(plain), static_cast<int>(plain.size())) == 1 &&
                      EVP_EncryptFinal_ex(cipher.get(), raw(out) + kNonce + size, &rest) == 1 &&
                      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTag, raw(out) + kNonce + plain.size()) == 1;
    check(done && static_cast<std::size_t>(size + rest) == plain.size(), "AES-256-GCM failed");
    return out;
}

Result<std::string> open_sealed(std::string_view key, std::string_view sealed, std::string_view context)
{
    const auto wrong = [] { return fail(Errc::corrupt, "sealed data is damaged, or was sealed with another key"); };
    if (key.size() != kKey || sealed.size() < kNonce + kTag) return wrong();
    const std::string_view body = sealed.substr(kNonce, sealed.size() - kNonce - kTag);
    std::string tag(sealed.substr(sealed.size() - kTag));
    std::string out(body.size(), '\0');
    const Cipher cipher(EVP_CIPHER_CTX_new());
    int size = 0, rest = 0;
    if (!cipher || EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, raw(key), raw(sealed)) != 1 ||
        EVP_DecryptUpdate(cipher.get(), nullptr, &size, raw(context), static_cast<int>(context.size())) != 1 ||
        EVP_DecryptUpdate(cipher.get(), raw(out), &size, raw(body), static_cast<int>(body.size())) != 1 ||
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTag, raw(tag)) != 1 ||
        EVP_DecryptFinal_ex(cipher.get(), raw(out) + size, &rest) != 1)
        return wrong();
    return out;
}

Result<std::string> make_jwt(std::string_view private_key, std::string_view key_id, std::string_view claims_json)
{
    const std::string header = dump_json(Json::object({{"alg", "EdDSA"}, {"typ", "JWT"}, {"kid", key_id}}));
    const std::string signed_part = to_base64url(header) + "." + to_base64url(claims_json);
    auto signature = sign(private_key, signed_part);
    if (!signature) return fail("JWT", signature.error());
    return signed_part + "." + to_base64url(*signature);
}

Result<std::string> jwt_claims_unverified(std::string_view jwt)
{
    const auto wrong = [] { return fail(Errc::invalid, "not a JWT"); };
    const auto first = jwt.find('.'), last = jwt.rfind('.');
    if (jwt.size() > 16384 || first == std::string_view::npos || first == last || jwt.find('.', first + 1) != last) return wrong();
    const auto header_text = from_base64(jwt.substr(0, first));
    const auto header = header_text ? parse_json(*header_text) : Result<Json>(wrong());
    // Only the one algorithm is ever taken: what the header asks for never chooses how it is checked.
    if (!header || (*header)["alg"].as_string() != "EdDSA" || header->contains("crit")) return wrong();
    auto claims = from_base64(jwt.substr(first + 1, last - first - 1));
    if (!claims || !parse_json(*claims) || !parse_json(*claims)->is_object()) return wrong();
    return claims;
}

Result<std::string> verify_jwt(std::string_view public_key, std::string_view jwt)
{
    auto claims = jwt_claims_unverified(jwt);
    if (!claims) return claims;
    const auto last = jwt.rfind('.');
    const auto signature = from_base64(jwt.substr(last + 1));
    if (!signature || !verify(public_key, jwt.substr(0, last), *signature)) return fail(Errc::denied, "the JWT's signature does not hold");
    return claims;
}

}  // namespace mill::platform
