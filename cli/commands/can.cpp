#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/resources.h"

namespace mill::cli {

namespace {

struct Asked {
    std::string method, path;
};

/// The call that ACTION on KIND/NAME is: read, write and delete are the thing's own, the others are below it.
Result<Asked> call_of(const std::string& action, const std::string& thing)
{
    if (thing.starts_with('/')) return Asked{action, thing};
    const auto slash = thing.find('/');
    std::string kind = thing.substr(0, slash);
    if (kind == "delivery") kind = "deliveries";
    else if (kind != "deliveries" && kind != "audit") {
        auto plural = plural_of_kind(kind);
        if (!plural) return fail(plural.error());
        kind = std::move(*plural);
    }
    const std::string path = slash == std::string::npos ? "/v1/" + kind : join_path("/v1/" + kind, thing.substr(slash + 1));
    if (action == "read") return Asked{"GET", path};
    if (action == "write") return Asked{kind == "agents" ? "PATCH" : "PUT", path};
    if (action == "delete") return Asked{"DELETE", path};
    if (action == "create") return Asked{"POST", path};
    return Asked{"POST", path + "/" + (action == "run" ? "runs" : action)};
}

Result<int> run(Context& context, const Arguments& arguments)
{
    const auto asked = call_of(arguments.text("ACTION"), arguments.text("THING"));
    if (!asked) return fail(asked.error());
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const Result<Json> found = (*api)->get("/v1/can", {{"who", arguments.text("USER")}, {"method", asked->method}, {"path", asked->path}});
    if (!found) return fail(found.error());
    Console& console = context.console;
    bool allowed = false;
    for (const Json& item : items(*found)) {
        const bool may = item["allowed"].as_bool();
        allowed = allowed || may;
        if (console.json()) continue;
        const std::string who = one_line(fmt::format("{} ({})", arguments.text("USER"), item["id"].as_string()));
        console.line(may ? fmt::format("{} {}", who, console.paint(Style::good, "may")) : fmt::format("{} {}: {}", who, console.paint(Style::bad, "may not"), one_line(item["text"].as_string())));
    }
    if (console.json()) console.document(*found);
    return allowed ? kDone : kRefused;
}

}  // namespace

Command can_command()
{
    return {.name = "can",
            .summary = "Say whether somebody's token may do something, and what it lacks",
            .examples = "millwright can ci run trigger/order-status-api\nmillwright can anna cancel job/01a21c9b-bcd5-758f-8d52-f8d808427236\nmillwright can ci write deployment/order-status\nmillwright can ci POST /v1/apply",
            .options = {{"USER", "", "The name or id of a token", true},
                        {"ACTION", "", "read, write, delete, create, run, cancel, retry, pause, resume, rollback, resend, …; or an HTTP method", true},
                        {"THING", "", "KIND/NAME; or a path of the API", true}},
            .run = run,
            .notes = "Exit status 0 when it may, 77 when it may not."};
}

}  // namespace mill::cli
