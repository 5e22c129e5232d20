#include "agent/companion/notices.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "agent/companion/words.h"
#include "platform/base/encode.h"
#include "platform/base/printable.h"

namespace mill::companion {
namespace {

constexpr std::size_t kMostText = 400, kMostDoes = 4, kMostButtons = 3, kMostButton = 24, kMostOfAKind = 20;

std::string clipped(const std::string& text)
{
    const std::string shown = printable(text);
    return shown.size() <= kMostText ? shown : short_line(shown, kMostText);
}

std::string lines(std::initializer_list<std::string> parts)
{
    std::string out;
    for (const std::string& part : parts)
        if (!part.empty()) out += (out.empty() ? "" : "\n") + part;
    return out;
}

void button(Shown& to, std::string name, std::string label, Deed deed)
{
    to.notice.actions.emplace_back(name, std::move(label));
    to.deeds.emplace(std::move(name), std::move(deed));
}

/// A click on the notice, and a button for whom that is not known.
void opens(Shown& to, Language language, const Deed& page)
{
    button(to, "default", say(language, "notify.open"), page);
    button(to, "open", say(language, "notify.open"), page);
}

Shown of_consent(const Json& consent, Language language)
{
    const std::string& id = consent["id"].as_string();
    const std::string title = short_line(consent["title"].as_string()), asker = short_line(consent["asker"].as_string());
    Shown out;
    out.name = "consent/" + id;
    out.notice.title = say(language, "notify.consent", {{"asker", asker}, {"title", title}});
    std::string does;
    const auto& deeds = consent["does"].as_array();
    for (std::size_t i = 0; i < std::min(deeds.size(), kMostDoes); ++i) does += fmt::format("{}• {}", does.empty() ? "" : "\n", short_line(deeds[i].as_string(), 90));
    if (deeds.size() > kMostDoes) does += "\n…";
    const std::string until = time_of_day(consent["until"].as_string());
    out.notice.body = lines({clipped(consent["description"].as_string()), does,
                             consent["expectedMs"].is_null() ? "" : say(language, "consent.takes", {{"duration", duration_words(language, consent["expectedMs"].as_integer())}}),
                             until.empty() ? "" : say(language, "consent.until", {{"time", until}})});
    out.notice.stays = true;
    out.notice.actions.emplace_back("default", say(language, "notify.open"));
    out.deeds.emplace("default", open_page("consent", id));
    for (const Json& choice : consent["choices"].as_array()) {
        const std::string& name = choice.as_string();
        if (name != "now" && name != "later" && name != "not_today") continue;   // a newer agent's: the page may know it
        button(out, name, say(language, "consent." + name), post("/v1/consents/" + percent_encode(id), Json::object({{"choice", name}})));
    }
    return out;
}

/// What a question offers, when that fits on buttons: label and answer.
std::vector<std::pair<std::string, Json>> choices_of(const Json& question, Language language)
{
    const Json& schema = question["schema"];
    std::vector<std::pair<std::string, Json>> out;
    if (question["kind"].as_string() == "approval" || schema["type"].as_string() == "boolean")
        return {{say(language, "question.yes"), Json(true)}, {say(language, "question.no"), Json(false)}};
    for (const Json& value : schema["enum"].as_array()) out.emplace_back(value.is_string() ? value.as_string() : dump_json(value), value);
    if (out.empty())
        for (const Json& one : schema["oneOf"].as_array()) {
            if (!one.contains("const")) return {};
            const Json& value = one["const"];
            out.emplace_back(one["title"].is_string() ? one["title"].as_string() : value.is_string() ? value.as_string() : dump_json(value), value);
        }
    const bool fits = out.size() <= kMostButtons && std::all_of(out.begin(), out.end(), [](const auto& each) { return short_line(each.first, kMostButton) == each.first; });
    return fits ? out : std::vector<std::pair<std::string, Json>>();
}

/// Said where there are several factories.
Json with_factory(Json body, const Json& row)
{
    if (const Json& factory = row["factory"]; factory.is_string()) body.set("factory", factory);
    return body;
}

Shown of_question(const Json& question, Language language)
{
    const std::string& id = question["id"].as_string();
    const bool approval = question["kind"].as_string() == "approval";
    const std::string title = short_line(question["title"].as_string().empty() ? question["trigger"].as_string() : question["title"].as_string());
    Shown out;
    out.name = "question/" + id;
    out.notice.title = say(language, approval ? "question.approval" : "notify.question", {{"title", title}});
    const std::string until = time_of_day(question["deadline"].as_string());
    out.notice.body = lines({clipped(question["text"].as_string()), until.empty() ? "" : say(language, "consent.until", {{"time", until}})});
    out.notice.stays = true;
    const auto choices = choices_of(question, language);
    if (choices.empty()) {
        opens(out, language, open_page("question", id));
        return out;
    }
    out.notice.actions.emplace_back("default", say(language, "notify.open"));
    out.deeds.emplace("default", open_page("question", id));
    for (std::size_t i = 0; i < choices.size(); ++i)
        button(out, fmt::format("answer-{}", i), choices[i].first, post("/v1/questions/" + percent_encode(id), with_factory(Json::object({{"answer", choices[i].second}, {"comment", ""}}), question)));
    return out;
}

Shown of_tell(const Json& tell, Language language)
{
    const std::string& id = tell["id"].as_string();
    Shown out;
    out.name = "tell/" + id;
    out.notice.title = short_line(tell["title"].as_string());
    if (out.notice.title.empty()) out.notice.title = say(language, "tell.title");
    out.notice.body = clipped(tell["text"].as_string());
    const Deed seen = post("/v1/tells/" + percent_encode(id));
    out.notice.actions.emplace_back("default", say(language, "notify.open"));
    out.deeds.emplace("default", open_page("job", tell["job"].as_string()));
    button(out, "seen", say(language, "tell.seen"), seen);
    out.dismissed = seen;
    return out;
}

/// What became of it in the job's own words, as far as there are any.
std::string said_at_the_end(const Json& row)
{
    const Json& error = row["error"];
    for (const char* member : {"detail", "message", "title"})
        if (error[member].is_string()) return clipped(error[member].as_string());
    if (error.is_string()) return clipped(error.as_string());
    return clipped(row["text"].as_string());
}

Shown of_end(const Json& row, Language language)
{
    const std::string& job = row["job"].as_string();
    const std::string title = short_line(row["title"].as_string().empty() ? row["trigger"].as_string() : row["title"].as_string());
    const bool failed = row["state"].as_string() != "successful";
    Shown out;
    out.name = "end/" + job;
    out.notice.title = say(language, failed ? "notify.failed" : "notify.done", {{"title", title}});
    out.notice.body = said_at_the_end(row);
    opens(out, language, open_page("job", job));
    return out;
}

}  // namespace

std::vector<Shown> open_notices(const Json& person, Language language)
{
    std::vector<Shown> out;
    const auto each = [&](const char* list, Shown (*make)(const Json&, Language)) {
        const auto& items = person[list].as_array();
        for (std::size_t i = 0; i < std::min(items.size(), kMostOfAKind); ++i)
            if (!items[i]["id"].as_string().empty()) out.push_back(make(items[i], language));
    };
    each("consents", of_consent);
    each("questions", of_question);
    each("tells", of_tell);
    return out;
}

std::vector<Shown> Ends::look(const Json& person, Language language)
{
    std::vector<Shown> out;
    std::set<std::string> listed;
    for (const Json& job : person["running"].as_array())
        if (job["mine"].as_bool() && mine_.size() < 1000) mine_.insert(job["job"].as_string());
    for (const Json& row : person["history"].as_array()) {
        const std::string& job = row["job"].as_string();
        if (row["ended"].is_null()) continue;
        listed.insert(job);
        const bool mine = row["mine"].as_bool() || mine_.contains(job);
        if (first_ || known_.contains(job) || !mine) continue;
        // Whoever stopped it knows.
        if (row["state"].as_string() != "cancelled") out.push_back(of_end(row, language));
        mine_.erase(job);
    }
    known_ = std::move(listed);
    first_ = false;
    return out;
}

platform::Notice stopped_notice(Language language, std::size_t jobs)
{
    return {say(language, "notify.stopped"), jobs == 0 ? say(language, "stop.none") : say_count(language, "stop", jobs), {}, false};
}

platform::Notice not_stopped_notice(Language language, const std::string& why)
{
    return {say(language, "notify.not_stopped"), short_line(why, kMostText), {}, true};
}

platform::Notice refused_notice(Language language, const Deed& deed, const std::string& why)
{
    const bool consent = deed.target.starts_with("/v1/consents/"), question = deed.target.starts_with("/v1/questions/");
    return {consent ? say(language, "consent.gone") : question ? say(language, "question.gone") : say(language, "notify.refused"), short_line(why, kMostText), {}, false};
}

}  // namespace mill::companion
