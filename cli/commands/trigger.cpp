#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/input.h"
#include "cli/jobs.h"
#include "platform/base/ids.h"

namespace mill::cli {

namespace {

constexpr std::chrono::seconds kHold{25};  // below what proxies cut

/// Asks again with the same key until the job has ended: a call that was cut off never starts a second job.
Result<Json> start_and_wait(Context& context, Api& api, Call call, bool wait, std::optional<SteadyTime> deadline)
{
    bool told = false;
    for (int failures = 0;;) {
        Result<Json> answer = api.send(call);
        if (!answer) {
            if (!told || !is_retryable(answer.error()) || ++failures > 20 || context.stop.stop_requested()) return answer;
            if (!system_clock().sleep(std::chrono::seconds(1), context.stop)) return answer;
            continue;
        }
        failures = 0;
        if (!wait || is_final_state((*answer)["state"].as_string())) return answer;
        if (!told) {
            const std::string& waiting = (*answer)["waitingFor"].as_string();
            context.console.note(fmt::format("job {}{}", uid_of(*answer), waiting.empty() ? "" : " waits: " + printable(waiting)));
            told = true;
        }
        if (deadline && system_clock().steady() >= *deadline)
            return fail(Errc::timeout, fmt::format("the job is {} and goes on; `millwright show {}` looks at it", (*answer)["state"].as_string(),
                                                   uid_of(*answer)));
    }
}

Result<Json> body_of(Context& context, const Arguments& arguments)
{
    Json body = Json::object();
    if (arguments.has("--input")) {
        Result<Json> input = read_value(arguments.text("--input"), context.stop);
        if (!input) return fail(input.error());
        body.set("input", *input);
    }
    if (arguments.has("--context")) {
        Result<Json> value = read_object(arguments.text("--context"), context.stop);
        if (!value) return fail(value.error());
        body.set("invocationContext", *value);
    }
    if (arguments.has("--trace")) body.set("trace", true);
    return body;
}

Result<int> run(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Result<Json> body = body_of(context, arguments);
    if (!body) return fail(body.error());
    const bool wait = arguments.has("--wait") || arguments.has("--timeout");
    std::optional<SteadyTime> deadline;
    if (arguments.has("--timeout")) {
        const Result<Milliseconds> limit = parse_duration(arguments.text("--timeout"));
        if (!limit) return context.usage("--timeout: " + limit.error().what);
        deadline = system_clock().steady() + *limit;
    }
    Call call{.method = "POST", .path = join_path("/v1/triggers", arguments.text("NAME"), "/runs"), .body = *body};
    call.headers.emplace_back("Idempotency-Key", arguments.text("--idempotency-key", new_uid()));
    if (wait) {
        auto hold = kHold;
        if (deadline) hold = std::clamp(std::chrono::duration_cast<std::chrono::seconds>(*deadline - system_clock().steady()), std::chrono::seconds(1), kHold);
        call.headers.emplace_back("Prefer", fmt::format("wait={}", hold.count()));
        call.timeout = kHold + std::chrono::seconds(30);
    }
    const Result<Json> answer = start_and_wait(context, **api, call, wait, deadline);
    if (!answer) return fail(answer.error());
    Console& console = context.console;
    if (wait) return show_ending(console, *answer);
    if (console.json()) {
        console.document(*answer);
        return kDone;
    }
    console.line(uid_of(*answer));
    const std::string& waiting = (*answer)["waitingFor"].as_string();
    console.note(waiting.empty() ? fmt::format("{}; `millwright show {}` looks at it", (*answer)["state"].as_string(), uid_of(*answer))
                                 : "waits: " + printable(waiting));
    return kDone;
}

}  // namespace

Command trigger_command()
{
    return {.name = "trigger",
            .summary = "Start a job; prints its uid, or with --wait its output",
            .examples = "millwright trigger order-status-api --input order.json --wait\n"
                        "echo '{\"order\": \"4711\"}' | millwright trigger order-status-api --input - --wait --timeout 2m",
            .options = {{"NAME", "", "The trigger", true},
                        reads_file({"--input", "FILE", "Input of the workflow, JSON or YAML; - is standard input"}),
                        reads_file({"--context", "FILE", "invocationContext: what notifiers get back, such as {conversationId: …}"}),
                        {"-w,--wait", "", "Wait for the end and print the output; the exit status is the job's"},
                        {"--trace", "", "Each step's record keeps what it got and came to; `millwright test --from JOB` makes a test of it"},
                        {"--timeout", "DURATION", "Wait at most so long (10s, 5m); the job goes on"},
                        {"--idempotency-key", "KEY", "The same key starts one job only"}},
            .run = run};
}

}  // namespace mill::cli
