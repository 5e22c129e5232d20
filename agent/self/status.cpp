#include "agent/self/status.h"

#include <fmt/format.h>

#include "platform/base/printable.h"
#include "platform/machine.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

std::string ago(const std::string& time, WallTime now)
{
    const auto then = parse_time(time);
    if (!then) return time;
    const auto seconds = (now - *then).count() / 1'000'000;
    return seconds < 1 ? "just now" : format_duration(std::chrono::seconds(seconds)) + " ago";
}

void metric(std::string& out, std::string_view name, std::string_view help, std::string_view labels, const std::string& value)
{
    const std::string head = fmt::format("# HELP {} {}\n", name, help);
    if (out.find(head) == std::string::npos) out += head + fmt::format("# TYPE {} gauge\n", name);
    out += labels.empty() ? fmt::format("{} {}\n", name, value) : fmt::format("{}{{{}}} {}\n", name, labels, value);
}

/// As a label's value: backslash, quote and newline escaped.
std::string label(std::string_view text)
{
    std::string out;
    for (const char c : text) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n') out += "\\n";
        else out += c;
    }
    return out;
}

std::string unix_seconds(const std::string& time)
{
    const auto parsed = parse_time(time);
    return parsed ? fmt::format("{}.{:03}", parsed->microseconds / 1'000'000, parsed->microseconds / 1'000 % 1'000) : "0";
}

/// The loop of that name that serves this factory; where there is but one factory, nobody says whose a loop is.
const Json* loop_of(const Json& status, std::string_view name, const std::string& url)
{
    for (const Json& loop : status["loops"].as_array())
        if (loop["name"].as_string() == name && (!loop.contains("of") || loop["of"].as_string() == url)) return &loop;
    return nullptr;
}

std::string name_of_loop(const Json& loop)
{
    return loop.contains("of") ? fmt::format("{} of {}", loop["name"].as_string(), loop["of"].as_string()) : loop["name"].as_string();
}

std::string labels_of_loop(const Json& loop)
{
    return loop.contains("of") ? fmt::format(R"(loop="{}",factory="{}")", label(loop["name"].as_string()), label(loop["of"].as_string()))
                               : fmt::format(R"(loop="{}")", label(loop["name"].as_string()));
}

std::string label_of_factory(const Json& factory) { return fmt::format(R"(factory="{}")", label(factory["url"].as_string())); }

Json problems_of(const Json& status, const std::vector<Unserved>& unserved)
{
    Json out = Json::array();
    for (const Json& loop : status["loops"].as_array()) {
        if (loop["state"].as_string() == "overdue") out.push(Json(fmt::format("the loop '{}' does not go on", name_of_loop(loop))));
        if (const Json* error = loop.find("lastError"); error != nullptr) out.push(Json(fmt::format("{}: {}", name_of_loop(loop), (*error)["why"].as_string())));
    }
    if (const std::string& sandbox = status["isolation"]["problem"].as_string(); !sandbox.empty()) out.push(Json("no sandbox: " + sandbox));
    for (const Unserved& one : unserved) out.push(Json(fmt::format("the factory {} is not served: {}", one.factory_id, one.why)));
    for (const Json& factory : status["factories"].as_array()) {
        if (const Json* approved = factory.find("approved"); approved != nullptr && !approved->as_bool())
            out.push(Json(fmt::format("not approved at {}: millwright agents set {} --approve", factory["url"].as_string(), factory["name"].as_string())));
        if (const Json* unable = factory.find("unable"); unable != nullptr && status.find("unable") == nullptr) out.push(*unable);
    }
    if (status.find("unable") != nullptr && status.find("paused") == nullptr) out.push(status["unable"]);
    return out;
}

