#include "protocol/signing_rules.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "platform/base/text.h"

namespace mill::protocol {
namespace {

Json list_of(const auto& texts)
{
    Json out = Json::array();
    for (const std::string& text : texts) out.push(Json(text));
    return out;
}

std::string publisher_of(const SigningRules& rules, const std::string& key)
{
    for (const auto& [name, keys] : rules.publishers)
        if (std::find(keys.begin(), keys.end(), key) != keys.end()) return name;
    return {};
}

/// "acme (key SHA256:…)", or of a stranger "key SHA256:…".
std::string signer_words(const SigningRules& rules, const std::string& key)
{
    const std::string name = publisher_of(rules, key);
    return name.empty() ? "key " + key : fmt::format("{} (key {})", name, key);
}

}  // namespace

Json to_json(const SigningRules& rules)
{
    Json publishers = Json::object(), demands = Json::array();
    for (const auto& [name, keys] : rules.publishers) publishers.set(name, list_of(keys));
    for (const auto& demand : rules.demands) demands.push(Json::object({{"name", demand.package}, {"signedBy", list_of(demand.signed_by)}}));
    return Json::object({{"unsigned", rules.unsigned_packages}, {"publishers", std::move(publishers)}, {"revoked", list_of(rules.revoked)}, {"packages", std::move(demands)}});
}

SigningRules read_signing_rules(const Json& json)
{
    SigningRules out;
    out.unsigned_packages = json["unsigned"].as_bool();
    for (const auto& [name, keys] : json["publishers"].as_object())
        for (const Json& key : keys.as_array()) out.publishers[name].push_back(key.as_string());
    for (const Json& key : json["revoked"].as_array()) out.revoked.insert(key.as_string());
    for (const Json& demand : json["packages"].as_array()) {
        SigningRules::Demand one{demand["name"].as_string(), {}};
        for (const Json& name : demand["signedBy"].as_array()) one.signed_by.push_back(name.as_string());
        out.demands.push_back(std::move(one));
    }
    return out;
}

bool says_rules(const Json& json) { return json["unsigned"].is_bool(); }

SigningVerdict judge_signatures(const SigningRules& rules, std::string_view package, std::string_view version, const std::vector<SignedBy>& signatures, std::string_view where)
{
    SigningVerdict out;
    std::vector<std::string> revoked, broken, strangers, counted;
    for (const SignedBy& each : signatures) {
        const std::string name = publisher_of(rules, each.key);
        const bool gone = rules.revoked.contains(each.key);
        Json signer = Json::object({{"key", each.key}});
        if (!name.empty()) signer.set("publisher", name);
        out.signers.push(signer.set("standing", !each.fits ? "does_not_fit" : gone ? "revoked" : name.empty() ? "unknown" : "counts"));
        if (!each.fits) broken.push_back(signer_words(rules, each.key));
        else if (gone) revoked.push_back(signer_words(rules, each.key));
        else if (name.empty()) strangers.push_back(each.key);
        else {
            counted.push_back(signer_words(rules, each.key));
            out.publishers.push_back(name);
        }
    }
    const std::string named = fmt::format("package {} {}", package, version);
    const std::string sign = fmt::format("`millwright packages sign {}@{} --key FILE` adds a signature", package, version);
    std::string signers;
    if (!counted.empty()) signers += fmt::format("; signed by {}", fmt::join(counted, ", "));
    if (!revoked.empty()) signers += fmt::format("; signed by {}, which was revoked", fmt::join(revoked, ", "));
    if (!broken.empty()) signers += fmt::format("; the signature of {} does not fit its name, version, digest and manifest", fmt::join(broken, ", "));
    if (!strangers.empty()) signers += fmt::format("; signed by {}, which 'publishers' does not have", fmt::join(strangers, ", "));

    std::vector<std::string> words;
    for (const auto& demand : rules.demands) {
        if (!matches_pattern(demand.package, package)) continue;
        const bool met = std::any_of(out.publishers.begin(), out.publishers.end(),
                                     [&](const std::string& name) { return std::find(demand.signed_by.begin(), demand.signed_by.end(), name) != demand.signed_by.end(); });
        if (met) continue;
        out.by = "packages";
        words.push_back(fmt::format("{} has to be signed by {} ('packages' of {}, {}){}; {}", named, fmt::join(demand.signed_by, " or "), where, demand.package,
                                              signers.empty() ? "; nobody signed it" : signers, sign));
    }
    if (words.empty() && out.publishers.empty()) {
        // A key that was revoked, a signature that fits nothing: no accident, whatever is said of unsigned ones.
        if (!revoked.empty() || !broken.empty()) {
            out.by = broken.empty() ? "revoked" : "signature";
            words.push_back(fmt::format("{} is not admitted by {}{}; {}", named, where, signers, sign));
        } else if (!rules.unsigned_packages) {
            out.by = "unsigned";
            words.push_back(signatures.empty() ? fmt::format("{} is not signed, and {} does not say 'unsigned: true'", named, where)
                                               : fmt::format("{} is signed by no publisher that {} knows, nor does that say 'unsigned: true'{}", named, where, signers));
        }
    }
    out.refused = fmt::format("{}", fmt::join(words, "; "));
    return out;
}

}  // namespace mill::protocol
