// Whose packages start here: keys of publishers in policy.yaml or pinned at enrolment, and a factory that lies about them.
#include "tests/unit/agent/agent_world.h"

#include "agent/policy.h"
#include "platform/fingerprint.h"

using namespace mill;
using namespace mill::test;
using Catch::Contains;

namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a'), kManifest = "sha256:" + std::string(64, 'b');

protocol::PackageSignature sign(const platform::SigningKey& key, const std::string& name, const std::string& version, const std::string& digest = kDigest)
{
    return {key.public_key, kManifest, *platform::sign(key.private_key, protocol::package_statement(name, version, digest, kManifest))};
}

protocol::Offer offer_signed(std::vector<protocol::PackageSignature> signatures)
{
    auto offer = *protocol::parse_offer(offer_json());
    offer.signatures = std::move(signatures);
    return offer;
}

agent::Policy policy_of(const std::string& yaml)
{
    auto policy = agent::parse_policy(yaml, "policy.yaml");
    REQUIRE(policy);
    return *policy;
}

std::string demand(const platform::SigningKey& key)
{
    return fmt::format("publishers: {{ acme: '{}' }}\npackages: [ {{ name: 'order-*', signedBy: [ acme ] }} ]\n", protocol::key_text(key.public_key));
}

}  // namespace

TEST_CASE("a signature by a publisher of the policy admits; a lying factory's offers do not", "[policy][signature]")
{
    const auto acme = platform::make_signing_key(), thief = platform::make_signing_key();
    for (const bool may_be_unsigned : {false, true}) {
        const auto policy = policy_of(fmt::format("unsigned: {}\n{}", may_be_unsigned, demand(acme)));
        const auto good = sign(acme, "order-status", "1.0.0");
        CHECK(policy.admit(offer_signed({good})));
        CHECK_FALSE(policy.admit(offer_signed({})));
        CHECK_FALSE(policy.admit(offer_signed({sign(thief, "order-status", "1.0.0")})));
        CHECK_FALSE(policy.admit(offer_signed({sign(acme, "order-status", "0.9.0")})));     // replayed of another version
        CHECK_FALSE(policy.admit(offer_signed({sign(acme, "order-other", "1.0.0")})));      // of another name
        CHECK_FALSE(policy.admit(offer_signed({sign(acme, "order-statu", "s1.0.0")})));     // of the same letters, parted elsewhere
        CHECK_FALSE(policy.admit(offer_signed({sign(acme, "order-status", "1.0.0", kManifest)})));   // of other bytes
        auto swapped = good;
        swapped.manifest = kDigest;
        CHECK_FALSE(policy.admit(offer_signed({swapped})));
        auto stolen = good;
        stolen.key = thief.public_key;
        CHECK_FALSE(policy.admit(offer_signed({stolen})));
        auto renamed = sign(thief, "order-status", "1.0.0");
        renamed.key = acme.public_key;                                                      // says that it is acme's
        const auto refused = policy.admit(offer_signed({renamed}));
        REQUIRE_FALSE(refused);
        CHECK_THAT(refused.error().what, Contains("acme") && Contains(platform::fingerprint(acme.public_key)) && Contains("does not fit") && Contains("order-status 1.0.0"));
        auto other = offer_signed({good});
        other.package_digest = kManifest;                                                   // the bytes of another package
        CHECK_FALSE(policy.admit(other));
        other = offer_signed({good});
        other.package_name = "reports";                                                     // no rule names it
        CHECK_FALSE(policy.admit(other));
    }
}

TEST_CASE("two keys of a publisher count while one takes the other's place; a revoked one refuses whatever is said of unsigned ones", "[policy][signature]")
{
    const auto old_key = platform::make_signing_key(), new_key = platform::make_signing_key();
    const std::string both = fmt::format("unsigned: true\npublishers: {{ acme: [ '{}', '{}' ] }}\n", protocol::key_text(old_key.public_key), protocol::key_text(new_key.public_key));
    auto policy = policy_of(both);
    const auto by_old = sign(old_key, "order-status", "1.0.0"), by_new = sign(new_key, "order-status", "1.0.0");
    CHECK(policy.admit(offer_signed({by_old})));
    CHECK(policy.admit(offer_signed({by_new})));
    policy.revoke({platform::fingerprint(old_key.public_key)});
    CHECK_FALSE(policy.admit(offer_signed({by_old})));
    CHECK(policy.admit(offer_signed({by_new})));
    CHECK(policy.admit(offer_signed({by_old, by_new})));
    CHECK(policy.signers_of(offer_signed({by_old}))[std::size_t{0}]["standing"] == Json("revoked"));
    CHECK_FALSE(policy_of(both + fmt::format("revoked: [ '{}' ]\n", protocol::key_text(old_key.public_key))).admit(offer_signed({by_old})));
}

TEST_CASE("what was pinned at enrolment counts until policy.yaml names publishers of its own", "[policy][signature]")
{
    const auto pinned = platform::make_signing_key(), own = platform::make_signing_key();
    const agent::Publishers said{{{"acme", {pinned.public_key}}}, {}};
    auto strict = policy_of("unsigned: false\n");
    CHECK_FALSE(strict.admit(offer_signed({sign(pinned, "order-status", "1.0.0")})));
    strict.pin(said);
    CHECK(strict.admit(offer_signed({sign(pinned, "order-status", "1.0.0")})));
    CHECK_FALSE(strict.admit(offer_signed({})));
    auto owner = policy_of(fmt::format("publishers: {{ acme: '{}' }}\n", protocol::key_text(own.public_key)));
    owner.pin(said);
    CHECK_FALSE(owner.admit(offer_signed({sign(pinned, "order-status", "1.0.0")})));
    CHECK(owner.admit(offer_signed({sign(own, "order-status", "1.0.0")})));
    auto nobody = policy_of("publishers: {}\n");
    nobody.pin(said);
    CHECK_FALSE(nobody.admit(offer_signed({sign(pinned, "order-status", "1.0.0")})));
    // What the factory says was revoked counts beside both.
    owner.pin({{}, {own.public_key}});
    CHECK_FALSE(owner.admit(offer_signed({sign(own, "order-status", "1.0.0")})));
}

