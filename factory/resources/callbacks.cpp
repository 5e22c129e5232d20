#include "factory/resources/callbacks.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/resources/resource.h"
#include "platform/base/text.h"
#include "platform/http_client.h"

namespace mill::factory {
namespace {

constexpr std::size_t kMostCallbacks = 20, kLongestAddress = 2000;

bool same_origin(const platform::Uri& a, const platform::Uri& b) { return a.scheme == b.scheme && a.host == b.host && a.port == b.port; }

std::string target_of(const platform::Uri& uri) { return uri.query.empty() ? uri.path : uri.path + "?" + uri.query; }

/// Segments that a receiver may resolve to another place than the one that was compared.
bool has_detour(std::string_view path)
{
    const std::string lower = lower_case(path);
    return lower.find("..") != std::string::npos || lower.find("%2e") != std::string::npos || lower.find("//") != std::string::npos || lower.find('\\') != std::string::npos ||
           lower.find("%2f") != std::string::npos || lower.find("%5c") != std::string::npos;
}

}  // namespace

void read_callbacks(Fields& fields, Json& out)
{
    Json list = Json::array();
    for (const std::string& text : fields.texts("callbacks")) {
        const auto uri = platform::parse_uri(text);
        if (!uri || text.size() > kLongestAddress || uri->host.find('*') != std::string::npos || text.find('?') != std::string::npos || has_detour(uri->path))
            fields.mistake("callbacks", fmt::format("has '{}', expected an address such as https://tickets.example.com/hooks/*, with * in its path only", text));
        list.push(Json(text));
    }
    if (list.size() > kMostCallbacks) fields.mistake("callbacks", fmt::format("has more than {}", kMostCallbacks));
    const std::string secret = fields.text("callbackSecret", "");
    if (!secret.empty() && !is_name(secret))   // it may be the secret itself: it is not repeated
        fields.mistake("callbackSecret", "names a credential of kind hmac; the secret itself does not stand in a document");
    if (!secret.empty() && list.empty()) fields.mistake("callbackSecret", "is of no use without 'callbacks'");
    if (!list.empty()) out.set("callbacks", std::move(list));
    if (!secret.empty()) out.set("callbackSecret", Json(secret));
}

std::string callback_mistake(const Json& trigger, std::string_view url)
{
    const auto& allowed = trigger["callbacks"].as_array();
    if (allowed.empty()) return fmt::format("is not taken: trigger '{}' has no 'callbacks'", trigger["name"].as_string());
    const auto uri = platform::parse_uri(url);
    if (url.size() > kLongestAddress || !uri) return uri ? fmt::format("is longer than {} bytes", kLongestAddress) : uri.error().what;
    const bool plain = url.find("${") == std::string_view::npos;   // it is sent to as it stands, and no template
    const bool fits = plain && !has_detour(uri->path) && std::any_of(allowed.begin(), allowed.end(), [&](const Json& each) {
        const auto pattern = platform::parse_uri(each.as_string());
        return pattern && same_origin(*pattern, *uri) && matches_pattern(target_of(*pattern), target_of(*uri));
    });
    if (fits) return {};
    std::vector<std::string> texts;
    for (const Json& each : allowed) texts.push_back(each.as_string());
    return fmt::format("is not one that trigger '{}' allows: {}", trigger["name"].as_string(), fmt::join(texts, ", "));
}

}  // namespace mill::factory
