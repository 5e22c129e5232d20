// Publishers' signatures of packages: kept with the version, given with every offer; which keys were revoked, told to agents.
#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "factory/core/signing.h"
#include "platform/fingerprint.h"
#include "protocol/canary.h"
#include "protocol/signing_rules.h"

namespace mill::factory::core {

void CoreImpl::sign_package(std::string name, std::string version, std::vector<protocol::PackageSignature> signatures, Who who, Done<PackageRecord> done)
{
    queue_.submit<PackageRecord>(std::move(done), [=, this]() -> Result<PackageRecord> {
        auto package = writer_.read().package(name, version);
        if (!package) return fail(package.error());
        const std::string subject = name + "@" + version;
        if (name == protocol::kCanaryName) return fail(Errc::conflict, fmt::format("package '{}' is the factory's own", name));
        const auto known = writer_.read().signatures(package->digest);
        if (!known) return fail(known.error());
        Json keys = Json::array();
        for (const auto& each : signatures) {
            if (std::any_of(known->begin(), known->end(), [&](const SignatureRecord& other) { return other.signature.key == each.key; })) continue;
            if (known->size() + keys.size() >= protocol::kMostSignatures)
                return fail(Errc::conflict, fmt::format("package '{}' has {} signatures, and may have {}", subject, known->size(), protocol::kMostSignatures));
            if (auto ok = writer_.put_signature({package->digest, each, clock_.now(), who.name}); !ok) return fail(ok.error());
            keys.push(platform::fingerprint(each.key));
        }
        if (keys.empty()) return std::move(*package);
        const Json detail = Json::object({{"keys", std::move(keys)}});
        if (auto ok = audit(who, "sign", "Package", subject, detail); !ok) return fail(ok.error());
        if (auto ok = feed({.time = clock_.now(), .kind = "package", .subject = subject, .what = "signed", .agent = {}, .reason = {}, .detail = detail}); !ok)
            return fail(ok.error());
        documents_changed();
        return std::move(*package);
    });
}

Result<std::vector<protocol::PackageSignature>> CoreImpl::signatures_of(const std::string& digest)
{
    if (const auto found = signatures_.find(digest); found != signatures_.end()) return found->second;
    const auto read = writer_.read().signatures(digest);
    if (!read) return fail(read.error());
    std::vector<protocol::PackageSignature> out;
    for (const SignatureRecord& each : *read) out.push_back(each.signature);
    constexpr std::size_t most = 1000;   // digests: read again where needed
    if (signatures_.size() >= most) signatures_.clear();
    return signatures_[digest] = std::move(out);
}

const std::vector<Document>& CoreImpl::publishers()
{
    if (!publishers_) {
        auto read = writer_.read().documents("Publisher");
        publishers_ = read ? std::move(*read) : std::vector<Document>{};
    }
    return *publishers_;
}

Json CoreImpl::revoked_keys()
{
    Json out = Json::array();
    for (const Document& publisher : publishers())
        for (const Json& key : publisher.spec["revoked"].as_array()) out.push(key);
    return out;
}

/// What `requireSigned` of the deployment's environment says against the version; empty: nothing.
Result<std::string> CoreImpl::unsigned_words(const Document& deployment, const PackageRecord& package)
{
    const auto environment = writer_.read().document("Environment", deployment.spec["environment"].as_string());
    if (!environment) return environment.error().code == Errc::not_found ? Result<std::string>(std::string()) : fail(environment.error());
    if (environment->spec["requireSigned"].empty()) return std::string();
    const auto signatures = writer_.read().signatures(package.digest);
    if (!signatures) return fail(signatures.error());
    return why_not_signed(environment->spec, publishers(), *signatures, package.name + "@" + package.version);
}

/// What an agent says of its policy.yaml, held against the version: why it would refuse it, empty when it would not or does not say.
std::string CoreImpl::refusal_by(const Agent& agent, const std::string& name, const std::string& version, const std::string& digest)
{
    const Json& said = agent.record.facts["policy"];
    if (!protocol::says_rules(said) || digest == protocol::kCanaryDigest) return {};
    const auto signatures = signatures_of(digest);
    if (!signatures) return {};
    protocol::SigningRules rules = protocol::read_signing_rules(said);
    for (const std::string& key : revoked_prints(publishers())) rules.revoked.insert(key);
    std::vector<protocol::SignedBy> signers;
    for (const auto& each : *signatures) signers.push_back({platform::fingerprint(each.key)});
    return protocol::judge_signatures(rules, name, version, signers, fmt::format("policy.yaml of {}", agent.record.name)).refused;
}

}  // namespace mill::factory::core
