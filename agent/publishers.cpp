#include "agent/publishers.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/log.h"
#include "platform/crypto.h"
#include "platform/files.h"
#include "platform/fingerprint.h"

namespace mill::agent {
namespace {

std::string revoked_path(const std::string& folder) { return folder + "/revoked-keys"; }

/// One key a line.
Result<std::set<std::string>> revoked_in(const std::string& folder)
{
    std::set<std::string> out;
    const std::string path = revoked_path(folder);
    auto text = platform::read_file(path, 128 * 1024);
    if (!text && text.error().code == Errc::not_found) return out;
    if (!text) return fail(path, std::move(text.error()));
    for (std::string_view rest = *text; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        if (line.empty()) continue;
        auto key = protocol::parse_key(line);
        if (!key) return fail(Errc::corrupt, fmt::format("{}: {}", path, key.error().what));   // a key that is missing here would count again
        out.insert(std::move(*key));
    }
    return out;
}

}  // namespace

std::set<std::string> read_revoked(const Json& list)
{
    std::set<std::string> out;
    for (const Json& text : list.as_array())
        if (auto key = protocol::parse_key(text.as_string()); key && out.size() < kMostRevoked) out.insert(std::move(*key));
    return out;
}

Publishers read_publishers(const Json& list)
{
    Publishers out;
    for (const Json& item : list.as_array()) {
        out.revoked.merge(read_revoked(item["revoked"]));
        const std::string& name = item["name"].as_string();
        if (name.empty() || name.size() > 100 || out.keys.size() >= kMostPublishers) continue;
        for (const std::string& key : read_revoked(item["keys"])) out.keys[name].push_back(key);
    }
    return out;
}

Json to_json(const Publishers& publishers)
{
    Json out = Json::array(), revoked = Json::array();
    for (const std::string& key : publishers.revoked) revoked.push(protocol::key_text(key));
    for (const auto& [name, keys] : publishers.keys) {
        Json list = Json::array();
        for (const std::string& key : keys) list.push(protocol::key_text(key));
        out.push(Json::object({{"name", name}, {"keys", std::move(list)}}));
    }
    if (!revoked.empty()) out.push(Json::object({{"revoked", std::move(revoked)}}));
    return out;
}

Result<Publishers> pinned_publishers(const std::string& folder)
{
    Publishers out;
    const std::string path = folder + "/agent.json";
    if (auto text = platform::read_file(path, 1024 * 1024); text) {
        auto json = parse_json(*text);
        if (!json) return fail(path, std::move(json.error()));
        out = read_publishers((*json)["publishers"]);
    } else if (text.error().code != Errc::not_found) {
        return fail(path, std::move(text.error()));
    }
    auto revoked = revoked_in(folder);
    if (!revoked) return fail(std::move(revoked.error()));
    out.revoked.merge(std::move(*revoked));
    return out;
}

Result<std::set<std::string>> keep_revoked(const std::string& folder, const std::set<std::string>& keys)
{
    auto known = revoked_in(folder);
    if (!known) return known;
    std::set<std::string> fresh;
    std::set_difference(keys.begin(), keys.end(), known->begin(), known->end(), std::inserter(fresh, fresh.end()));
    if (fresh.empty()) return fresh;
    if (known->size() + fresh.size() > kMostRevoked) return fail(Errc::too_large, fmt::format("{}: more than {} keys", revoked_path(folder), kMostRevoked));
    std::string text;
    known->insert(fresh.begin(), fresh.end());
    for (const std::string& key : *known) text += protocol::key_text(key) + "\n";
    if (auto done = platform::write_file(revoked_path(folder), text, 0600); !done) return fail(revoked_path(folder), std::move(done.error()));
    return fresh;
}

std::vector<protocol::SignedBy> signers_of(const protocol::Offer& offer)
{
    std::vector<protocol::SignedBy> out;
    for (const protocol::PackageSignature& each : offer.signatures) {
        const std::string said = protocol::package_statement(offer.package_name, offer.package_version, offer.package_digest, each.manifest);
        out.push_back({platform::fingerprint(each.key), platform::verify(each.key, said, each.bytes)});
    }
    return out;
}

}  // namespace mill::agent
