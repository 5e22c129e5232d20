#include "agent/runner/reveal.h"

#include <algorithm>
#include <string_view>

#include <fmt/core.h>

#include "protocol/secrets.h"

namespace mill::runner {
namespace {

constexpr std::string_view kBegins = "\xEE\x80\x80", kEnds = "\xEE\x80\x81";

tl::unexpected<workflows::Fault> not_for_this(std::string detail) { return tl::unexpected(fault("authorization", 403, "Secret not for this", std::move(detail))); }

/// Calls `found` for the inside of each handle, `plain` for what stands around them. False: one has no end.
template <class Found, class Plain> bool each_handle(std::string_view text, Found found, Plain plain)
{
    for (;;) {
        const auto begin = text.find(kBegins);
        plain(text.substr(0, begin));
        if (begin == std::string_view::npos) return true;
        const auto end = text.find(kEnds, begin);
        if (end == std::string_view::npos) return false;
        found(text.substr(begin + kBegins.size(), end - begin - kBegins.size()));
        text.remove_prefix(end + kEnds.size());
    }
}

bool mentions_secret(const Json& value)
{
    if (value.is_string()) return value.as_string().find(kBegins) != std::string::npos;
    for (const Json& item : value.as_array())
        if (mentions_secret(item)) return true;
    for (const auto& [key, item] : value.as_object())
        if (key.find(kBegins) != std::string::npos || mentions_secret(item)) return true;
    return false;
}

Json masked_json(const Json& value, const Redactor& masks, std::size_t& count)
{
    // Recursion is bounded by the depth of what was parsed.
    if (value.is_string()) return Json(masks.apply(value.as_string(), count));
    if (value.is_array()) {
        Json out = Json::array();
        for (const Json& item : value.as_array()) out.push(masked_json(item, masks, count));
        return out;
    }
    if (value.is_object()) {
        Json out = Json::object();
        for (const auto& [key, item] : value.as_object()) out.set(masks.apply(key, count), masked_json(item, masks, count));
        return out;
    }
    return value;
}

}  // namespace

Outcome<std::vector<std::string>> secrets_of_command(const Json& with)
{
    std::vector<std::string> out;
    for (const auto& [member, value] : with.as_object()) {
        if (member == "environment" || member == "stdin" || !mentions_secret(value)) continue;
        return not_for_this(fmt::format("a secret in '{}' of a command would be seen in the list of processes and in files: hand it over in 'environment' or 'stdin'", member));
    }
    const Json& said = with["reveal"];
    bool whole = true;
    std::string unsaid;
    const auto look = [&](const std::string& text) {
        whole = each_handle(text, [&](std::string_view handle) {
            const Json name(handle.substr(0, handle.find('.')));
            const auto& names = said.as_array();
            if (std::find(names.begin(), names.end(), name) == names.end()) unsaid = name.as_string();
            if (std::find(out.begin(), out.end(), handle) == out.end()) out.emplace_back(handle);
        }, [](std::string_view) {}) && whole;
    };
    for (const auto& [name, value] : with["environment"].as_object()) {
        if (name.find(kBegins) != std::string::npos) return not_for_this("a secret cannot be the name of a variable of the environment");
        if (!value.is_string() && mentions_secret(value)) return not_for_this("a secret in the environment stands in a text");
        if (value.is_string()) look(value.as_string());
    }
    if (with["stdin"].is_string()) look(with["stdin"].as_string());
    if (!whole) return tl::unexpected(fault("validation", 400, "Bad secret", "a secret's handle was cut: join and hand on secrets, but do not take parts of them"));
    if (!unsaid.empty())
        return not_for_this(fmt::format("the command would be given the secret '{0}', which its task does not say: metadata: {{ reveal: [ {0} ] }} at the task, and permissions: {{ reveal: [ {0} ] }} in package.yaml",
                                        unsaid.substr(0, 200)));
    return out;
}

Outcome<void> put_in(CommandRequest& request, const Json& values, Redactor& masks)
{
    const std::string* missing = nullptr;
    const auto filled = [&](std::string& text) {
        std::string out;
        each_handle(text, [&](std::string_view handle) {
            const Json* value = values.find(handle);
            if (value == nullptr || !value->is_string()) {
                missing = &text;
                return;
            }
            out += value->as_string();
            const auto dot = handle.find('.');
            const std::string name(handle.substr(0, dot)), field(dot == std::string_view::npos ? "" : handle.substr(dot + 1));
            protocol::each_secret(Json::object({{name, Json::object({{field, *value}})}}), [&](const std::string&, const std::string&, const std::string& text_of) { masks.add(text_of); });
        }, [&](std::string_view plain) { out += plain; });
        text = std::move(out);
    };
    for (auto& [name, text] : request.environment) {
        filled(text);
        if (text.find('\0') != std::string::npos)
            return tl::unexpected(fault("configuration", 400, "Bad credential", fmt::format("the secret for '{}' holds a zero byte, which no environment can hold: hand it over in stdin", name.substr(0, 200))));
    }
    filled(request.input);
    if (missing != nullptr) return tl::unexpected(fault("runtime", 500, "Secret not given", "the broker did not give every secret that the command needs"));
    return {};
}

Outcome<Json> masked(Outcome<Json> outcome, const Redactor& masks, std::size_t& count)
{
    if (masks.empty()) return outcome;
    if (outcome) return masked_json(*outcome, masks, count);
    outcome.error().title = masks.apply(outcome.error().title, count);
    outcome.error().detail = masks.apply(outcome.error().detail, count);
    return outcome;
}

}  // namespace mill::runner
