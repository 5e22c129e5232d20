#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/input.h"
#include "cli/listing.h"

namespace mill::cli {

namespace {

std::vector<std::string> row(const Json& agent, WallTime now)
{
    const Json& os = agent["facts"]["os"];
    const bool online = agent["online"].as_bool();
    return {agent["name"].as_string(), agent["state"].as_string(), agent["mode"].as_string(), agent["environment"].as_string(),
            fmt::format("{}/{}", agent["busy"].as_integer(), agent["slots"].as_integer()),
            os["name"].as_string() + (os["version"].as_string().empty() ? "" : " " + os["version"].as_string()),
            online ? "now" : show_age(agent["lastSeen"].as_string(), now), online ? "" : agent["goodbye"].as_string()};
}

Result<int> list(Context& context, const Arguments&)
{
    return show_listing(context, {.path = "/v1/agents",
                                  .headings = {"AGENT", "STATE", "MODE", "ENVIRONMENT", "BUSY", "SYSTEM", "LAST SEEN", "SAID"},
                                  .row = row,
                                  .none = "no agents; `millwright agents invite` makes a code for one"});
}

Status set_labels(Json& body, const Arguments& arguments)
{
    if (!arguments.has("--label")) return {};
    const Result<Json> labels = read_pairs(arguments.texts("--label"), "--label");
    if (!labels) return fail(labels.error());
    body.set("labels", *labels);
    return {};
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
    if (arguments.has("--approve")) body.set("approve", true);
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

Result<int> set(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Json body = Json::object();
    if (arguments.has("--mode")) body.set("mode", arguments.text("--mode"));
    if (arguments.has("--pause")) body.set("paused", true);
    if (arguments.has("--resume")) body.set("paused", false);
    if (arguments.has("--unfreeze")) body.set("frozen", false);
    if (arguments.has("--environment")) body.set("environment", arguments.text("--environment"));
    if (arguments.has("--approve")) body.set("approved", true);
    if (Status labels = set_labels(body, arguments); !labels) return context.usage(labels.error().what);
    if (body.empty()) {
        return context.usage("nothing to set: say --mode, --pause, --resume, --approve, --unfreeze, --environment or --label");
    }
    const std::string& name = arguments.text("NAME");
    const Result<Json> agent = (*api)->send({.method = "PATCH", .path = join_path("/v1/agents", name), .body = body});
    if (!agent) return fail(agent.error());
    Console& console = context.console;
    if (console.json()) console.document(*agent);
    else
        console.line(fmt::format("{} is {}, {}", one_line((*agent)["name"].as_string()), (*agent)["mode"].as_string(), (*agent)["state"].as_string()));
    return kDone;
}

}  // namespace

Command agents_command()
{
    return {.name = "agents", .summary = "List agents; `agents invite` admits one, `agents set` changes one", .examples = "millwright agents\nmillwright agents --json", .options = {}, .run = list};
}

Command agents_invite_command()
{
    return {.name = "agents invite",
            .summary = "Make a code with which a machine enrols; prints the code",
            .examples = "millwright agents invite --environment default --name 'srv-*' --approve\nmillwright agents invite --label site=berlin --uses 10 --for 30m",
            .options = {{"--environment", "NAME", "Environment that the agents join"},
                        {"--name", "PATTERN", "Names that they may take"},
                        {"--label", "K=V", "A label that they get; may be repeated", false, true},
                        {"--uses", "N", "How many machines may use the code (1)"},
                        {"--for", "DURATION", "How long it is valid (10m)"},
                        {"--approve", "", "They are approved at once"}},
            .run = invite};
}

Command agents_set_command()
{
    return {.name = "agents set",
            .summary = "Change an agent: mode, state, labels, approval",
            .examples = "millwright agents set srv-1 --mode unattended\nmillwright agents set srv-1 --pause\nmillwright agents set srv-2 --approve",
            .options = {{"NAME", "", "The agent", true},
                        {"--mode", "MODE", "attended or unattended"},
                        {"--pause", "", "Running jobs go on, no new ones"},
                        {"--resume", "", "Takes new jobs again"},
                        {"--unfreeze", "", "Admit it again after its key was used twice; enrol it anew unless you know why"},
                        {"--environment", "NAME", "Moves it there"},
                        {"--approve", "", "It may be given jobs"},
                        {"--label", "K=V", "Replaces its labels; may be repeated", false, true}},
            .run = set};
}

}  // namespace mill::cli
