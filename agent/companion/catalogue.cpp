#include "agent/companion/catalogue.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "platform/base/result.h"

namespace mill::companion {
namespace {

struct Row {
    std::string_view key, english, german;
};

constexpr Row kTexts[] = {
#include "agent/companion/catalogue_table.inc"
};
static_assert(std::is_sorted(std::begin(kTexts), std::end(kTexts), [](const Row& a, const Row& b) { return a.key < b.key; }));

const Row* find(std::string_view key)
{
    const Row* row = std::lower_bound(std::begin(kTexts), std::end(kTexts), key, [](const Row& each, std::string_view wanted) { return each.key < wanted; });
    return row != std::end(kTexts) && row->key == key ? row : nullptr;
}

}  // namespace

Language language_of(std::string_view locale)
{
    const std::string_view name = locale.substr(0, locale.find_first_of("_.-@:"));
    return name == "de" || name == "DE" ? Language::german : Language::english;
}

Language session_language()
{
    for (const char* name : {"LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"})
        if (const char* value = std::getenv(name); value != nullptr && *value != '\0') return language_of(value);
    return Language::english;
}

std::string say(Language language, std::string_view key, std::initializer_list<Argument> arguments)
{
    const Row* row = find(key);
    check(row != nullptr, fmt::format("the catalogue has no text '{}'", key));
    std::string_view rest = language == Language::german ? row->german : row->english;
    std::string out;
    while (true) {
        const std::size_t open = rest.find('{'), close = open == rest.npos ? open : rest.find('}', open);
        out += rest.substr(0, close == rest.npos ? rest.size() : open);
        if (close == rest.npos) return out;
        const std::string_view name = rest.substr(open + 1, close - open - 1);
        const auto* given = std::find_if(arguments.begin(), arguments.end(), [&](const Argument& each) { return each.name == name; });
        out += given == arguments.end() ? rest.substr(open, close - open + 1) : given->value;
        rest.remove_prefix(close + 1);
    }
}

std::string why_not(Language language, const Json& refusal)
{
    const std::string &code = refusal["code"].as_string(), &by = refusal["by"].as_string(), &detail = refusal["detail"].as_string();
    const std::string key = "why." + code;
    if (!by.empty() && find(key + ".by") != nullptr) return say(language, key + ".by", {{"by", by}});
    return find(key) == nullptr ? detail : say(language, key, {{"why", detail}});
}

std::string say_count(Language language, std::string_view key, std::size_t count)
{
    const std::string number = std::to_string(count);
    return say(language, fmt::format("{}.{}", key, count == 1 ? "one" : "many"), {{"count", number}});
}

}  // namespace mill::companion
