#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/input.h"
#include "cli/listing.h"

namespace mill::cli {

namespace {

std::string source_of(const Json& notifier)
{
    for (const char* source : {"trigger", "deployment", "environment"})
        if (const std::string& name = notifier[source].as_string(); !name.empty()) return std::string(source) == "trigger" ? name : fmt::format("{} {}", source, name);
    for (const char* source : {"agents", "deliveries", "credentials"})
        if (notifier[source].is_array()) return fmt::format("{} {}", source, joined(notifier[source]));
    return {};
}

/// "success, waiting 5m"
std::string events_of(const Json& notifier)
{
    std::string out;
    for (const Json& one : notifier["on"].as_array()) {
        out += out.empty() ? "" : ", ";
        if (one.is_string()) out += one.as_string();
        else
            for (const auto& [event, how] : one.as_object())
                for (const auto& [member, span] : how.as_object()) out += fmt::format("{} {}", event, span.as_string());
    }
    return out;
}

std::string address_of(const Json& notifier)
{
    const std::string& type = notifier["type"].as_string();
    return type == "chat" ? notifier["chat"]["baseUrl"].as_string() : type == "mail" ? notifier["mail"]["server"].as_string() : notifier["api"]["url"].as_string();
}

std::string state_words(const Json& notifier, WallTime now)
{
    const Json& state = notifier["status"]["deliveries"];
    if (state["state"].as_string() != "held") return state["state"].as_string();
    return fmt::format("held since {}, next probe {}", show_time(state["heldSince"].as_string(), now), show_time(state["nextProbe"].as_string(), now));
}

std::vector<std::string> row(const Json& notifier, WallTime now)
{
    const Json& chat = notifier["chat"];
    return {notifier["name"].as_string(), chat.is_object() ? "chat/" + chat["platform"].as_string() : notifier["type"].as_string(), source_of(notifier), events_of(notifier),
            address_of(notifier), state_words(notifier, now)};
}

Result<int> list(Context& context, const Arguments&)
{
    return show_listing(context, {.path = "/v1/notifiers", .headings = {"NOTIFIER", "TYPE", "OF", "ON", "TO", "RECEIVER"}, .row = row, .none = "no notifiers; `millwright apply -f FILE` makes them"});
}

Result<int> show(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const Result<Json> found = (*api)->get(join_path("/v1/notifiers", arguments.text("NAME")));
    if (!found) return fail(found.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(*found);
        return kDone;
    }
    const Json& notifier = *found;
    const WallTime now = system_clock().now();
    const Json& state = notifier["status"]["deliveries"];
    const auto field = [&](std::string_view name, const std::string& value) {
        if (!value.empty()) console.line(fmt::format("{:<10}{}", name, one_line(value)));
    };
    field("notifier", notifier["name"].as_string());
    field("type", notifier["type"].as_string());
    field("of", source_of(notifier));
    field("on", events_of(notifier));
    field("to", address_of(notifier));
    field("receiver", state_words(notifier, now));
    field("because", state["because"].as_string());
    field("pending", fmt::format("{}", state["pending"].as_integer()));
    field("dead", fmt::format("{}", state["dead"].as_integer()));
    if (state["state"].as_string() == "held") console.note(fmt::format("`millwright notifiers resume {}` sends them now", notifier["name"].as_string()));
    return kDone;
}

Result<int> resume(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const Result<Json> answer = (*api)->post(join_path("/v1/notifiers", arguments.text("NAME"), "/resume"));
    if (!answer) return fail(answer.error());
    if (context.console.json()) context.console.document(*answer);
    else context.console.line(fmt::format("{} deliveries of {} go out now", (*answer)["pending"].as_integer(), one_line(arguments.text("NAME"))));
    return kDone;
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
    if (arguments.has("--on")) body.set("on", Json(arguments.text("--on")));
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

Command notifiers_show_command()
{
    return {.name = "notifiers show", .summary = "Show a notifier and how it goes with its receiver", .examples = "millwright notifiers show order-status-chat", .options = {{"NAME", "", "The notifier", true}}, .run = show};
}

Command notifiers_resume_command()
{
    return {.name = "notifiers resume",
            .summary = "Send the deliveries of a notifier that is held after failures",
            .examples = "millwright notifiers resume order-status-chat",
            .options = {{"NAME", "", "The notifier", true}},
            .run = resume};
}

Command notifiers_test_command()
{
    return {.name = "notifiers test",
            .summary = "Send a real notification now and show the remote's answer",
            .examples = "millwright notifiers test order-status-chat\nmillwright notifiers test order-status-chat --context conversation.json",
            .options = {{"NAME", "", "The notifier", true},
                        {"--on", "EVENT", "As if this had happened; else what it listens to"},
                        reads_file({"--context", "FILE", "invocationContext to try with, such as {conversationId: …}"}),
                        reads_file({"--output", "FILE", "Output of the job to try with"})},
            .run = test};
}

}  // namespace mill::cli
