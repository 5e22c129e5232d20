#include "factory/api/etag.h"

#include <fmt/format.h>

#include "factory/resources/resource.h"

namespace mill::factory {

std::string etag_of(const Document& document)
{
    return fmt::format("\"{}-{}{}{}\"", document.uid, document.generation, document.source.empty() ? "" : "-", document.source);
}

bool tag_in(std::string_view list, std::string_view tag, bool weak)
{
    while (!list.empty()) {
        const auto comma = list.find(',');   // our own tags hold none
        auto one = list.substr(0, comma);
        list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
        while (!one.empty() && (one.front() == ' ' || one.front() == '\t')) one.remove_prefix(1);
        while (!one.empty() && (one.back() == ' ' || one.back() == '\t')) one.remove_suffix(1);
        if (one == "*") return true;
        if (weak && one.starts_with("W/")) one.remove_prefix(2);
        if (one == tag) return true;
    }
    return false;
}

bool preconditions_hold(const Call& call, const std::optional<Document>& stored, const Json& sent)
{
    const auto match = call.http.header("if-match"), none_match = call.http.header("if-none-match");
    const std::string tag = stored ? etag_of(*stored) : std::string();
    if (!match.empty() && !stored) {
        reply_problem(call, 412, fmt::format("'{}' is not there: If-Match holds for what is there", call["name"]), "changed");
        return false;
    }
    if (!match.empty() && !tag_in(match, tag, false)) {
        Json more = Json::object({{"etag", Json(tag)}, {"changedBy", Json(stored->changed_by)}, {"changedAt", Json(format_time(stored->changed))}});
        if (!sent.is_null()) more.set("differences", differences(stored->spec, sent));
        reply_problem(call, 412, fmt::format("{} '{}' is not what If-Match names: {} changed it at {}; get it again, look, and send again", stored->kind, stored->name, stored->changed_by,
                                             format_time(stored->changed)), "changed", more, {{"ETag", tag}});
        return false;
    }
    if (!none_match.empty() && stored && tag_in(none_match, tag, true)) {
        reply_problem(call, 412, fmt::format("{} '{}' is there already, made by {}", stored->kind, stored->name, stored->changed_by), "changed", {}, {{"ETag", tag}});
        return false;
    }
    return true;
}

}  // namespace mill::factory
