// OpenSSL 3 behind platform/crypto_hpke.h. Names follow RFC 9180, sections 4 and 5. A call that cannot fail but for want of memory ends
// the process then.
#include "platform/crypto_hpke.h"

#include <limits>
#include <memory>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "platform/base/ids.h"
#include "platform/crypto.h"

namespace mill::platform {
namespace {

template <auto Free>
struct HpkeFreer {
    template <class T> void operator()(T* value) const { Free(value); }
};
using HpkePair = std::unique_ptr<EVP_PKEY, HpkeFreer<EVP_PKEY_free>>;
using HpkeExchange = std::unique_ptr<EVP_PKEY_CTX, HpkeFreer<EVP_PKEY_CTX_free>>;
using HpkeCipher = std::unique_ptr<EVP_CIPHER_CTX, HpkeFreer<EVP_CIPHER_CTX_free>>;

using namespace std::string_view_literals;
constexpr std::size_t kPoint = 32, kAeadKey = 16, kAeadNonce = 12, kAeadTag = 16, kPlainMost = std::numeric_limits<int>::max() - 64;
constexpr std::string_view kKemSuite = "KEM\x00\x20"sv;                        // DHKEM(X25519, HKDF-SHA256)
constexpr std::string_view kSuite = "HPKE\x00\x20\x00\x01\x00\x01"sv;          // with HKDF-SHA256 and AES-128-GCM
constexpr std::string_view kBaseMode = "\x00"sv;

const unsigned char* octets(std::string_view bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
unsigned char* octets(std::string& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

/// Bytes that are wiped when they are not needed any more.
struct Wiped {
    std::string bytes;
    Wiped() = default;
    explicit Wiped(std::string what) : bytes(std::move(what)) {}
    Wiped(const Wiped&) = delete;
    Wiped& operator=(const Wiped&) = delete;
    ~Wiped() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

std::string labeled_extract(std::string_view suite, std::string_view salt, std::string_view label, std::string_view ikm)
{
    const Wiped labeled(std::string("HPKE-v1").append(suite).append(label).append(ikm));
    return hmac_sha256(salt, labeled.bytes);
}

/// At most 32 bytes: the first block of HKDF-Expand (RFC 5869) is all that is asked for here.
std::string labeled_expand(std::string_view suite, std::string_view prk, std::string_view label, std::string_view info, std::size_t length)
{
    std::string labeled{static_cast<char>(length >> 8), static_cast<char>(length & 0xff)};
    labeled.append("HPKE-v1").append(suite).append(label).append(info).push_back('\x01');
    std::string out = hmac_sha256(prk, labeled);
    out.resize(length);
    return out;
}

std::string public_of(std::string_view private_key)
{
    const HpkePair pair(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, octets(private_key), kPoint));
    std::string out(kPoint, '\0');
    std::size_t size = kPoint;
    check(pair && EVP_PKEY_get_raw_public_key(pair.get(), octets(out), &size) == 1 && size == kPoint, "X25519 failed");
    return out;
}

/// The secret that both sides come to; nothing when the other's key is a point of small order (its result would be zero).
std::unique_ptr<Wiped> shared_secret(std::string_view private_key, std::string_view other, std::string_view kem_context)
{
    const HpkePair ours(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, octets(private_key), kPoint));
    const HpkePair theirs(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, octets(other), kPoint));
    check(ours && theirs, "X25519 failed");
    const HpkeExchange exchange(EVP_PKEY_CTX_new(ours.get(), nullptr));
    Wiped dh(std::string(kPoint, '\0'));
    std::size_t size = kPoint;
    if (!exchange || EVP_PKEY_derive_init(exchange.get()) != 1 || EVP_PKEY_derive_set_peer(exchange.get(), theirs.get()) != 1 ||
        EVP_PKEY_derive(exchange.get(), octets(dh.bytes), &size) != 1 || size != kPoint || dh.bytes == std::string(kPoint, '\0'))
        return nullptr;
    const Wiped eae_prk(labeled_extract(kKemSuite, "", "eae_prk", dh.bytes));
    return std::make_unique<Wiped>(labeled_expand(kKemSuite, eae_prk.bytes, "shared_secret", kem_context, 32));
}

struct Schedule {
    Wiped key, nonce;
    Schedule(std::string_view shared, std::string_view info)
    {
        std::string context(kBaseMode);
        context += labeled_extract(kSuite, "", "psk_id_hash", "");
        context += labeled_extract(kSuite, "", "info_hash", info);
        const Wiped secret(labeled_extract(kSuite, shared, "secret", ""));
        key.bytes = labeled_expand(kSuite, secret.bytes, "key", context, kAeadKey);
        nonce.bytes = labeled_expand(kSuite, secret.bytes, "base_nonce", context, kAeadNonce);
    }
};

}  // namespace

SealingKey make_sealing_key()
{
    SealingKey key{random_bytes(kPoint), {}};  // an X25519 private key is any 32 random bytes (RFC 7748, 5)
    key.public_key = public_of(key.private_key);
    return key;
}

Result<std::string> seal_to(std::string_view public_key, std::string_view plain, std::string_view info, std::string_view context)
{
    if (public_key.size() != kPoint) return fail(Errc::invalid, "an X25519 public key has 32 bytes");
    if (plain.size() > kPlainMost || context.size() > kPlainMost) return fail(Errc::too_large, "too much to seal");
    const Wiped once(random_bytes(kPoint));
    std::string out = public_of(once.bytes);
    const auto shared = shared_secret(once.bytes, public_key, out + std::string(public_key));
    if (!shared) return fail(Errc::invalid, "this X25519 public key is none: it leads to no secret");
    const Schedule schedule(shared->bytes, info);
    out.resize(kPoint + plain.size() + kAeadTag);
    const HpkeCipher cipher(EVP_CIPHER_CTX_new());
    int size = 0, rest = 0;
    const bool done = cipher && EVP_EncryptInit_ex(cipher.get(), EVP_aes_128_gcm(), nullptr, octets(schedule.key.bytes), octets(schedule.nonce.bytes)) == 1 &&
                      EVP_EncryptUpdate(cipher.get(), nullptr, &size, octets(context), static_cast<int>(context.size())) == 1 &&
                      EVP_EncryptUpdate(cipher.get(), octets(out) + kPoint, &size, octets(plain), static_cast<int>(plain.size())) == 1 &&
                      EVP_EncryptFinal_ex(cipher.get(), octets(out) + kPoint + size, &rest) == 1 &&
                      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kAeadTag, octets(out) + kPoint + plain.size()) == 1;
    check(done && static_cast<std::size_t>(size + rest) == plain.size(), "AES-128-GCM failed");
    return out;
}

