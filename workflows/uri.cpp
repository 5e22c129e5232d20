#include "workflows/uri.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/encode.h"

namespace mill::workflows {

Result<std::string> expand_uri(std::string_view uri, const Json& data)
{
    std::string out;
    while (!uri.empty()) {
        const std::size_t open = uri.find('{');
        out += uri.substr(0, open);
        if (open == std::string_view::npos) break;
        const std::size_t close = uri.find('}', open);
        const std::string_view name = close == std::string_view::npos ? std::string_view() : uri.substr(open + 1, close - open - 1);
        const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
        if (!plain) return fail(Errc::invalid, fmt::format("'{}' is no URI template: only {{name}} is", uri.substr(open, 40)));
        const Json* value = data.find(name);
        if (value == nullptr || value->is_null()) return fail(Errc::invalid, fmt::format("the endpoint names {{{}}}, which the task's input does not have", name));
        if (value->is_object() || value->is_array()) return fail(Errc::invalid, fmt::format("{{{}}} in the endpoint is an {}: only text, numbers and booleans fit", name, value->kind_name()));
        out += percent_encode(value->is_string() ? value->as_string() : dump_json(*value));
        uri = uri.substr(close + 1);
    }
    return out;
}

}  // namespace mill::workflows
