#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/listing.h"

namespace mill::cli {

namespace {

std::string ends_text(const std::string& expires, WallTime now)
{
    const auto end = parse_time(expires);
    return !end ? "never" : *end <= now ? "expired" : show_time(expires, now);
}

std::vector<std::string> row(const Json& token, WallTime now)
{
    const std::string& trigger = token["trigger"].as_string();
    const std::string& used = token["lastUsedAt"].as_string();
    return {token["id"].as_string(), token["kind"].as_string(), token["name"].as_string(), token["role"].as_string(),
            !trigger.empty() ? trigger : token["environments"].is_null() ? token["environment"].as_string() : joined(token["environments"]), joined(token["scopes"]), ends_text(token["expiresAt"].as_string(), now), show_age(token["createdAt"].as_string(), now), used.empty() ? "never" : show_age(used, now)};
}

Result<int> list(Context& context, const Arguments&)
{
    return show_listing(context, {.path = "/v1/tokens",
                                  .headings = {"ID", "KIND", "NAME", "ROLE", "OF", "SCOPES", "EXPIRES", "MADE", "LAST USED"},
                                  .row = row,
                                  .none = "no tokens; `millwright tokens create NAME` makes one"});
}

int show_token(Console& console, const Json& made, std::string_view note)
{
    if (console.json()) {
        console.document(made);
        return kDone;
    }
    console.line(made["token"].as_string());
    console.note(fmt::format("It is shown this once. {}", note));
    return kDone;
}

Result<int> create(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Json body = Json::object({{"kind", arguments.has("--admin") ? "admin" : "user"}, {"name", arguments.text("NAME")}});
    if (arguments.has("--admin") && (arguments.has("--role") || arguments.has("--environment") || arguments.has("--scope")))
        return context.usage("--admin is a token that may do all: it takes no --role, --environment or --scope");
    if (!arguments.has("--admin")) body.set("role", arguments.text("--role", "viewer"));
    for (const auto& [option, member] : {std::pair{"--environment", "environments"}, {"--scope", "scopes"}}) {
        Json list = Json::array();
        for (const std::string& each : arguments.texts(option)) list.push(Json(each));
        if (!list.empty()) body.set(member, std::move(list));
    }
    if (arguments.has("--expires")) body.set("expires", arguments.text("--expires"));
    const Result<Json> made = (*api)->post("/v1/tokens", body);
    if (!made) return fail(made.error());
    return show_token(context.console, *made, fmt::format("Its id is {}; `millwright tokens revoke {}` ends it.", (*made)["id"].as_string(), (*made)["id"].as_string()));
}

Result<int> revoke(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    for (const std::string& id : arguments.texts("ID")) {
        const Result<Json> gone = (*api)->send({.method = "DELETE", .path = join_path("/v1/tokens", id)});
        if (!gone) return fail(gone.error());
        if (context.console.json()) context.console.record(Json::object({{"id", id}, {"revoked", true}}));
        else context.console.line(id + " is revoked");
    }
    return kDone;
}

Result<int> rotate(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Json body = Json::object();
    if (arguments.has("--overlap")) body.set("overlap", arguments.text("--overlap"));
    const std::string id = arguments.text("ID");
    const Result<Json> made = (*api)->post(join_path("/v1/tokens", id, "/rotate"), body);
    if (!made) return fail(made.error());
    return show_token(context.console, *made, fmt::format("Its id is {}; {} holds for {} beside it.", (*made)["id"].as_string(), id, arguments.text("--overlap", "24h")));
}

Result<int> key(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const Result<Json> made = (*api)->post(join_path("/v1/environments", arguments.text("NAME"), "/key"), Json(), {{"rotate", arguments.has("--rotate") ? "true" : ""}});
    if (!made) return fail(made.error());
    return show_token(context.console, *made, "Callers send it as the header irpa-api-key.");
}

Result<int> release(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const std::string name = arguments.text("NAME");
    const Result<Json> done = (*api)->post(join_path("/v1/environments", name, "/release"), Json::object());
    if (!done) return fail(done.error());
    if (context.console.json()) context.console.record(Json::object({{"environment", name}, {"released", true}}));
    else context.console.line(name + ": waits no longer for what its agents did since the backup; jobs start again");
    return kDone;
}

}  // namespace

Command tokens_command()
{
    return {.name = "tokens", .summary = "List tokens; `tokens create` makes one, `tokens revoke` ends one", .examples = "millwright tokens", .options = {}, .run = list};
}

Command tokens_create_command()
{
    return {.name = "tokens create",
            .summary = "Make a token for a person or program; prints it once",
            .examples = "millwright tokens create ci --role developer --environment test --expires 90d\nmillwright tokens create dashboard --role viewer --scope jobs:read --scope agents:read\nmillwright tokens create anna --admin",
            .options = {{"NAME", "", "Who will use it", true},
                        {"--role", "ROLE", "viewer reads, operator also acts, developer also publishes and applies, admin does all (viewer)"},
                        {"--environment", "NAME", "Where it has that role; may be repeated (all environments)", false, true},
                        {"--scope", "AREA", "Only that part of the API: resources, packages, credentials, access, runs, jobs, deliveries, agents, events, audit, metrics, questions; with :read behind it only reading; may be repeated (all)", false, true},
                        {"--expires", "TIME", "When it ends: 90d, 2027-06-01T00:00:00Z (never)"},
                        {"--admin", "", "An admin token; the file admin-token of the factory goes"}},
            .run = create};
}

Command tokens_revoke_command()
{
    return {.name = "tokens revoke", .summary = "End tokens by their ids", .examples = "millwright tokens revoke 3dc1yq7mtao9", .options = {{"ID", "", "As `millwright tokens` lists them", true, true}}, .run = revoke};
}

Command tokens_rotate_command()
{
    return {.name = "tokens rotate",
            .summary = "Make another token with the same rights; the old one ends after a while",
            .examples = "millwright tokens rotate 3dc1yq7mtao9\nmillwright tokens rotate 3dc1yq7mtao9 --overlap 0s",
            .options = {{"ID", "", "As `millwright tokens` lists them", true}, {"--overlap", "TIME", "So long the old one holds beside the new one, at most 30d (24h)"}},
            .run = rotate};
}

Command environments_key_command()
{
    return {.name = "environments key",
            .summary = "Make an environment's API key, for callers in SAP's form",
            .examples = "millwright environments key default\nmillwright environments key default --rotate",
            .options = {{"NAME", "", "The environment", true}, {"--rotate", "", "When there are two already: end the older one"}},
            .run = key};
}

Command environments_release_command()
{
    return {.name = "environments release",
            .summary = "After a restore: stop waiting for agents that have not said what they ran since; it may run again",
            .examples = "millwright environments release default",
            .options = {{"NAME", "", "The environment", true}},
            .run = release};
}

}  // namespace mill::cli
