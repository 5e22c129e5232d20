#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/input.h"
#include "cli/listing.h"
#include "platform/base/printable.h"

namespace mill::cli {

namespace {

std::vector<std::string> row(const Json& agent, WallTime now)
{
    const Json& os = agent["facts"]["os"];
    const bool online = agent["online"].as_bool();
    return {agent["name"].as_string(), agent["state"].as_string(), agent["mode"].as_string(), agent["user"].as_string(), agent["environment"].as_string(),
            fmt::format("{}/{}", agent["busy"].as_integer(), agent["slots"].as_integer()),
            os["name"].as_string() + (os["version"].as_string().empty() ? "" : " " + os["version"].as_string()),
            online ? "now" : show_age(agent["lastSeen"].as_string(), now), online ? "" : agent["goodbye"].as_string()};
}

Result<int> list(Context& context, const Arguments&)
{
    auto shown = show_listing(context, {.path = "/v1/agents",
                                        .headings = {"AGENT", "STATE", "MODE", "USER", "ENVIRONMENT", "BUSY", "SYSTEM", "LAST SEEN", "SAID"},
                                        .row = row,
                                        .none = "no agents; `millwright agents invite` makes a code for one"});
    Result<Api*> api = context.api();
    if (!shown || context.console.json() || !api) return shown;
    // They look online and take nothing: said where it is looked at. An older factory has no such route.
    if (const Result<Json> holds = (*api)->get("/v1/holds"); holds)
        for (const Json& hold : (*holds)["items"].as_array()) context.console.note(one_line(fmt::format("{}; {} stops waiting", hold["why"].as_string(), hold["command"].as_string())));
    return shown;
}

void agent_field(Console& console, std::string_view name, const std::string& value)
{
    if (!value.empty()) console.line(fmt::format("{:<13}{}", name, one_line(value)));
}

/// An older factory knows no doctor of agents: then there is none to show.
Json doctor_of(Api& api, const std::string& name)
{
    const Result<Json> doctor = api.get(join_path("/v1/agents", name, "/doctor"));
    return doctor ? *doctor : Json();
}

Result<int> show_one(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const std::string name = arguments.text("NAME");
    Result<Json> agent = (*api)->get(join_path("/v1/agents", name));
    if (!agent) return fail(agent.error());
    const Json doctor = doctor_of(**api, name);
    Console& console = context.console;
    if (console.json()) {
        if (!doctor.is_null()) agent->set("doctor", doctor);
        console.document(*agent);
        return kDone;
    }
    const WallTime now = system_clock().now();
    const Json& facts = (*agent)["facts"];
    agent_field(console, "agent", (*agent)["name"].as_string());
    agent_field(console, "state", (*agent)["state"].as_string() + ((*agent)["goodbye"].as_string().empty() ? "" : ", it said: " + (*agent)["goodbye"].as_string()));
    agent_field(console, "last seen", (*agent)["online"].as_bool() ? "now" : show_age((*agent)["lastSeen"].as_string(), now));
    agent_field(console, "mode", (*agent)["mode"].as_string());
    agent_field(console, "user", (*agent)["user"].as_string());
    agent_field(console, "environment", (*agent)["environment"].as_string());
    agent_field(console, "jobs", fmt::format("{} of {} slots{}{}", (*agent)["busy"].as_integer(), (*agent)["slots"].as_integer(), (*agent)["jobs"].empty() ? "" : ": ", joined((*agent)["jobs"])));
    agent_field(console, "system", fmt::format("{} {}, {} processors, memory by {}", facts["os"]["name"].as_string(), facts["os"]["version"].as_string(), facts["cpus"].as_integer(),
                                               facts["isolation"]["memory"].as_string()));
    agent_field(console, "program", facts["millwright"].is_string() ? "millwright " + facts["millwright"].as_string() : "");
    agent_field(console, "key", (*agent)["fingerprint"].as_string());
    const Json& report = doctor["report"];
    if (doctor["state"].as_string() == "failed") agent_field(console, "doctor", doctor["problem"].as_string());
    if (report.is_object()) {
        agent_field(console, "doctor", fmt::format("{}, {}", report["ok"].as_bool() ? "nothing is wrong" : "something is wrong", show_age(report["time"].as_string(), now)));
        show_findings(console, report["checks"]);
    } else if (doctor["state"].as_string() == "none") {
        agent_field(console, "doctor", fmt::format("not asked since the factory started: millwright doctor agent/{}", name));
    }
    return kDone;
}

Status set_labels(Json& body, const Arguments& arguments)
{
    if (!arguments.has("--label")) return {};
    const Result<Json> labels = read_pairs(arguments.texts("--label"), "--label");
    if (!labels) return fail(labels.error());
    body.set("labels", *labels);
    return {};
}

/// Texts of an option that may be repeated, as a list.
void set_list(Json& body, const Arguments& arguments, std::string_view option, std::string_view member)
{
    if (!arguments.has(option)) return;
    Json list = Json::array();
    for (const std::string& text : arguments.texts(option)) list.push(Json(text));
    body.set(std::string(member), std::move(list));
}

Result<int> invite(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Json body = Json::object();
    if (arguments.has("--environment")) body.set("environment", arguments.text("--environment"));
    if (arguments.has("--name")) body.set("name", arguments.text("--name"));
    if (Status labels = set_labels(body, arguments); !labels) return context.usage(labels.error().what);
    if (arguments.has("--uses")) {
        const Result<Json> uses = parse_json(arguments.text("--uses"));
        if (!uses || !uses->is_integer() || uses->as_integer() < 1) return context.usage("--uses must be a number from 1");
        body.set("uses", *uses);
    }
    if (arguments.has("--for")) {
        const Result<Milliseconds> life = parse_duration(arguments.text("--for"));
        if (!life) return context.usage("--for: " + life.error().what);
        body.set("forMs", static_cast<std::int64_t>(life->count()));
    }
    body.set("approve", arguments.has("--approve"));
    set_list(body, arguments, "--approve-in", "approveIn");
    if (arguments.has("--approve-in")) body.set("approve", true);
    if (arguments.has("--take-over")) body.set("takeOver", true);
    for (const char* member : {"mode", "user"})
        if (const std::string option = fmt::format("--{}", member); arguments.has(option)) body.set(member, arguments.text(option));
    const Result<Json> made = (*api)->post("/v1/agents/invitations", body);
    if (!made) return fail(made.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(*made);
        return kDone;
    }
    console.line((*made)["code"].as_string());
    console.note(fmt::format("valid until {}. On the machine:\n  millwright-agent enrol --data DIR --factory {} --code-file -\nand type the code.",
                             show_time((*made)["expiresAt"].as_string(), system_clock().now()), (*api)->factory()));
    return kDone;
}

/// What a machine that nobody knows yet says of itself: its line stays one.
std::string cell(std::string_view text)
{
    constexpr std::size_t most = 40;
    const std::string line = one_line(text);
    for (std::size_t at = 0, before = 0; at < line.size(); before = at) {
        (void)next_code_point(line, at);
        if (at > most) return line.substr(0, before) + "…";
    }
    return line;
}

std::vector<std::string> request_row(const Json& request, WallTime now)
{
    const Json& os = request["facts"]["os"];
    const std::string& takes = request["takes"].as_string();
    return {request["code"].as_string(), cell(request["name"].as_string()) + (takes.empty() ? "" : " (taken: " + takes + ")"), request["mode"].as_string(),
            cell(request["environment"].as_string()), cell(request["address"].as_string()), cell(os["name"].as_string() + " " + os["version"].as_string()),
            request["fingerprint"].as_string(), show_age(request["createdAt"].as_string(), now)};
}

Result<int> requests(Context& context, const Arguments&)
{
    return show_listing(context, {.path = "/v1/agents/requests",
                                  .headings = {"CODE", "NAME", "MODE", "ENVIRONMENT", "ADDRESS", "SYSTEM", "FINGERPRINT", "SINCE"},
                                  .row = request_row,
                                  .none = "no machine asks to be admitted; `millwright-agent enrol --data DIR --factory URL` on a machine asks"});
}

Result<int> admit(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Json body = Json::object();
    if (arguments.has("--environment")) body.set("environment", arguments.text("--environment"));
    if (arguments.has("--name")) body.set("name", arguments.text("--name"));
    set_list(body, arguments, "--approve-in", "approveIn");
    if (arguments.has("--take-over")) body.set("takeOver", true);
    if (arguments.has("--user")) body.set("user", arguments.text("--user"));
    if (Status labels = set_labels(body, arguments); !labels) return context.usage(labels.error().what);
    const Result<Json> agent = (*api)->post(join_path("/v1/agents/requests", arguments.text("CODE"), "/admit"), body);
    if (!agent) return fail(agent.error());
    if (context.console.json()) context.console.document(*agent);
    else
        context.console.line(fmt::format("{} is an agent of environment {}, {}; its key is {}", one_line((*agent)["name"].as_string()), one_line((*agent)["environment"].as_string()),
                                         (*agent)["mode"].as_string(), (*agent)["fingerprint"].as_string()));
    return kDone;
}

Result<int> refuse(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Json body = Json::object();
    if (arguments.has("--why")) body.set("why", arguments.text("--why"));
    const std::string code = arguments.text("CODE");
    const Result<Json> done = (*api)->post(join_path("/v1/agents/requests", code, "/refuse"), body);
    if (!done) return fail(done.error());
    if (!context.console.json()) context.console.line(fmt::format("{} is refused", one_line(code)));
    return kDone;
}

Result<int> set(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Json body = Json::object();
    if (arguments.has("--mode")) body.set("mode", arguments.text("--mode"));
    if (arguments.has("--pause")) body.set("paused", true);
    if (arguments.has("--resume")) body.set("paused", false);
    if (arguments.has("--freeze")) body.set("frozen", true);
    if (arguments.has("--unfreeze")) body.set("frozen", false);
    if (arguments.has("--revoke")) body.set("revoked", true);
    if (arguments.has("--environment")) body.set("environment", arguments.text("--environment"));
    if (arguments.has("--approve")) body.set("approved", true);
    if (arguments.has("--user") && arguments.has("--no-user")) return context.usage("--user and --no-user exclude each other");
    if (arguments.has("--user")) body.set("user", arguments.text("--user"));
    if (arguments.has("--no-user")) body.set("user", "");
    set_list(body, arguments, "--approve-in", "approvedIn");
    if (Status labels = set_labels(body, arguments); !labels) return context.usage(labels.error().what);
    if (arguments.has("--sessions")) {
        const std::string word = arguments.text("--sessions");
        if (word != "on" && word != "off") return context.usage("--sessions is on or off");
        body.set("sessions", word == "on");
    }
    if (body.empty()) {
        return context.usage("nothing to set: say --mode, --pause, --resume, --approve, --approve-in, --freeze, --unfreeze, --revoke, --environment, --user, --no-user, --sessions or --label");
    }
    const std::string& name = arguments.text("NAME");
    const Result<Json> agent = (*api)->send({.method = "PATCH", .path = join_path("/v1/agents", name), .body = body});
    if (!agent) return fail(agent.error());
    Console& console = context.console;
    if (console.json()) console.document(*agent);
    else
        console.line(fmt::format("{} is {}, {}{}", one_line((*agent)["name"].as_string()), (*agent)["mode"].as_string(), (*agent)["state"].as_string(),
                                 (*agent)["user"].is_string() ? ", the agent of " + one_line((*agent)["user"].as_string()) : ""));
    return kDone;
}

}  // namespace

Command agents_command()
{
    return {.name = "agents", .summary = "List agents; `agents invite` and `agents admit` let one in, `agents set` changes one", .examples = "millwright agents\nmillwright agents --json", .options = {}, .run = list};
}

Command agents_invite_command()
{
    return {.name = "agents invite",
            .summary = "Make a code with which a machine enrols; prints the code",
            .examples = "millwright agents invite --environment default --name 'srv-*' --approve\nmillwright agents invite --label site=berlin --uses 10 --for 30m\nmillwright agents invite --name srv-1 --take-over --approve\nmillwright agents invite --name pc-anna --mode attended --user anna --approve",
            .options = {{"--environment", "NAME", "Environment that the agents join"},
                        {"--name", "PATTERN", "Names that they may take"},
                        {"--label", "K=V", "A label that they get; may be repeated", false, true},
                        {"--uses", "N", "How many machines may use the code (1)"},
                        {"--for", "DURATION", "How long it is valid (10m)"},
                        {"--approve", "", "They are approved at once; else `agents set NAME --approve` does it"},
                        {"--approve-in", "NAME", "For this environment, too; '*' for all; may be repeated", false, true},
                        {"--mode", "MODE", "attended or unattended, whatever the machine says"},
                        {"--user", "NAME", "The person whose desktop it stands beside"},
                        {"--take-over", "", "The agent of that --name gets a new key; the one before ends"}},
            .run = invite};
}

Command agents_requests_command()
{
    return {.name = "agents requests",
            .summary = "List machines that ask to be admitted without a code, for fifteen minutes",
            .examples = "millwright agents requests\nmillwright agents requests --json",
            .options = {},
            .run = requests};
}

Command agents_admit_command()
{
    return {.name = "agents admit",
            .summary = "Admit a machine that asks; compare the fingerprint with what the machine shows first",
            .examples = "millwright agents admit BQKR-7TZM\nmillwright agents admit BQKR-7TZM --environment it-services --name srv-7 --label site=berlin",
            .options = {{"CODE", "", "As the machine shows it", true},
                        {"--environment", "NAME", "Environment that it joins (as it asked, or default)"},
                        {"--name", "NAME", "Another name than it asked for"},
                        {"--label", "K=V", "A label that it gets; may be repeated", false, true},
                        {"--approve-in", "NAME", "It may have jobs of this environment, too; may be repeated", false, true},
                        {"--user", "NAME", "The person whose desktop it stands beside"},
                        {"--take-over", "", "It becomes the agent of that name; the key of the one before ends"}},
            .run = admit};
}

Command agents_refuse_command()
{
    return {.name = "agents refuse",
            .summary = "Refuse a machine that asks to be admitted",
            .examples = "millwright agents refuse BQKR-7TZM --why 'nobody here knows this machine'",
            .options = {{"CODE", "", "As `agents requests` shows it", true}, {"--why", "TEXT", "What the machine is told"}},
            .run = refuse};
}

Command agents_show_command()
{
    return {.name = "agents show",
            .summary = "Show one agent: state, jobs, machine, and what its last doctor found",
            .examples = "millwright agents show srv-1\nmillwright agents show srv-1 --json",
            .options = {{"NAME", "", "The agent", true}},
            .run = show_one};
}

Command agents_set_command()
{
    return {.name = "agents set",
            .summary = "Change an agent: mode, state, labels, approval, whose it is",
            .examples = "millwright agents set srv-1 --mode unattended\nmillwright agents set srv-1 --pause\nmillwright agents set srv-2 --approve\nmillwright agents set srv-3 --revoke\nmillwright agents set pc-anna --user anna",
            .options = {{"NAME", "", "The agent", true},
                        {"--mode", "MODE", "attended or unattended"},
                        {"--pause", "", "Running jobs go on, no new ones"},
                        {"--resume", "", "Takes new jobs again"},
                        {"--freeze", "", "It may not call the factory until --unfreeze"},
                        {"--unfreeze", "", "Admit it again after its key was used twice; enrol it anew unless you know why"},
                        {"--revoke", "", "Its key ends for good: it has to be enrolled again (`agents invite --name NAME --take-over`)"},
                        {"--environment", "NAME", "Moves it there"},
                        {"--approve", "", "It may be given jobs of its environment"},
                        {"--approve-in", "NAME", "Replaces the environments that it is approved for; '*' is all; may be repeated", false, true},
                        {"--user", "NAME", "The person whose desktop it stands beside"},
                        {"--no-user", "", "It is nobody's"},
                        {"--sessions", "WORD", "on or off: people of its machine may join with agents of their own, and are who that machine's system says (`millwright-agent enrol --through-machine`)"},
                        {"--label", "K=V", "Replaces its labels; may be repeated", false, true}},
            .run = set};
}

}  // namespace mill::cli
