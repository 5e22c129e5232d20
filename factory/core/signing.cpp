// What Publishers and requireSigned mean, from values alone.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/core/signing.h"
#include "platform/fingerprint.h"
#include "protocol/signature.h"

namespace mill::factory {

namespace {

bool names_key(const Json& list, const std::string& text)
{
    const auto& keys = list.as_array();
    return std::any_of(keys.begin(), keys.end(), [&](const Json& key) { return key.as_string() == text; });
}

}  // namespace

std::string publisher_of(const std::vector<Document>& publishers, const std::string& key)
{
    const std::string text = protocol::key_text(key);
    for (const Document& publisher : publishers)
        if (names_key(publisher.spec["revoked"], text)) return {};
    for (const Document& publisher : publishers)
        if (names_key(publisher.spec["keys"], text)) return publisher.name;
    return {};
}

std::set<std::string> revoked_prints(const std::vector<Document>& publishers)
{
    std::set<std::string> out;
    for (const Document& publisher : publishers)
        for (const Json& text : publisher.spec["revoked"].as_array())
            if (const auto key = protocol::parse_key(text.as_string())) out.insert(platform::fingerprint(*key));
    return out;
}

std::string why_not_signed(const Json& environment, const std::vector<Document>& publishers, const std::vector<SignatureRecord>& signatures, const std::string& named)
{
    std::vector<std::string> demanded, others;
    for (const Json& name : environment["requireSigned"].as_array()) demanded.push_back(name.as_string());
    if (demanded.empty()) return {};
    const std::set<std::string> revoked = revoked_prints(publishers);
    for (const SignatureRecord& each : signatures) {
        const std::string name = publisher_of(publishers, each.signature.key), print = platform::fingerprint(each.signature.key);
        if (!name.empty() && std::find(demanded.begin(), demanded.end(), name) != demanded.end()) return {};
        others.push_back(!name.empty() ? fmt::format("{} (key {})", name, print) : fmt::format("key {}{}", print, revoked.contains(print) ? ", which was revoked" : ", which no Publisher has"));
    }
    return fmt::format("package '{}' has to be signed by {} (requireSigned of environment '{}'); {}: `millwright packages sign {} --key FILE`", named, fmt::join(demanded, " or "),
                       environment["name"].as_string(), others.empty() ? std::string("nobody signed it") : fmt::format("signed by {}", fmt::join(others, ", ")), named);
}

}  // namespace mill::factory
