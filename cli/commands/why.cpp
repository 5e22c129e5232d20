#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/jobs.h"
#include "cli/listing.h"

namespace mill::cli {

namespace {

Result<int> run_all(Context& context, Api& api)
{
    const Result<Json> why = api.get("/v1/why");
    if (!why) return fail(why.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(*why);
        return kDone;
    }
    console.line(printable((*why)["text"].as_string()));
    const WallTime now = system_clock().now();
    Table table({"JOB", "TRIGGER", "SINCE", "WHY"});
    for (const Json& item : items(*why))
        table.add({item["job"].as_string(), item["trigger"].as_string(), show_time(item["since"].as_string(), now), item["text"].as_string()});
    if (!table.empty()) table.show(console);
    return kDone;
}

Result<int> run(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    if (!arguments.has("JOB")) return run_all(context, **api);
    const std::string what = arguments.text("JOB");
    const std::size_t slash = what.find('/');
    Result<Json> why = fail(Errc::internal, "");
    if (slash != std::string::npos) {
        const std::string kind = what.substr(0, slash);
        if (kind != "trigger" && kind != "environment" && kind != "deployment" && kind != "notifier")
            return context.usage("JOB is a job's uid, trigger/NAME, deployment/NAME, environment/NAME or notifier/NAME");
        why = (*api)->get(join_path("/v1/" + kind + "s", what.substr(slash + 1), "/why"));
    } else {
        const Result<std::string> uid = resolve_job(**api, what);
        if (!uid) return fail(uid.error());
        why = (*api)->get(join_path("/v1/jobs", *uid, "/why"));
    }
    if (!why) return fail(why.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(*why);
        return kDone;
    }
    if (slash == std::string::npos) console.line(fmt::format("{}: {}", state_text(console, *why), printable((*why)["text"].as_string())));
    else console.line(printable((*why)["text"].as_string()));
    for (const std::string& line : reason_lines((*why)["reasons"], (*why)["text"])) console.line(line);
    return kDone;
}

}  // namespace

Command why_command()
{
    return {.name = "why",
            .summary = "Say why a job is not further, what all waiting jobs wait for, or whether a job could run now",
            .examples = "millwright why\nmillwright why last\nmillwright why trigger/order-status\nmillwright why deployment/order-status\nmillwright why environment/default\nmillwright why notifier/order-status-chat",
            .options = {{"JOB", "", "The job's uid, its beginning or end, or `last`; trigger/NAME, deployment/NAME or environment/NAME: whether a job of it could run now; notifier/NAME: whether its deliveries arrive; none: all that wait"}},
            .run = run};
}

}  // namespace mill::cli
