#include "factory/notify/template.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace mill::factory {
namespace {

constexpr std::array<std::string_view, 17> kMembers = {"event", "job", "trigger", "invocationContext", "input", "output", "error", "evidence", "timings",
                                                    "time", "why", "question", "agent", "credential", "delivery", "notifier", "links"};
constexpr std::string_view kSupported = "only plain paths such as .output.reply and strings with \\(.path) are supported here";

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

std::string_view trim(std::string_view text)
{
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

/// The end of the JSON string that begins at `at` (its quote), one behind the closing quote; nothing when it is open.
std::optional<std::size_t> string_end(std::string_view text, std::size_t at)
{
    for (std::size_t i = at + 1; i < text.size(); ++i) {
        if (text[i] == '\\') ++i;
        else if (text[i] == '"') return i + 1;
    }
    return std::nullopt;
}

/// SAP's spellings, as its guides write them, for notifiers that move here.
void translate(TemplatePath& path)
{
    const auto name = [&](std::size_t i) { return i < path.steps.size() ? std::get_if<std::string>(&path.steps[i]) : nullptr; };
    if (const auto* first = name(0); first && *first == "invocation_context") path.steps[0] = std::string("invocationContext");
    if (const auto *first = name(0), *second = name(1); first && second && *first == "error" && *second == "details") {
        path.steps.resize(1);
        path.steps.emplace_back(std::string("detail"));
    }
    if (const auto *first = name(0), *second = name(1); first && second && *first == "job" && *second == "monitoringURL")
        path.steps[1] = std::string("monitoringUrl");
}

std::string shown(const Json& value)
{
    if (value.is_null()) return {};
    return value.is_string() ? value.as_string() : dump_json(value);
}

}  // namespace

Json TemplatePath::in(const Json& document) const
{
    if (steps.empty() && document.contains(kEvaluated)) {
        Json whole = document;
        whole.erase(kEvaluated);
        return whole;
    }
    const Json* at = &document;
    for (const auto& step : steps) {
        if (const auto* key = std::get_if<std::string>(&step)) at = &(*at)[*key];
        else at = &(*at)[std::get<std::size_t>(step)];
    }
    return *at;
}

TemplateLanguage notification_language() { return {kMembers, true}; }

namespace {

/// One behind the `}` that closes the placeholder which begins at `open` ("${"); nothing when none does. jq's strings may hold expressions
/// that hold strings, its objects have braces of their own.
std::optional<std::size_t> placeholder_end(std::string_view text, std::size_t open)
{
    std::vector<char> inside;   // what closes what is open: '}', ')' of "\(", '"'
    inside.push_back('}');
    for (std::size_t i = open + 2; i < text.size(); ++i) {
        const char c = text[i];
        if (inside.back() == '"') {
            if (c == '"') inside.pop_back();
            else if (c == '\\' && i + 1 < text.size() && text[++i] == '(') inside.push_back(')');
        } else if (c == inside.back()) {
            inside.pop_back();
            if (inside.empty()) return i + 1;
        } else if (c == '"') {
            inside.push_back('"');
        } else if (c == '{' || c == '(') {
            inside.push_back(c == '{' ? '}' : ')');
        }
    }
    return std::nullopt;
}

TemplatePath evaluated_path(std::string_view expression)
{
    return {{std::string(kEvaluated), std::string(expression)}, std::string(expression), true};
}

/// `is_path`: it is one, though perhaps of a member that there is not; else jq may make something of it.
Result<TemplatePath> read_path(std::string_view whole, TemplateMembers members, bool& is_path)
{
    is_path = false;
    const std::string_view text = trim(whole);
    TemplatePath path;
    path.text = std::string(text);
    const auto refuse = [&](std::string_view why) { return fail(Errc::invalid, fmt::format("'{}': {}; {}", text, why, kSupported)); };
    if (text.empty()) return fail(Errc::invalid, fmt::format("an empty placeholder; {}", kSupported));
    if (text == ".") return path;
    std::size_t i = 0;
    const bool sap = is_word(text[0]);  // "output.x", "invocation_context.x": SAP writes no dot in front
    while (i < text.size()) {
        if (text[i] == '[') {
            const std::size_t open = i + 1;
            if (i == 0) return refuse("a path begins with a dot");
            if (open < text.size() && text[open] == '"') {
                const auto end = string_end(text, open);
                if (!end || *end >= text.size() || text[*end] != ']') return refuse("an open bracket");
                const auto key = parse_json(text.substr(open, *end - open));
                if (!key) return refuse("not a string in brackets");
                path.steps.emplace_back(key->as_string());
                i = *end + 1;
                continue;
            }
            const std::size_t close = text.find(']', open);
            if (close == std::string_view::npos || close == open || close - open > 6) return refuse("not an index in brackets");
            std::size_t index = 0;
            for (const char c : text.substr(open, close - open)) {
                if (c < '0' || c > '9') return refuse("not an index in brackets");
                index = index * 10 + static_cast<std::size_t>(c - '0');
            }
            path.steps.emplace_back(index);
            i = close + 1;
            continue;
        }
        if (text[i] == '.') ++i;
        else if (!(sap && i == 0)) return refuse(fmt::format("'{}' is not expected", text.substr(i)));
        if (i < text.size() && text[i] == '[' && !path.steps.empty()) continue;
        if (i < text.size() && text[i] == '"') {
            const auto end = string_end(text, i);
            const auto key = end ? parse_json(text.substr(i, *end - i)) : fail(Errc::invalid, "open");
            if (!key) return refuse("a string that is not closed");
            path.steps.emplace_back(key->as_string());
            i = *end;
            continue;
        }
        const std::size_t begin = i;
        while (i < text.size() && is_word(text[i])) ++i;
        if (begin == i || (text[begin] >= '0' && text[begin] <= '9')) return refuse("a name is expected behind the dot");
        path.steps.emplace_back(std::string(text.substr(begin, i - begin)));
    }
    is_path = true;
    translate(path);
    const auto* first = std::get_if<std::string>(&path.steps.front());
    if (!first || std::find(members.begin(), members.end(), *first) == members.end())
        return fail(Errc::invalid, fmt::format("'{}': there is no such member; known are .{}", text, fmt::join(members, ", .")));
    return path;
}

/// One string with no more in it than \(.path): what a path of a member that there is not makes wrong is wrong here, too.
bool is_plain_string(std::string_view inside, TemplateMembers members)
{
    if (string_end(inside, 0) != inside.size()) return false;
    for (std::size_t at = 1; at + 1 < inside.size(); ++at) {
        if (inside[at] != '\\') continue;
        if (inside[++at] != '(') continue;
        const std::size_t close = inside.find(')', at);
        bool is_path = false;
        if (close == std::string_view::npos || !(read_path(inside.substr(at + 1, close - at - 1), members, is_path) || is_path)) return false;
        at = close;
    }
    return true;
}

/// What stands between `${` and `}`.
Result<TemplatePath> path_or_jq(std::string_view inside, const TemplateLanguage& language)
{
    bool is_path = false;
    auto path = read_path(inside, language.members, is_path);
    if (path || is_path || !language.jq || trim(inside).empty()) return path;
    return evaluated_path(trim(inside));
}

}  // namespace

Result<TemplatePath> parse_path(std::string_view text, TemplateMembers members)
{
    bool is_path = false;
    return read_path(text, members, is_path);
}

Result<Template> Template::parse(std::string_view text, const TemplateLanguage& language)
{
    Template out;
    const auto add_text = [&](std::string_view piece) {
        if (piece.empty()) return;
        if (!out.parts_.empty())
            if (auto* last = std::get_if<std::string>(&out.parts_.back())) {
                *last += piece;
                return;
            }
        out.parts_.emplace_back(std::string(piece));
    };
    while (!text.empty()) {
        const std::size_t open = text.find("${");
        add_text(text.substr(0, open));
        if (open == std::string_view::npos) break;
        const auto end = placeholder_end(text, open);
        if (!end) return fail(Errc::invalid, fmt::format("'{}': the placeholder is not closed by '}}'", text.substr(open)));
        const std::string_view inside = trim(text.substr(open + 2, *end - open - 3));
        text.remove_prefix(*end);
        if (inside.empty() || inside.front() != '"') {
            auto path = path_or_jq(inside, language);
            if (!path) return fail(std::move(path.error()));
            out.parts_.emplace_back(std::move(*path));
            continue;
        }
        // A jq string: literal pieces and \(.path). What is more than that is jq.
        if (language.jq && !is_plain_string(inside, language.members)) {
            out.parts_.emplace_back(evaluated_path(inside));
            continue;
        }
        if (string_end(inside, 0) != inside.size()) return fail(Errc::invalid, fmt::format("'{}': {}", inside, kSupported));
        std::string literal = "\"";
        const auto flush = [&]() -> Status {
            const auto read = parse_json(literal + "\"");
            if (!read) return fail(Errc::invalid, fmt::format("'{}': not a string", inside));
            add_text(read->as_string());
            literal = "\"";
            return {};
        };
        for (std::size_t at = 1; at + 1 < inside.size(); ++at) {
            if (inside[at] != '\\' || inside[at + 1] != '(') {
                literal += inside[at];
                if (inside[at] == '\\') literal += inside[++at];
                continue;
            }
            const std::size_t close = inside.find(')', at);
            if (close == std::string_view::npos) return fail(Errc::invalid, fmt::format("'{}': \\( is not closed", inside));
            if (auto flushed = flush(); !flushed) return fail(std::move(flushed.error()));
            auto path = parse_path(inside.substr(at + 2, close - at - 2), language.members);
            if (!path) return fail(std::move(path.error()));
            out.parts_.emplace_back(std::move(*path));
            at = close;
        }
        if (auto flushed = flush(); !flushed) return fail(std::move(flushed.error()));
        // Even when it is one path only, a string is text: "\(.output)" is not .output.
        if (out.parts_.size() == 1 && std::holds_alternative<TemplatePath>(out.parts_.front())) out.parts_.emplace_back(std::string());
    }
    return out;
}

Json Template::value(const Json& document) const
{
    if (is_value()) return std::get<TemplatePath>(parts_.front()).in(document);
    return Json(text(document));
}

std::string Template::text(const Json& document) const
{
    return text(document, [](std::string_view piece) { return std::string(piece); });
}

std::string Template::text(const Json& document, std::string (*encode)(std::string_view)) const
{
    std::string out;
    for (const auto& part : parts_) {
        if (const auto* literal = std::get_if<std::string>(&part)) out += *literal;
        else out += encode(shown(std::get<TemplatePath>(part).in(document)));
    }
    return out;
}

std::string Template::json_text(const Json& document) const
{
    std::string out;
    bool quoted = false;
    for (const auto& part : parts_) {
        if (const auto* literal = std::get_if<std::string>(&part)) {
            for (std::size_t i = 0; i < literal->size(); ++i) {
                if (quoted && (*literal)[i] == '\\') ++i;
                else if ((*literal)[i] == '"') quoted = !quoted;
            }
            out += *literal;
            continue;
        }
        const Json value = std::get<TemplatePath>(part).in(document);
        if (!quoted) {
            out += dump_json(value);
            continue;
        }
        const std::string escaped = dump_json(Json(shown(value)));
        out += escaped.substr(1, escaped.size() - 2);
    }
    return out;
}

std::vector<std::string> Template::missing(const Json& document) const
{
    std::vector<std::string> out;
    for (const auto& part : parts_)
        if (const auto* path = std::get_if<TemplatePath>(&part); path && path->in(document).is_null()) out.push_back(path->text);
    return out;
}

std::vector<std::string> Template::expressions() const
{
    std::vector<std::string> out;
    for (const auto& part : parts_)
        if (const auto* path = std::get_if<TemplatePath>(&part); path && path->evaluated) out.push_back(path->text);
    return out;
}

std::string missing_words(const std::vector<std::string>& paths)
{
    return fmt::format("{} has no value", fmt::join(paths, ", "));
}

Result<Condition> Condition::parse(std::string_view whole)
{
    std::string_view text = trim(whole);
    if (!text.starts_with("${") || !text.ends_with("}")) return fail(Errc::invalid, fmt::format("'{}': a condition is written ${{ … }}", text));
    if (placeholder_end(text, 0) != text.size()) return fail(Errc::invalid, fmt::format("'{}': a condition is one ${{ … }}, with nothing beside it", text));
    text = trim(text.substr(2, text.size() - 3));
    std::size_t at = 0;
    while (at < text.size() && text.compare(at, 2, "==") != 0 && text.compare(at, 2, "!=") != 0) {
        if (text[at] == '"') at = string_end(text, at).value_or(text.size());
        else ++at;
    }
    Condition out;
    bool is_path = false;
    auto path = read_path(text.substr(0, at), kMembers, is_path);
    auto literal = at >= text.size() ? Result<Json>(true) : parse_json(trim(text.substr(at + 2)));
    if (!is_path || !literal || literal->is_array() || literal->is_object()) {
        if (text.empty()) return fail(Errc::invalid, "it is empty");
        out.path_ = evaluated_path(text);
        out.truth_ = true;
        return out;
    }
    if (!path) return fail(std::move(path.error()));
    out.path_ = std::move(*path);
    out.truth_ = at >= text.size();
    out.equal_ = out.truth_ || text[at] == '=';
    out.literal_ = std::move(*literal);
    return out;
}

bool Condition::holds(const Json& document) const
{
    const Json value = path_.in(document);
    if (truth_) return !value.is_null() && !(value.is_bool() && !value.as_bool());
    return (value == literal_) == equal_;
}

}  // namespace mill::factory