Result<std::string> open_sealed_by(const SealingKey& key, std::string_view sealed, std::string_view info, std::string_view context)
{
    const auto wrong = [] { return fail(Errc::corrupt, "the box does not open: it is damaged, or for another key or purpose"); };
    if (key.private_key.size() != kPoint || key.public_key.size() != kPoint || sealed.size() < kPoint + kAeadTag || sealed.size() > kPlainMost) return wrong();
    const std::string_view once = sealed.substr(0, kPoint), body = sealed.substr(kPoint, sealed.size() - kPoint - kAeadTag);
    std::string tag(sealed.substr(sealed.size() - kAeadTag));
    const auto shared = shared_secret(key.private_key, once, std::string(once) + key.public_key);
    if (!shared) return wrong();
    const Schedule schedule(shared->bytes, info);
    std::string out(body.size(), '\0');
    const HpkeCipher cipher(EVP_CIPHER_CTX_new());
    int size = 0, rest = 0;
    if (!cipher || EVP_DecryptInit_ex(cipher.get(), EVP_aes_128_gcm(), nullptr, octets(schedule.key.bytes), octets(schedule.nonce.bytes)) != 1 ||
        EVP_DecryptUpdate(cipher.get(), nullptr, &size, octets(context), static_cast<int>(context.size())) != 1 ||
        EVP_DecryptUpdate(cipher.get(), octets(out), &size, octets(body), static_cast<int>(body.size())) != 1 ||
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kAeadTag, octets(tag)) != 1 ||
        EVP_DecryptFinal_ex(cipher.get(), octets(out) + size, &rest) != 1) {
        OPENSSL_cleanse(out.data(), out.size());
        return wrong();
    }
    return out;
}

}  // namespace mill::platform
