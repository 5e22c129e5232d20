#include <catch2/catch.hpp>

#include "platform/base/encode.h"
#include "protocol/offer.h"
#include "protocol/signing_rules.h"

using namespace mill;
using namespace mill::protocol;
using Catch::Contains;

namespace {

const std::string kKey(32, 'k'), kOther(32, 'o'), kDigest = "sha256:" + std::string(64, 'a'), kManifest = "sha256:" + std::string(64, 'b');

SignatureFile file_of(std::vector<PackageSignature> signatures = {{kKey, kManifest, std::string(64, 's')}})
{
    return {"orders", "1.2.0", kDigest, std::move(signatures)};
}

Result<SignatureFile> read_text(const std::string& text) { return parse_signature_file(std::string_view(text), "a.sig"); }

std::string refusal_of(const Json& json)
{
    const auto read = read_text(dump_json(json));
    return read ? std::string() : read.error().what;
}

}  // namespace

TEST_CASE("a statement says what it is, and each of its four fields changes it", "[protocol][signature]")
{
    const std::string text = package_statement("orders", "1.2.0", kDigest, kManifest);
    CHECK(text == "millwright package signature 1\norders\n1.2.0\n" + kDigest + "\n" + kManifest + "\n");
    CHECK(package_statement("order", "s1.2.0", kDigest, kManifest) != text);
    CHECK(package_statement("orders2", "1.2.0", kDigest, kManifest) != text);
    CHECK(package_statement("orders", "1.2.1", kDigest, kManifest) != text);
    CHECK(package_statement("orders", "1.2.0", kManifest, kManifest) != text);
    CHECK(package_statement("orders", "1.2.0", kDigest, kDigest) != text);
    // A line end within a field cannot stand for the border of two.
    CHECK(package_statement("orders\n1.2.0", kDigest, kManifest, "") != text);
}

TEST_CASE("a key is one word, in one spelling", "[protocol][signature]")
{
    const std::string text = key_text(kKey);
    CHECK(text.starts_with("ed25519:"));
    REQUIRE(parse_key(text));
    CHECK(*parse_key(text) == kKey);
    for (const std::string& wrong : {std::string(), std::string("ed25519:"), to_base64(kKey), "rsa:" + to_base64(kKey), "ed25519:" + to_base64("short"), text + " ", text + "\n"})
        CHECK_FALSE(parse_key(wrong));
}

TEST_CASE("a signature file is read back, and what is wrong with one is said with its place", "[protocol][signature]")
{
    const Json good = to_json(file_of());
    const auto read = read_text(dump_json(good));
    REQUIRE(read);
    CHECK(to_json(*read) == good);
    CHECK(read->signatures.front().bytes == std::string(64, 's'));

    CHECK_THAT(refusal_of(Json::object({{"package", good["package"]}})), Contains("a.sig") && Contains("signatures"));
    CHECK_THAT(refusal_of(to_json(file_of({}))), Contains("signatures is empty"));
    Json more = good;
    CHECK_THAT(refusal_of(more.set("publisher", "acme")), Contains("publisher"));
    Json package = good["package"];
    CHECK_THAT(refusal_of(Json(good).set("package", Json(package).set("digest", "sha256:AB"))), Contains("package") && Contains("digest"));
    CHECK_THAT(refusal_of(Json(good).set("package", Json(package).set("name", "orders\n1.2.0"))), Contains("name"));
    CHECK_THAT(refusal_of(to_json(file_of({{kKey, "none", std::string(64, 's')}}))), Contains("signatures[0]") && Contains("manifest"));
    CHECK_THAT(refusal_of(to_json(file_of({{kKey, kManifest, "short"}}))), Contains("64 bytes"));
    CHECK_THAT(refusal_of(to_json(file_of({{"short", kManifest, std::string(64, 's')}}))), Contains("ed25519:BASE64"));
    CHECK_THAT(refusal_of(to_json(file_of({{kKey, kManifest, std::string(64, 's')}, {kKey, kManifest, std::string(64, 't')}}))), Contains("two signatures of the key"));
    CHECK_FALSE(read_text("{"));
    CHECK(read_text(std::string(kMostSignatureFile + 1, ' ')).error().code == Errc::too_large);
}

TEST_CASE("a package has so many signatures and no more", "[protocol][signature]")
{
    std::vector<PackageSignature> many;
    for (std::size_t i = 0; i < kMostSignatures; ++i) many.push_back({std::string(32, static_cast<char>('A' + i)), kManifest, std::string(64, 's')});
    CHECK(read_text(dump_json(to_json(file_of(many)))));
    many.push_back({kOther, kManifest, std::string(64, 's')});
    CHECK(read_text(dump_json(to_json(file_of(many)))).error().code == Errc::too_large);
}

