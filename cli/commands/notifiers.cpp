#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/input.h"
#include "cli/listing.h"

namespace mill::cli {

namespace {

std::vector<std::string> row(const Json& notifier, WallTime)
{
    const Json& chat = notifier["chat"];
    return {notifier["name"].as_string(), chat.is_object() ? "chat/" + chat["platform"].as_string() : notifier["type"].as_string(), notifier["trigger"].as_string(),
            joined(notifier["on"]), chat.is_object() ? chat["baseUrl"].as_string() : notifier["api"]["url"].as_string()};
}

Result<int> list(Context& context, const Arguments&)
{
    return show_listing(context, {.path = "/v1/notifiers", .headings = {"NOTIFIER", "TYPE", "OF", "ON", "TO"}, .row = row, .none = "no notifiers; `millwright apply -f FILE` makes them"});
}

Result<int> test(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Json body = Json::object();
    for (const auto& [option, member] : {std::pair{"--context", "invocationContext"}, {"--output", "output"}}) {
        if (!arguments.has(option)) continue;
        Result<Json> value = read_value(arguments.text(option), context.stop);
        if (!value) return fail(value.error());
        body.set(member, *value);
    }
    Call call{.method = "POST", .path = join_path("/v1/notifiers", arguments.text("NAME"), "/test"), .body = body};
    call.timeout = std::chrono::seconds(90);
    const Result<Json> answer = (*api)->send(call);
    if (!answer) return fail(answer.error());
    Console& console = context.console;
    const bool good = (*answer)["ok"].as_bool();
    if (console.json()) {
        console.document(*answer);
        return good ? kDone : kFaulted;
    }
    const Json& response = (*answer)["response"];
    const Json& said = response["body"];
    console.line(fmt::format("{}  {}", console.paint(good ? Style::good : Style::bad, good ? "it works" : "it does not work"), one_line((*answer)["request"]["url"].as_string())));
    if (response["status"].as_integer() > 0) console.line(fmt::format("  status  {}", response["status"].as_integer()));
    if (!said.is_null()) console.line("  answer  " + one_line(said.is_string() ? said.as_string() : dump_json(said)));
    if (const std::string& error = (*answer)["error"].as_string(); !error.empty()) console.line("  error   " + one_line(error));
    return good ? kDone : kFaulted;
}

}  // namespace

Command notifiers_command()
{
    return {.name = "notifiers", .summary = "List notifiers; `notifiers test` tries one out", .examples = "millwright notifiers", .options = {}, .run = list};
}

Command notifiers_test_command()
{
    return {.name = "notifiers test",
            .summary = "Send a real notification now and show the remote's answer",
            .examples = "millwright notifiers test order-status-chat\nmillwright notifiers test order-status-chat --context conversation.json",
            .options = {{"NAME", "", "The notifier", true},
                        reads_file({"--context", "FILE", "invocationContext to try with, such as {conversationId: …}"}),
                        reads_file({"--output", "FILE", "Output of the job to try with"})},
            .run = test};
}

}  // namespace mill::cli
