#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/listing.h"
#include "platform/base/http_date.h"
#include "platform/fitness.h"

namespace mill::cli {

namespace {

constexpr std::chrono::hours kExpiresSoon{14 * 24};

void look_at_settings(const Settings& settings, Findings& out)
{
    if (!settings.problem.empty()) out.error("configuration", settings.problem, "mend the file, or `millwright login` writes a new one");
    else if (settings.factory.empty()) out.warning("configuration", "no factory is known", "millwright login --factory URL");
    else out.ok("configuration", fmt::format("factory {} from {}, token from {}", settings.factory, settings.factory_from, settings.token.empty() ? "nowhere" : settings.token_from));
}

void look_at_clock(const platform::HttpResponse& answer, Findings& out)
{
    const Result<WallTime> theirs = parse_http_date(answer.header("date"));
    if (!theirs) return;
    const std::int64_t seconds = (system_clock().now() - *theirs).count() / 1'000'000;
    const std::int64_t off = seconds < 0 ? -seconds : seconds;
    if (off <= 1) return out.ok("clock", "agrees with the factory's");
    const std::string text = fmt::format("is {} s {} the factory's", off, seconds > 0 ? "ahead of" : "behind");
    const std::string fix = "synchronise the clocks (systemd-timesyncd or chrony): certificates and times in logs go by them, and agents of earlier versions get no session beyond a minute";
    if (off <= 5) out.ok("clock", text);
    else if (off <= 30) out.warning("clock", text, fix);
    else out.error("clock", text, fix);
}

void look_at_agents(Api& api, Findings& out)
{
    const Result<Json> agents = api.get("/v1/agents");
    if (!agents) return;
    std::size_t online = 0;
    std::string away;
    for (const Json& agent : items(*agents)) {
        if (agent["state"].as_string() == "online") ++online;
        else away += fmt::format("{}{} is {}", away.empty() ? "" : ", ", agent["name"].as_string(), agent["state"].as_string());
    }
    const std::string text = fmt::format("{} of {} online{}", online, items(*agents).size(), away.empty() ? "" : "; " + away);
    if (online > 0) out.ok("agents", text);
    else out.warning("agents", text, "millwright agents invite, then millwright-agent enrol and run on a machine");
}

/// A store that was restored waits for what its agents did meanwhile.
void look_at_holds(Api& api, Findings& out)
{
    const Result<Json> holds = api.get("/v1/holds");   // an older factory has no such route
    if (!holds) return;
    for (const Json& hold : items(*holds)) out.warning("hold", hold["why"].as_string(), hold["command"].as_string() + " stops waiting");
}

/// Said while there is time: afterwards it is the jobs and notifications that say it.
void look_at_credentials(Api& api, Findings& out)
{
    const Result<Json> found = api.get("/v1/credentials");
    if (!found) return;
    const WallTime now = system_clock().now();
    std::string ended, ending;
    for (const Json& item : items(*found)) {
        const Result<WallTime> expires = parse_time(item["expires"].as_string());
        if (!expires || *expires - now > kExpiresSoon) continue;
        std::string& text = *expires <= now ? ended : ending;
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", item["name"].as_string(), show_time(item["expires"].as_string(), now));
    }
    constexpr std::string_view kRenew = "millwright credentials set NAME with the new value and --expires";
    if (!ended.empty()) out.error("credentials", "expired: " + ended, std::string(kRenew));
    if (!ending.empty()) out.warning("credentials", "expire soon: " + ending, std::string(kRenew));
}

void look_at_factory(Context& context, Findings& out)
{
    Api api(context.settings.factory, context.settings.token, context.settings.ca_file, context.stop);
    const SteadyTime begun = system_clock().steady();
    const Result<platform::HttpResponse> health = api.raw({.path = "/readyz", .timeout = std::chrono::seconds(10)});
    if (!health) return out.error("factory", health.error().what, "start it (millwright-factory --data DIR), or correct the address");
    const std::string answered = fmt::format("{} answered {} in {}", api.factory(), health->status, show_span(system_clock().steady() - begun));
    if (health->status == 200) out.ok("factory", answered);
    else out.error("factory", answered, health->body);
    look_at_clock(*health, out);
    if (const Result<Json> said = parse_json(health->body); said && (*said)["packageChecks"].is_string()) {
        const std::string& text = (*said)["packageChecks"].as_string();
        if (text == "ok") out.ok("checks", "the factory checks packages in its sandbox");
        else out.error("checks", text, "on the factory's machine: apt-get install bubblewrap, allow user namespaces, millwright-runner beside millwright-factory");
    }
    if (context.settings.token.empty()) return out.warning("token", "none is known", "millwright login");
    const Result<Json> who = api.get("/v1/session");
    if (!who) return out.error("token", fmt::format("from {}: {}", context.settings.token_from, who.error().what), "millwright login stores a valid one");
    const std::string& role = (*who)["role"].as_string();
    out.ok("token", fmt::format("of {} ({}){}", (*who)["name"].as_string(), (*who)["kind"].as_string(), role.empty() ? "" : ", role " + role));
    look_at_agents(api, out);
    look_at_holds(api, out);
    look_at_credentials(api, out);
    if (const Result<Json> dead = api.get("/v1/deliveries", {{"state", "dead"}, {"limit", "100"}}); dead && !items(*dead).empty())
        out.warning("deliveries", fmt::format("{} did not arrive", items(*dead).size()), "millwright deliveries --state dead");
}

/// The agent examines itself, as `millwright-agent doctor` on its machine; its report comes over its session.
Result<int> agent_doctor(Context& context, const std::string& name)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const std::string path = join_path("/v1/agents", name, "/doctor");
    Result<Json> state = (*api)->post(path);
    if (!state) return fail(state.error());
    const std::string id = (*state)["id"].as_string();
    Console& console = context.console;
    if (console.interactive()) console.note(fmt::format("{} examines itself …", printable(name)));
    while ((*state)["id"].as_string() == id && (*state)["state"].as_string() == "asked") {
        if (!system_clock().sleep(Milliseconds(300), context.stop)) return fail(Errc::cancelled, "the report was not waited for; `millwright agents show " + name + "` has it later");
        state = (*api)->get(path);
        if (!state) return fail(state.error());
    }
    const bool failed = (*state)["state"].as_string() != "answered";   // or the factory was started anew and knows of nothing
    if (failed) console.error(one_line((*state)["problem"].as_string().empty() ? "the factory was started again meanwhile: ask once more" : (*state)["problem"].as_string()));
    if (console.json()) console.document(*state);
    if (failed) return kFaulted;
    if (!console.json()) show_findings(console, (*state)["report"]["checks"]);
    return (*state)["report"]["ok"].as_bool() ? kDone : kFaulted;
}

Result<int> run(Context& context, const Arguments& arguments)
{
    if (const std::string whose = arguments.text("WHERE"); !whose.empty()) {
        if (!whose.starts_with("agent/") || whose.size() == 6) return context.usage("WHERE is agent/NAME; without it this machine is looked at");
        return agent_doctor(context, whose.substr(6));
    }
    Findings looked;
    platform::look_at_machine(looked);
    look_at_settings(context.settings, looked);
    if (!context.settings.factory.empty()) look_at_factory(context, looked);
    const std::vector<Finding> findings = looked.take();
    const bool well = all_well(findings);
    if (context.console.json()) context.console.document(Json::object({{"ok", well}, {"time", format_time(system_clock().now())}, {"checks", to_json(findings)}}));
    else show_findings(context.console, to_json(findings));
    return well ? kDone : kFaulted;
}

}  // namespace

Command doctor_command()
{
    return {.name = "doctor",
            .summary = "Look at this machine, the configuration and the factory, or at an agent's machine (agent/NAME), and say what to mend",
            .examples = "millwright doctor\nmillwright doctor --factory https://factory.example.com --json\nmillwright doctor agent/srv-1",
            .options = {{"WHERE", "", "agent/NAME: the agent examines itself and reports; none: this machine"}},
            .run = run};
}

}  // namespace mill::cli
