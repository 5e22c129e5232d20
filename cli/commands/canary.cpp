#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/jobs.h"

namespace mill::cli {

namespace {

constexpr Milliseconds kLook{20}, kLookLater{200};
constexpr std::chrono::seconds kGrace{5};   // for the factory to say that it expired, and for the last report

struct Leg {
    std::string name, note;   ///< the name is stable
    WallTime time;
};

/// The times of the job, in their order. Those of the agent are by its own clock.
std::vector<Leg> legs_of(Api& api, const std::string& uid)
{
    std::vector<Leg> out;
    const auto add = [&](std::string name, const Json& time, std::string note = {}) {
        if (const auto parsed = parse_time(time.as_string()); parsed) out.push_back({std::move(name), std::move(note), *parsed});
    };
    bool sent = false, running = false;
    Json ended;
    const Result<Json> line = api.get(join_path("/v1/jobs", uid, "/timeline"));
    const Result<Json> steps = api.get(join_path("/v1/jobs", uid, "/steps"));
    if (!line) return out;
    for (const Json& entry : items(*line)) {
        const std::string& state = entry["state"].as_string();
        if (state == "ready") add("created", entry["time"]);
        else if (state == "assigned") add("offered", entry["time"]);
        else if (state == "package_sent" && !std::exchange(sent, true)) add("package fetched", entry["time"]);
        else if (state == "running" && !std::exchange(running, true)) {
            add("sandbox started", entry["time"], sent ? "" : " (it had the package)");
            if (steps && !items(*steps).empty()) {
                const Json& first = items(*steps).front();
                add("first step", first["startedAt"].is_string() ? first["startedAt"] : first["time"]);
            }
        } else if (is_final_state(state)) ended = entry["time"];
    }
    add("ended", ended);
    return out;
}

Json legs_json(const std::vector<Leg>& legs)
{
    Json out = Json::array();
    for (std::size_t i = 0; i < legs.size(); ++i)
        out.push(Json::object({{"leg", legs[i].name}, {"time", format_time(legs[i].time)}, {"afterMs", i == 0 ? 0 : (legs[i].time - legs[i - 1].time).count() / 1000}}));
    return out;
}

void show_legs(Console& console, const std::vector<Leg>& legs)
{
    const WallTime now = system_clock().now();
    bool skewed = false;
    for (std::size_t i = 0; i < legs.size(); ++i) {
        const Microseconds after = i == 0 ? Microseconds(0) : legs[i].time - legs[i - 1].time;
        skewed = skewed || after < Milliseconds(-5);
        console.line(fmt::format("{}  {:>9}  {}", show_time(format_time(legs[i].time), now, true), i == 0 ? "" : after < Microseconds(0) ? "?" : show_span(after), legs[i].name + legs[i].note));
    }
    if (skewed) console.note("the agent's clock is behind the factory's: millwright doctor agent/NAME says by how much");
}

/// Until it is final, or the time is over. Notes once what it waits for.
Result<Json> wait_for_end(Context& context, Api& api, const std::string& uid, SteadyTime deadline)
{
    bool told = false;
    const SteadyTime begun = system_clock().steady();
    while (true) {
        Result<Json> job = api.get(join_path("/v1/jobs", uid));
        if (!job || is_final_state((*job)["state"].as_string()) || system_clock().steady() >= deadline) return job;
        if (!told && (*job)["state"].as_string() == "ready" && system_clock().steady() - begun > Milliseconds(500)) {
            if (const auto why = api.get(join_path("/v1/jobs", uid, "/why")); why)
                for (const Json& reason : (*why)["reasons"].as_array()) context.console.note("it waits: " + one_line(reason["text"].as_string()));
            told = true;
        }
        if (!system_clock().sleep(system_clock().steady() - begun < std::chrono::seconds(2) ? kLook : kLookLater, context.stop)) return job;
    }
}

Result<int> run(Context& context, const Arguments& arguments)
{
    const std::string whose = arguments.text("WHERE");
    if (!whose.starts_with("agent/") || whose.size() == 6) return context.usage("say agent/NAME; `millwright agents` lists them");
    const std::string name = whose.substr(6);
    const Result<Milliseconds> within = parse_duration(arguments.text("--within", "1m"));
    if (!within) return context.usage("--within: " + within.error().what);
    if (*within < std::chrono::seconds(1) || *within > std::chrono::hours(1)) return context.usage("--within must be from 1s to 1h");
    Result<Api*> connected = context.api();
    if (!connected) return fail(connected.error());
    Api& api = **connected;
    const Result<Json> begun = api.post(join_path("/v1/agents", name, "/canary"), Json::object({{"withinMs", static_cast<std::int64_t>(within->count())}}));
    if (!begun) return fail(begun.error());
    const std::string uid = uid_of(*begun);
    Result<Json> job = wait_for_end(context, api, uid, system_clock().steady() + *within + kGrace);
    if (!job) return fail(job.error());
    const WallTime reported = system_clock().now();
    const bool final = is_final_state((*job)["state"].as_string());
    const bool well = (*job)["state"].as_string() == "successful";
    const Json why = well ? Json() : api.get(join_path("/v1/jobs", uid, "/why")).value_or(Json());
    // It is nobody's: one that did not end in time is not left to run some day.
    if (!final) (void)api.post(join_path("/v1/jobs", uid, "/cancel"), Json::object({{"why", "the canary was not waited for any longer"}}));
    std::vector<Leg> legs = legs_of(api, uid);
    if (final) legs.push_back({"reported", {}, reported});
    Console& console = context.console;
    if (console.json()) {
        Json out = Json::object({{"ok", well}, {"agent", name}, {"job", uid}, {"state", (*job)["state"]}, {"legs", legs_json(legs)}});
        if (!why.is_null()) out.set("why", why);
        console.document(out);
        return well ? kDone : kFaulted;
    }
    show_legs(console, legs);
    if (well) {
        console.line(fmt::format("{}: {} ran the canary ({} in all); jobs reach it, run in its sandbox and are reported", console.paint(Style::good, "well"), printable(name),
                                 legs.empty() ? "" : show_span(legs.back().time - legs.front().time)));
        return kDone;
    }
    console.line(fmt::format("{}: {}", console.paint(Style::bad, "not well"), one_line(why["text"].as_string())));
    for (const Json& reason : why["reasons"].as_array()) {
        if (reason["text"] == why["text"]) continue;
        console.line("  - " + one_line(reason["text"].as_string()));
    }
    console.line(fmt::format("  millwright doctor agent/{}; millwright logs agent/{}", printable(name), printable(name)));
    return kFaulted;
}

}  // namespace

Command canary_command()
{
    return {.name = "canary",
            .summary = "Run a tiny built-in job on one agent and show each leg of its way with its time",
            .examples = "millwright canary agent/srv-1\nmillwright canary agent/srv-1 --within 10s --json",
            .options = {{"WHERE", "", "agent/NAME", true}, {"--within", "DURATION", "It counts as failed when it has not ended by then (1m)"}},
            .run = run,
            .notes = "Needs no package, deployment or trigger of yours and leaves none; the job stands in `millwright jobs`. Ends with 0 when the canary ended well and was reported."};
}

}  // namespace mill::cli
