// platform/crypto_hpke.h against the vectors of RFC 9180, appendix A.1.1.
#include <catch2/catch.hpp>

#include "platform/base/encode.h"
#include "platform/crypto_hpke.h"

using namespace mill;
using namespace mill::platform;

namespace {

std::string hex(std::string_view text) { return *from_hex(text); }

const SealingKey kReceiver{hex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8"),
                           hex("3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d")};
const std::string kInfo = hex("4f6465206f6e2061204772656369616e2055726e");
const std::string kEnc = hex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431");
const std::string kAad = hex("436f756e742d30");
const std::string kCiphertext = hex("f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a");

}  // namespace

TEST_CASE("a box of RFC 9180's appendix opens to what it says", "[crypto][hpke]")
{
    const auto plain = open_sealed_by(kReceiver, kEnc + kCiphertext, kInfo, kAad);
    REQUIRE(plain);
    CHECK(*plain == "Beauty is truth, truth beauty");
}

TEST_CASE("what is sealed for a key opens with it, and no two boxes are alike", "[crypto][hpke]")
{
    const SealingKey key = make_sealing_key();
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{16}, std::size_t{100'000}}) {
        const std::string plain(bytes, 'x');
        const auto box = seal_to(key.public_key, plain, "info", "context");
        REQUIRE(box);
        CHECK(box->size() == 32 + bytes + 16);
        CHECK(open_sealed_by(key, *box, "info", "context") == plain);
        CHECK(*seal_to(key.public_key, plain, "info", "context") != *box);
    }
    CHECK(open_sealed_by(kReceiver, *seal_to(kReceiver.public_key, "p", "", ""), "", "") == std::string("p"));
}

TEST_CASE("a box that was touched, or is for somebody or something else, does not open", "[crypto][hpke]")
{
    const std::string box = kEnc + kCiphertext;
    for (std::size_t at = 0; at < box.size(); ++at) {
        std::string touched = box;
        touched[at] = static_cast<char>(touched[at] ^ 0x01);
        CHECK(open_sealed_by(kReceiver, touched, kInfo, kAad).error().code == Errc::corrupt);
    }
    for (std::size_t size = 0; size < box.size(); ++size) CHECK_FALSE(open_sealed_by(kReceiver, box.substr(0, size), kInfo, kAad));
    CHECK_FALSE(open_sealed_by(kReceiver, box + "x", kInfo, kAad));
    CHECK_FALSE(open_sealed_by(kReceiver, box, kInfo + "x", kAad));
    CHECK_FALSE(open_sealed_by(kReceiver, box, kInfo, "Count-1"));
    CHECK_FALSE(open_sealed_by(make_sealing_key(), box, kInfo, kAad));
}

TEST_CASE("keys that are none seal nothing", "[crypto][hpke]")
{
    CHECK(seal_to("", "p", "", "").error().code == Errc::invalid);
    CHECK(seal_to(std::string(31, 'k'), "p", "", "").error().code == Errc::invalid);
    CHECK(seal_to(std::string(33, 'k'), "p", "", "").error().code == Errc::invalid);
    CHECK(seal_to(std::string(32, '\0'), "p", "", "").error().code == Errc::invalid);  // of small order (RFC 7748, 6.1)
    CHECK_FALSE(open_sealed_by(kReceiver, std::string(32, '\0') + kCiphertext, kInfo, kAad));
}
