#include "agent/masked_event.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

namespace mill::agent {
namespace {

constexpr std::size_t kLongestMark = 64;

/// Words of the contract and of the package, which no secret gets into; a credential may well be called "completed".
bool is_fixed(std::string_view name)
{
    constexpr std::string_view kFixedNames[] = {"state", "reason", "level", "kind", "task", "name", "type", "startedAt"};
    return std::find(std::begin(kFixedNames), std::end(kFixedNames), name) != std::end(kFixedNames);
}

std::string masked_text(std::string_view text, const Redactor& redactor)
{
    const auto mark = text.ends_with(']') ? text.rfind(protocol::kCutMark) : std::string_view::npos;
    if (mark == std::string_view::npos || text.size() - mark > kLongestMark) return redactor.apply(text);
    RedactedStream stream(redactor);
    std::string out = stream.add(text.substr(0, mark));
    out += stream.end(RedactedStream::Ends::cut);
    return out.append(text.substr(mark));
}

/// Recursion is bounded by the depth of what was parsed.
Json masked_value(const Json& value, const Redactor& redactor)
{
    if (value.is_string()) return Json(masked_text(value.as_string(), redactor));
    if (value.is_array()) {
        Json out = Json::array();
        for (const Json& item : value.as_array()) out.push(masked_value(item, redactor));
        return out;
    }
    if (value.is_object()) {
        Json out = Json::object();
        for (const auto& [key, item] : value.as_object()) out.set(redactor.apply(key), masked_value(item, redactor));
        return out;
    }
    return value;
}

}  // namespace

Json masked(const Json& value, const Redactor& redactor) { return redactor.empty() ? value : masked_value(value, redactor); }

void mask_event(protocol::Event& event, const Redactor& redactor)
{
    if (redactor.empty()) return;
    Json body = Json::object();
    for (const auto& [name, value] : event.body.as_object()) {
        const bool output = event.kind == protocol::EventKind::state && name == "output";
        body.set(name, output || is_fixed(name) ? value : masked_value(value, redactor));
    }
    event.body = std::move(body);
}

}  // namespace mill::agent
