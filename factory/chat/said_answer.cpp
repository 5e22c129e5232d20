#include "factory/chat/said_answer.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "platform/base/text.h"

namespace mill::factory {
namespace {

constexpr std::array<std::string_view, 15> kYes{"yes", "y", "yep", "ok", "okay", "approve", "approved", "ja", "oui", "si", "sí", "sim", "+1", ":+1:", "👍"};
constexpr std::array<std::string_view, 13> kNo{"no", "n", "nope", "reject", "rejected", "refuse", "refused", "nein", "non", "não", "-1", ":-1:", "👎"};
constexpr std::size_t kMarkLength = 4, kWordsShown = 20;

std::string_view bare(std::string_view text)
{
    const auto drop = [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; };
    while (!text.empty() && drop(text.front())) text.remove_prefix(1);
    while (!text.empty() && drop(text.back())) text.remove_suffix(1);
    return text;
}

std::optional<bool> word_of(std::string_view text)
{
    text = bare(text);
    while (text.size() > 1 && (text.back() == '.' || text.back() == '!')) text.remove_suffix(1);
    const std::string word = lower_case(text);
    if (std::find(kYes.begin(), kYes.end(), word) != kYes.end()) return true;
    if (std::find(kNo.begin(), kNo.end(), word) != kNo.end()) return false;
    return std::nullopt;
}

/// The member that a form of one member has; null: it has several, or none.
const std::string* only_member(const Json& schema)
{
    const Json& properties = schema["properties"];
    return schema["type"].as_string() == "object" && properties.size() == 1 ? &properties.as_object().begin()->first : nullptr;
}

std::vector<std::string> words_of(const Json& schema)
{
    std::vector<std::string> out;
    for (const Json& one : schema["enum"].as_array()) out.push_back(one.is_string() ? one.as_string() : dump_json(one));
    return out;
}

tl::unexpected<Error> not_that(const Json& schema) { return fail(Errc::invalid, expected_words(schema)); }

Result<SaidAnswer> read_plain(std::string_view text, const Json& schema)
{
    text = bare(text);
    const std::string& type = schema["type"].as_string();
    if (type == "boolean") {
        auto said = read_yes_or_no(text);
        if (!said) return not_that(schema);
        return std::move(*said);
    }
    if (schema["enum"].is_array()) {
        for (const Json& one : schema["enum"].as_array())
            if (lower_case(one.is_string() ? one.as_string() : dump_json(one)) == lower_case(text)) return SaidAnswer{one, {}};
        return not_that(schema);
    }
    if (type == "integer" || type == "number") {
        const auto number = parse_json(text);
        if (!number || !number->is_number() || (type == "integer" && !number->is_integer())) return not_that(schema);
        return SaidAnswer{*number, {}};
    }
    if (type == "string" || schema.is_null() || type.empty()) {
        if (text.empty()) return not_that(schema);
        return SaidAnswer{Json(text), {}};
    }
    return not_that(schema);
}

}  // namespace

std::string take_mark(std::string& text)
{
    const std::string_view rest = bare(text);
    if (rest.size() <= kMarkLength || rest.front() != '#') return {};
    std::string mark = lower_case(rest.substr(1, kMarkLength));
    const std::string_view behind = rest.substr(1 + kMarkLength);
    const bool hex = std::all_of(mark.begin(), mark.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
    if (!hex || (!behind.empty() && behind.front() != ' ' && behind.front() != ':' && behind.front() != '\n')) return {};
    text = std::string(bare(behind.empty() ? behind : behind.substr(1)));
    return mark;
}

std::optional<SaidAnswer> read_yes_or_no(std::string_view text)
{
    if (const auto word = word_of(text)) return SaidAnswer{*word, {}};
    // "no: too dear" says why. "no idea" is no answer.
    const auto end = text.find_first_of(",:;\n");
    if (end == std::string_view::npos || end == 0) return std::nullopt;
    const auto word = word_of(text.substr(0, end));
    if (!word) return std::nullopt;
    return SaidAnswer{*word, std::string(bare(text.substr(end + 1)))};
}

Result<SaidAnswer> read_answer(std::string_view text, const Json& schema)
{
    const std::string* member = only_member(schema);
    if (member == nullptr) return read_plain(text, schema);
    auto said = read_plain(text, schema["properties"][*member]);
    if (said) said->value = Json::object({{*member, std::move(said->value)}});
    return said;
}

std::string expected_words(const Json& schema)
{
    if (const std::string* member = only_member(schema)) return expected_words(schema["properties"][*member]);
    const std::string& type = schema["type"].as_string();
    if (type == "boolean") return "yes or no (\"no: why\" says why)";
    if (schema["enum"].is_array()) {
        auto words = words_of(schema);
        const bool more = words.size() > kWordsShown;
        if (more) words.resize(kWordsShown);
        return fmt::format("one of {}{}", fmt::join(words, ", "), more ? ", …" : "");
    }
    if (type == "integer") return "a whole number";
    if (type == "number") return "a number";
    if (type == "string" || type.empty()) return "a text";
    return "a form of several fields, which cannot be filled in here";
}

}  // namespace mill::factory
