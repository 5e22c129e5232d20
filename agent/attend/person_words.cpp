#include "agent/attend/person_words.h"

#include <fmt/format.h>

#include "platform/base/printable.h"

namespace mill::agent {
namespace {

using companion::Language;
using companion::say;

constexpr std::size_t kMostRows = 200;

std::string title_of(const Json& value)
{
    for (const char* member : {"title", "text", "trigger", "job"})
        if (const std::string& text = value[member].as_string(); !text.empty()) return one_line(text);
    return "?";
}

std::string words_of(const Item& item, Language language)
{
    const Json& value = item.value;
    switch (item.kind) {
    case Item::Kind::running: {
        std::string out = item.title;
        if (value["mine"].as_bool()) out += ", " + say(language, "running.mine");
        else if (!value["for"].as_string().empty()) out += ", " + say(language, "running.for", {{"who", one_line(value["for"].as_string())}});
        const std::string& state = value["state"].as_string();
        if (state == "waiting" || state == "cancelling") out += ": " + say(language, "state." + state);
        else if (value["progress"]["percent"].is_number()) out += ": " + say(language, "running.percent", {{"percent", std::to_string(value["progress"]["percent"].as_integer())}});
        return out;
    }
    case Item::Kind::consent: return say(language, "notify.consent", {{"asker", one_line(value["asker"].as_string())}, {"title", item.title}});
    case Item::Kind::question: return fmt::format("{}: {}", item.title, one_line(value["text"].as_string()));
    case Item::Kind::tell: return fmt::format("{}: {}", item.title, one_line(value["text"].as_string()));
    case Item::Kind::launchable:
        return item.title + (value["unavailable"].as_string().empty() ? value["offline"].as_bool() ? " (" + say(language, "launch.offline") + ")" : "" : ": " + one_line(value["unavailable"].as_string()));
    }
    return item.title;
}

}  // namespace

std::vector<Item> items_of(const Json& person)
{
    std::vector<Item> out;
    for (const auto& [list, kind] : {std::pair<const char*, Item::Kind>("running", Item::Kind::running), {"consents", Item::Kind::consent}, {"questions", Item::Kind::question},
                                     {"tells", Item::Kind::tell}, {"launchable", Item::Kind::launchable}})
        for (const Json& value : person[list].as_array())
            if (out.size() < kMostRows) out.push_back({kind, value, title_of(value)});
    return out;
}

std::string text_of(const Json& person, const std::vector<Item>& items, Language language)
{
    const Json& agent = person["agent"];
    std::string out = "\n" + say(language, "agent.of", {{"agent", one_line(agent["name"].as_string())}, {"user", one_line(person["user"].as_string())}}) + "; ";
    const bool online = agent["state"].as_string() == "online";
    out += say(language, online ? "agent.online" : "agent.offline.why", {{"factory", one_line(agent["factory"].as_string())}, {"why", one_line(agent["why"].as_string())}}) + "\n";
    if (!person["paused"].is_null())
        out += (person["paused"]["until"].is_string() ? say(language, "pause.until", {{"time", one_line(person["paused"]["until"].as_string())}}) : say(language, "pause.always")) + "\n";
    const auto section = [&](const char* heading, const char* none, std::initializer_list<Item::Kind> kinds) {
        out += "\n" + say(language, heading) + "\n";
        bool any = false;
        for (std::size_t i = 0; i < items.size(); ++i)
            for (const Item::Kind kind : kinds)
                if (items[i].kind == kind) {
                    out += fmt::format("  {:>3}  {}\n", i + 1, words_of(items[i], language));
                    any = true;
                }
        if (!any) out += "       " + say(language, none) + "\n";
    };
    section("running.title", "running.none", {Item::Kind::running});
    section("needs.title", "needs.none", {Item::Kind::consent, Item::Kind::question, Item::Kind::tell});
    section("launch.title", "launch.none", {Item::Kind::launchable});
    return out + "\n";
}

std::string details_of(const Item& item, Language language)
{
    const Json& value = item.value;
    std::string out = words_of(item, language) + "\n";
    if (!value["description"].as_string().empty()) out += printable(value["description"].as_string()) + "\n";
    if (!value["does"].empty()) out += say(language, "consent.does") + ":\n";
    for (const Json& deed : value["does"].as_array()) out += "  - " + one_line(deed.as_string()) + "\n";
    if (value["until"].is_string()) out += say(language, "consent.until", {{"time", one_line(value["until"].as_string())}}) + "\n";
    if (value["deadline"].is_string()) out += say(language, "consent.until", {{"time", one_line(value["deadline"].as_string())}}) + "\n";
    if (!value["step"].as_string().empty()) out += say(language, "running.step", {{"step", one_line(value["step"].as_string())}}) + "\n";
    return out;
}

std::string history_of(const Json& person, Language language)
{
    std::string out = "\n" + say(language, "history.title") + "\n";
    if (person["history"].empty()) return out + "  " + say(language, "history.none") + "\n";
    for (const Json& row : person["history"].as_array()) {
        const std::string& state = row["state"].as_string();
        bool known = false;
        for (const char* each : {"running", "waiting", "cancelling", "ready", "assigned", "successful", "failed", "cancelled", "expired"}) known = known || state == each;
        out += fmt::format("  {}  {}: {}", one_line(row["started"].as_string().substr(0, 19)), title_of(row), known ? say(language, "state." + state) : one_line(state));
        if (!row["reason"].as_string().empty()) out += " (" + one_line(row["reason"].as_string()) + ")";
        out += "\n";
        for (const Json& file : row["files"].as_array()) out += "       " + one_line(file.as_string()) + "\n";
    }
    return out;
}

std::string choice_words(const std::string& choice, Language language)
{
    for (const char* known : {"now", "later", "not_today"})
        if (choice == known) return say(language, "consent." + choice);
    return one_line(choice);
}

}  // namespace mill::agent