TEST_CASE("an offer carries signatures; one of before has none, and what a later one adds is left alone", "[protocol][offer]")
{
    Offer offer;
    offer.id = {"0192-job", 1, 1};
    offer.package_name = "orders";
    offer.package_version = "1.2.0";
    offer.package_digest = kDigest;
    offer.attempt_token = "mw_attempt_1";
    offer.variables = offer.credentials = Json::object();
    Json json = to_json(offer);
    CHECK_FALSE(json["package"].contains("signatures"));
    REQUIRE(parse_offer(json));
    CHECK(parse_offer(json)->signatures.empty());

    offer.signatures = file_of().signatures;
    json = to_json(offer);
    REQUIRE(parse_offer(json));
    CHECK(parse_offer(json)->signatures.front().key == kKey);
    Json package = json["package"], list = Json::array();
    list.push(Json(package["signatures"][std::size_t{0}]).set("at", "2027"));
    CHECK(parse_offer(Json(json).set("package", Json(package).set("signatures", list))));
    CHECK_FALSE(parse_offer(Json(json).set("package", Json(package).set("signatures", Json::array({"x"})))));
    CHECK_FALSE(parse_offer(Json(json).set("package", Json(package).set("signatures", "x"))));
}

TEST_CASE("rules about signatures survive the wire", "[protocol][signature]")
{
    SigningRules rules;
    rules.publishers = {{"acme", {"SHA256:a", "SHA256:b"}}};
    rules.revoked = {"SHA256:b"};
    rules.demands = {{"orders-*", {"acme"}}};
    const Json json = to_json(rules);
    CHECK(says_rules(json));
    CHECK(to_json(read_signing_rules(json)) == json);
    CHECK_FALSE(says_rules(Json()));
    CHECK_FALSE(says_rules(Json::object({{"unsigned", "no"}})));
}

TEST_CASE("who signed a package decides, and a refusal names publisher, key, package and what mends it", "[protocol][signature]")
{
    SigningRules rules;
    rules.publishers = {{"acme", {"SHA256:a", "SHA256:b"}}, {"zeta", {"SHA256:z"}}};
    rules.revoked = {"SHA256:b"};
    const auto judged = [&](std::vector<SignedBy> signatures, std::string_view package = "orders") { return judge_signatures(rules, package, "1.2.0", signatures, "policy.yaml"); };

    CHECK(judged({{"SHA256:a"}}).refused.empty());
    CHECK(judged({{"SHA256:a"}}).publishers == std::vector<std::string>{"acme"});
    CHECK(judged({{"SHA256:unknown"}, {"SHA256:b"}, {"SHA256:z", false}, {"SHA256:a"}}).refused.empty());   // one that counts is enough
    CHECK_THAT(judged({}).refused, Contains("orders 1.2.0 is not signed") && Contains("unsigned: true"));
    CHECK(judged({}).by == "unsigned");
    CHECK_THAT(judged({{"SHA256:unknown"}}).refused, Contains("SHA256:unknown") && Contains("'publishers' does not have"));

    rules.unsigned_packages = true;
    CHECK(judged({}).refused.empty());
    CHECK(judged({{"SHA256:unknown"}}).refused.empty());
    const auto revoked = judged({{"SHA256:b"}});
    CHECK_THAT(revoked.refused, Contains("acme (key SHA256:b), which was revoked") && Contains("orders 1.2.0") && Contains("millwright packages sign orders@1.2.0"));
    CHECK(revoked.by == "revoked");
    CHECK(revoked.signers == *parse_json(R"([{"key":"SHA256:b","publisher":"acme","standing":"revoked"}])"));
    const auto forged = judged({{"SHA256:a", false}});
    CHECK_THAT(forged.refused, Contains("signature of acme (key SHA256:a) does not fit"));
    CHECK(forged.by == "signature");
    CHECK(forged.publishers.empty());

    rules.demands = {{"orders*", {"acme", "zeta"}}, {"orders-eu", {"zeta"}}};
    CHECK(judged({}, "other").refused.empty());
    CHECK(judged({{"SHA256:a"}}).refused.empty());
    CHECK_THAT(judged({}).refused, Contains("has to be signed by acme or zeta") && Contains("nobody signed it"));
    CHECK_THAT(judged({{"SHA256:b"}}).refused, Contains("has to be signed") && Contains("which was revoked"));
    CHECK_THAT(judged({{"SHA256:a"}}, "orders-eu").refused, Contains("has to be signed by zeta") && Contains("signed by acme (key SHA256:a)"));   // each that fits holds
    CHECK(judged({{"SHA256:a"}, {"SHA256:z"}}, "orders-eu").refused.empty());
}