std::string words_of_person(const Json& person)
{
    const Json& session = person["session"];
    std::string faces;
    for (const Json& face : person["faces"].as_array())
        faces += fmt::format("{}{} (process {}{}{})", faces.empty() ? "" : ", ", one_line(face["kind"].as_string()), face["pid"].as_integer(),
                             face["notifications"].as_bool() ? ", notifications" : "", face["stopKey"].is_null() ? ", no stop key" : ", stop key " + one_line(face["stopKey"].as_string()));
    std::string out = fmt::format("person    {}: {}{}; faces: {}\n", person["user"].as_string().empty() ? "nobody is named at the factory" : one_line(person["user"].as_string()),
                                  session["state"].as_string(), session["display"].as_string() == "none" ? "" : " (" + session["display"].as_string() + ")",
                                  faces.empty() ? "no companion runs" : faces);
    for (const Json& face : person["faces"].as_array())
        for (const Json& problem : face["problems"].as_array()) out += fmt::format("          {}\n", one_line(problem.as_string()));
    if (person["consents"].as_integer() + person["questions"].as_integer() + person["queued"].as_integer() > 0)
        out += fmt::format("          wait for an answer: {} consents, {} questions; wait for the factory: {} starts\n", person["consents"].as_integer(), person["questions"].as_integer(),
                           person["queued"].as_integer());
    return out;
}

Json outbox_of(const Journal& journal)
{
    const Journal::Depth depth = journal.depth();
    return Json::object({{"attempts", static_cast<std::int64_t>(depth.attempts)},
                         {"events", static_cast<std::int64_t>(depth.events)},
                         {"bytes", static_cast<std::int64_t>(depth.bytes)},
                         {"file", static_cast<std::int64_t>(journal.file_size())}});
}

Json factory_of(const AtFactory& at)
{
    const Identity& identity = at.identity();
    Json out = Json::object({{"name", identity.name},
                             {"id", identity.agent_id},
                             {"url", identity.factory_url},
                             {"factory", identity.factory_id},
                             {"environment", identity.environment},
                             {"mode", std::string(protocol::name(identity.mode))}});
    if (const auto terms = at.terms()) out.set("approved", terms->approved);
    if (const std::string why = at.desk().unable(); !why.empty()) out.set("unable", why);
    Json attempts = Json::array();
    for (const Holding& holding : at.desk().held()) attempts.push(protocol::to_json(holding.id).set("repeatable", holding.repeatable));
    out.set("attempts", std::move(attempts));
    out.set("outbox", outbox_of(at.journal()));
    return out;
}

}  // namespace

void Standing::set_pause(std::optional<Pause> pause)
{
    const std::scoped_lock lock(mutex_);
    pause_ = std::move(pause);
}

std::optional<Pause> Standing::pause() const
{
    const std::scoped_lock lock(mutex_);
    return pause_;
}

Json status_of(const StatusParts& parts)
{
    Json factories = Json::array();
    for (const auto& at : parts.factories) factories.push(factory_of(*at));
    Json out = Json::object({{"version", std::string(protocol::kProgramVersion)},
                             {"pid", platform::process_number()},
                             {"keeper", platform::parent_process_number()},
                             {"since", format_time(parts.since)},
                             {"dataFolder", parts.data_folder},
                             {"factories", std::move(factories)}});
    out.set("slots", Json::object({{"total", parts.slots.total()}, {"taken", parts.slots.taken()}, {"free", parts.slots.free()}}));
    if (const std::string why = parts.slots.unable(); !why.empty()) out.set("unable", why);
    if (const auto pause = parts.standing.pause(); pause && (!pause->until || *pause->until > parts.clock.now())) out.set("paused", to_json(*pause));
    out.set("loops", parts.vitals.as_json());
    out.set("isolation", parts.isolation);
    if (!parts.person.is_null()) out.set("person", parts.person);
    out.set("problems", problems_of(out, parts.unserved));
    return out;
}

