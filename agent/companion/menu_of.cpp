#include "agent/companion/menu_of.h"

#include <algorithm>
#include <string_view>

#include "agent/companion/words.h"
#include "platform/base/encode.h"
#include "platform/local_time.h"

namespace mill::companion {
namespace {

using platform::MenuItem;
using platform::TrayLook;

constexpr std::size_t kMostRows = 12;

std::size_t waiting(const Json& person) { return person["questions"].size() + person["consents"].size(); }

MenuItem item(std::string name, std::string label) { return {std::move(name), std::move(label), true, {}}; }
MenuItem line() { return {}; }

/// "Invoices, for user otto: 50 %"
std::string words_of(const Json& job, Language language)
{
    std::string out = short_line(job["title"].as_string().empty() ? job["trigger"].as_string() : job["title"].as_string(), 40);
    const std::string& who = job["for"].as_string();
    if (!job["mine"].as_bool() && !who.empty()) out += ", " + say(language, "running.for", {{"who", short_line(who, 30)}});
    const std::string& state = job["state"].as_string();
    if (state == "waiting" || state == "cancelling") out += ": " + say(language, "state." + state);
    else if (job["progress"]["percent"].is_number()) out += ": " + say(language, "running.percent", {{"percent", std::to_string(job["progress"]["percent"].as_integer())}});
    return out;
}

}  // namespace

TrayLook look_of(const Json& person, Language language)
{
    const std::size_t runs = person["running"].size(), needs = waiting(person);
    TrayLook out;
    if (person.is_null()) return {TrayLook::State::away, say(language, "tray.away"), say(language, "app.away")};
    if (needs > 0) out = {TrayLook::State::asks, say_count(language, "tray.needs", needs), ""};
    else if (runs > 0) out = {TrayLook::State::working, say_count(language, "tray.running", runs), ""};
    else if (!person["paused"].is_null()) out = {TrayLook::State::idle, say(language, "tray.paused"), ""};
    else if (person["agent"]["state"].as_string() != "online") out = {TrayLook::State::away, say(language, "tray.offline"), short_line(person["agent"]["why"].as_string(), 200)};
    else out = {TrayLook::State::idle, say(language, "tray.idle"), ""};
    const auto& jobs = person["running"].as_array();
    for (std::size_t i = 0; i < std::min(jobs.size(), kMostRows); ++i) out.text += (out.text.empty() ? "" : "\n") + words_of(jobs[i], language);
    return out;
}

std::vector<MenuItem> menu_of(const Json& person, Language language)
{
    std::vector<MenuItem> out{item("open", say(language, "tray.open"))};
    if (person.is_null()) {
        out.push_back(line());
        out.push_back({"", say(language, "tray.away"), false, {}});
        return out;
    }
    if (waiting(person) > 0) {
        out.push_back(line());
        std::size_t rows = 0;
        for (const auto& [list, what] : {std::pair<const char*, const char*>("consents", "consent"), {"questions", "question"}})
            for (const Json& one : person[list].as_array()) {
                if (++rows > kMostRows) break;
                const std::string& text = std::string_view(what) == "consent" ? one["title"].as_string() : one["text"].as_string();
                out.push_back(item(std::string("open/") + what + "/" + one["id"].as_string(),
                                   short_line(std::string_view(what) == "consent" ? say(language, "notify.consent", {{"asker", one["asker"].as_string()}, {"title", text}}) : text)));
            }
    }
    const auto& jobs = person["running"].as_array();
    if (!jobs.empty()) {
        out.push_back(line());
        for (std::size_t i = 0; i < std::min(jobs.size(), kMostRows); ++i) {
            const std::string& job = jobs[i]["job"].as_string();
            MenuItem row{"", words_of(jobs[i], language), true, {}};
            row.items.push_back(item("open/job/" + job, say(language, "notify.open")));
            row.items.push_back({"stop/" + job, say(language, "running.stop"), jobs[i]["state"].as_string() != "cancelling", {}});
            out.push_back(std::move(row));
        }
    }
    out.push_back(line());
    out.push_back(item("stop", say(language, "tray.stop")));
    if (!person["paused"].is_null()) {
        const std::string until = time_of_day(person["paused"]["until"].as_string());
        out.push_back({"", until.empty() ? say(language, "pause.always") : say(language, "pause.until", {{"time", until}}), false, {}});
        out.push_back(item("resume", say(language, "tray.resume")));
    } else {
        MenuItem pause{"", say(language, "pause.title"), true, {}};
        for (const auto& [name, key] : {std::pair<const char*, const char*>("pause/1h", "pause.1h"), {"pause/day", "pause.day"}, {"pause/open", "pause.open"}})
            pause.items.push_back(item(name, say(language, key)));
        out.push_back(std::move(pause));
    }
    return out;
}

std::optional<Deed> deed_of(const std::string& name, WallTime now)
{
    if (name == "open") return open_page("launcher");
    for (const char* what : {"consent", "question", "job"})
        if (const std::string prefix = std::string("open/") + what + "/"; name.starts_with(prefix)) return open_page(what, name.substr(prefix.size()));
    if (name == "stop") return post("/v1/stop", Json::object({{"way", "tray"}}));
    if (name.starts_with("stop/")) return post("/v1/jobs/" + percent_encode(name.substr(5)) + "/cancel", Json::object({{"why", ""}}));
    if (name == "pause/1h") return post("/v1/pause", Json::object({{"for", "1h"}}));
    if (name == "pause/day") return post("/v1/pause", Json::object({{"until", format_time(platform::next_day(now))}}));
    if (name == "pause/open") return post("/v1/pause");
    if (name == "resume") return post("/v1/resume");
    return std::nullopt;
}

}  // namespace mill::companion
