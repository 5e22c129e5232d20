#include <catch2/catch.hpp>

#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/crypto.h"

using namespace mill;
using namespace mill::platform;

TEST_CASE("digests match the published vectors", "[platform][crypto]")
{
    CHECK(to_hex(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    // RFC 4231, test case 2
    CHECK(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    CHECK(sha256_file("/no/such/file").error().code == Errc::not_found);
}

TEST_CASE("Ed25519 signs as RFC 8032 says and refuses what was changed", "[platform][crypto]")
{
    // RFC 8032, 7.1, test 2
    const std::string secret = *from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    const std::string known = *from_hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    const auto signature = sign(secret, "\x72");
    REQUIRE(signature);
    CHECK(to_hex(*signature).starts_with("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"));
    CHECK(verify(known, "\x72", *signature));
    CHECK_FALSE(verify(known, "\x73", *signature));
    CHECK_FALSE(verify(make_signing_key().public_key, "\x72", *signature));
    CHECK_FALSE(verify(known, "\x72", "short"));
    CHECK(sign("short", "x").error().code == Errc::invalid);
}

TEST_CASE("sealed data opens with its key and context only", "[platform][crypto]")
{
    const std::string key = random_bytes(32);
    for (const std::string& plain : {std::string(), std::string("x"), std::string(100'000, 'y')}) {
        std::string sealed = seal(key, plain, "erp-login");
        CHECK(*open_sealed(key, sealed, "erp-login") == plain);
        CHECK(open_sealed(key, sealed, "other").error().code == Errc::corrupt);
        CHECK(open_sealed(random_bytes(32), sealed, "erp-login").error().code == Errc::corrupt);
        sealed.back() = static_cast<char>(sealed.back() ^ 1);
        CHECK_FALSE(open_sealed(key, sealed, "erp-login"));
    }
    CHECK_FALSE(open_sealed(key, "short", ""));
    CHECK(seal(key, "x", "") != seal(key, "x", ""));
}

TEST_CASE("a JWT holds with its key, and no other algorithm is taken", "[platform][crypto]")
{
    const SigningKey key = make_signing_key();
    const auto jwt = make_jwt(key.private_key, "agent-1", R"({"iss":"agent-1"})");
    REQUIRE(jwt);
    CHECK(*verify_jwt(key.public_key, *jwt) == R"({"iss":"agent-1"})");
    CHECK(*jwt_claims_unverified(*jwt) == R"({"iss":"agent-1"})");
    CHECK(verify_jwt(make_signing_key().public_key, *jwt).error().code == Errc::denied);
    const std::string none = to_base64url(R"({"alg":"none"})") + "." + to_base64url(R"({"iss":"agent-1"})") + ".";
    CHECK(verify_jwt(key.public_key, none).error().code == Errc::invalid);
    const std::string other = jwt->substr(0, jwt->find('.') + 1) + to_base64url(R"({"iss":"agent-2"})") + jwt->substr(jwt->rfind('.'));
    CHECK(verify_jwt(key.public_key, other).error().code == Errc::denied);
    for (const char* text : {"", ".", "..", "a.b", "a.b.c", "a.b.c.d"}) CHECK(verify_jwt(key.public_key, text).error().code == Errc::invalid);
}