std::string metrics_of(const Json& status)
{
    std::string out;
    const auto& factories = status["factories"].as_array();
    for (const Json& factory : factories)
        metric(out, "millwright_agent_info", "The agent at a factory, and its version.",
               fmt::format(R"(name="{}",version="{}",{},mode="{}")", label(factory["name"].as_string()), label(status["version"].as_string()), label_of_factory(factory),
                           label(factory["mode"].as_string())),
               "1");
    metric(out, "millwright_agent_start_time_seconds", "When this process started, Unix time.", "", unix_seconds(status["since"].as_string()));
    for (const Json& factory : factories) {
        const Json* link = loop_of(status, "link", factory["url"].as_string());
        metric(out, "millwright_agent_connected", "1: the factory answers.", label_of_factory(factory),
               link != nullptr && link->contains("lastGood") && !link->contains("lastError") ? "1" : "0");
    }
    for (const char* state : {"taken", "free"})
        metric(out, "millwright_agent_slots", "Jobs that run here, and that still could.", fmt::format("state=\"{}\"", state), std::to_string(status["slots"][state].as_integer()));
    metric(out, "millwright_agent_paused", "1: a person wants no new jobs here.", "", status.contains("paused") ? "1" : "0");
    for (const Json& factory : factories)
        metric(out, "millwright_agent_outbox_events", "Reports on this disk that the factory has not acknowledged.", label_of_factory(factory),
               std::to_string(factory["outbox"]["events"].as_integer()));
    for (const Json& factory : factories)
        metric(out, "millwright_agent_outbox_bytes", "Size of these reports.", label_of_factory(factory), std::to_string(factory["outbox"]["bytes"].as_integer()));
    metric(out, "millwright_agent_problems", "How many things are wrong (millwright-agent status says which).", "", std::to_string(status["problems"].size()));
    for (const Json& loop : status["loops"].as_array())
        metric(out, "millwright_agent_loop_overdue", "1: a loop of this program does not go on.", labels_of_loop(loop), loop["state"].as_string() == "overdue" ? "1" : "0");
    for (const Json& loop : status["loops"].as_array())
        if (const Json* good = loop.find("lastGood"); good != nullptr)
            metric(out, "millwright_agent_loop_last_good_time_seconds", "When a loop's work went well last, Unix time.", labels_of_loop(loop), unix_seconds(good->as_string()));
    return out;
}

std::string words_of_status(const Json& status, WallTime now)
{
    std::string out = fmt::format("version {}, process {}, started {}\n", status["version"].as_string(), status["pid"].as_integer(), ago(status["since"].as_string(), now));
    for (const Json& factory : status["factories"].as_array()) {
        const Json* link = loop_of(status, "link", factory["url"].as_string());
        std::string answers = "no answer yet";
        if (link != nullptr && link->contains("lastGood")) answers = "answered " + ago((*link)["lastGood"].as_string(), now);
        if (link != nullptr && link->contains("lastError")) answers = fmt::format("does not answer since {}: {}", ago((*link)["lastError"]["at"].as_string(), now), one_line((*link)["lastError"]["why"].as_string()));
        out += fmt::format("factory   {} ({}), as {} ({}): {}\n", factory["url"].as_string(), factory["environment"].as_string(), factory["name"].as_string(),
                           factory["mode"].as_string(), answers);
        if (factory.contains("unable") && !status.contains("unable")) out += fmt::format("          takes no new jobs of it: {}\n", one_line(factory["unable"].as_string()));
        for (const Json& attempt : factory["attempts"].as_array())
            out += fmt::format("          job {} attempt {}\n", attempt["job"].as_string(), attempt["attempt"].as_integer());
        const Json& outbox = factory["outbox"];
        out += outbox["events"].as_integer() == 0 ? "          reports: all delivered\n"
                                                  : fmt::format("          reports: {} wait on this disk ({} bytes)\n", outbox["events"].as_integer(), outbox["bytes"].as_integer());
    }
    const Json& slots = status["slots"];
    out += fmt::format("slots     {} of {} taken", slots["taken"].as_integer(), slots["total"].as_integer());
    if (status.contains("unable")) out += "; takes no new jobs: " + one_line(status["unable"].as_string());
    out += '\n';
    if (status.contains("person")) out += words_of_person(status["person"]);
    const Json& sandbox = status["isolation"];
    out += fmt::format("sandbox   memory: {}, processes: {}, Landlock {}, users {}\n", sandbox["memory"].as_string(), sandbox["processes"].as_string(),
                       sandbox["landlock"].as_integer() > 0 ? fmt::format("ABI {}", sandbox["landlock"].as_integer()) : "none", sandbox["uid"].as_string());
    for (const Json& loop : status["loops"].as_array())
        out += fmt::format("loop      {:<10} {}{}\n", name_of_loop(loop), loop["state"].as_string(),
                           loop.contains("lastGood") ? ", went well " + ago(loop["lastGood"].as_string(), now) : "");
    for (const Json& problem : status["problems"].as_array()) out += "PROBLEM   " + one_line(problem.as_string()) + "\n";
    return out;
}

}  // namespace mill::agent