TEST_CASE("mistakes about publishers are said with their place", "[policy][signature]")
{
    const auto wrong = [](const std::string& yaml) {
        const auto policy = agent::parse_policy(yaml, "policy.yaml");
        return policy ? std::string() : policy.error().what;
    };
    const std::string key = protocol::key_text(std::string(32, 'k'));
    CHECK_THAT(wrong("publishers: { acme: nonsense }\n"), Contains("ed25519:BASE64") && Contains("nonsense"));
    CHECK_THAT(wrong("publishers: { acme: [] }\n"), Contains("'acme' must have one key"));
    CHECK_THAT(wrong(fmt::format("publishers: {{ acme: [ '{0}', '{0}', '{0}' ] }}\n", key)), Contains("or two"));
    CHECK_THAT(wrong("revoked: [ x ]\n"), Contains("revoked"));
    CHECK_THAT(wrong("packages: [ { name: a, signedBy: [] } ]\n"), Contains("signedBy names no publisher"));
    CHECK_THAT(wrong("packages: [ { name: a, singedBy: [ b ] } ]\n"), Contains("singedBy"));
    CHECK_THAT(wrong(fmt::format("publishers: {{ acme: '{}' }}\npackages: [ {{ name: a, signedBy: [ zeta ] }} ]\n", key)), Contains("'publishers' has no 'zeta'"));
    CHECK(wrong("packages: [ { name: a, signedBy: [ zeta ] } ]\n").empty());   // may be pinned
}

TEST_CASE("pins and revocations outlive the process, and a damaged list of them is no empty one", "[policy][signature]")
{
    const TemporaryFolder folder;
    FakeFactory factory;
    const auto key = platform::make_signing_key();
    auto identity = factory.enrolled(folder.path);
    CHECK(agent::load_policy(folder.path, "factory-1")->signing.publishers.empty());   // an agent of before
    identity.publishers = agent::read_publishers(Json::array({Json::object({{"name", "acme"}, {"keys", Json::array({protocol::key_text(key.public_key), "rsa:x"})}}), "x"}));
    REQUIRE(agent::replace_identity(folder.path, identity));
    REQUIRE(platform::write_file(folder.path + "/policy.yaml", "unsigned: true\n"));
    const auto offer = offer_signed({sign(key, "order-status", "1.0.0")});
    CHECK(agent::load_policy(folder.path, "factory-1")->signing.publishers.at("acme") == std::vector<std::string>{platform::fingerprint(key.public_key)});
    CHECK(agent::load_policy(folder.path, "factory-1")->admit(offer));
    const std::string own = folder.path + "/factories/factory-1";
    CHECK(agent::keep_revoked(own, {key.public_key})->size() == 1);
    CHECK(agent::keep_revoked(own, {key.public_key})->empty());   // said again
    CHECK_FALSE(agent::load_policy(folder.path, "factory-1")->admit(offer));
    REQUIRE(platform::write_file(own + "/revoked-keys", "ed25519:half\n"));
    CHECK(agent::load_policy(folder.path, "factory-1").error().code == Errc::corrupt);
    CHECK_FALSE(agent::keep_revoked(own, {std::string(32, 'k')}));
}

TEST_CASE("a verdict says of a signature file whose it is", "[policy][signature]")
{
    const auto key = platform::make_signing_key();
    const auto policy = policy_of(demand(key));
    const Json package = *parse_json(R"({"name":"order-status","version":"1.0.0"})");
    CHECK_FALSE(agent::judge(policy, package)->admitted());
    protocol::SignatureFile file{"order-status", "1.0.0", kDigest, {sign(key, "order-status", "1.0.0")}};
    const auto good = agent::judge(policy, package, file);
    CHECK(good->admitted());
    CHECK(good->items.front().what == "a package signed by acme");
    file.version = "2.0.0";
    CHECK_THAT(agent::judge(policy, package, file).error().what, Contains("are of order-status 2.0.0, not of order-status 1.0.0"));
}

TEST_CASE("a key that is revoked with the answer that carries the offer refuses that offer", "[link][signature]")
{
    const auto key = platform::make_signing_key();
    AgentWorld world;
    world.policy = policy_of("unsigned: true\n" + demand(key));
    world.revoked = [&](const std::set<std::string>& keys) {
        std::set<std::string> prints;
        for (const std::string& each : keys) prints.insert(platform::fingerprint(each));
        world.policy.revoke(prints);
    };
    auto offer = offer_signed({sign(key, "order-status", "1.0.0")});
    world.start_link();
    world.factory.offer(offers({to_json(offer)}));
    world.command<agent::command::Take>();
    REQUIRE(world.fetches.receive_for(10s));
    offer.id.job = "0192-next";
    world.factory.offer(offers({to_json(offer)}).set("revokedKeys", Json::array({protocol::key_text(key.public_key), "nonsense"})));
    world.command<agent::command::Take>();
    const auto end = world.command<agent::command::End>();
    CHECK(end.cause.reason == Reason::refused);
    CHECK_THAT(end.cause.why, Contains("which was revoked") && Contains(platform::fingerprint(key.public_key)));
    CHECK(end.cause.evidence["signatures"][std::size_t{0}]["publisher"] == Json("acme"));
}
