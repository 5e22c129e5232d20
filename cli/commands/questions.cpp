#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/input.h"
#include "cli/jobs.h"
#include "cli/listing.h"

namespace mill::cli {

namespace {

std::string value_of(const Json& answer) { return answer.is_bool() ? answer.as_bool() ? "yes" : "no" : answer.is_string() ? answer.as_string() : dump_json(answer); }

std::vector<std::string> row(const Json& question, WallTime now)
{
    const bool open = question["state"].as_string() == "open";
    return {question["id"].as_string(), question["state"].as_string(), show_age(question["createdAt"].as_string(), now), question["job"].as_string(), question["whoMayAnswer"].as_string(),
            open ? show_time(question["deadline"].as_string(), now) : question["answeredBy"].as_string(), question["text"].as_string()};
}

Result<int> list(Context& context, const Arguments& arguments)
{
    std::string job;
    if (arguments.has("--job")) {
        Result<Api*> api = context.api();
        if (!api) return fail(api.error());
        const Result<std::string> uid = resolve_job(**api, arguments.text("--job"));
        if (!uid) return fail(uid.error());
        job = *uid;
    }
    const std::string state = arguments.text("--state", job.empty() ? "open" : "all");
    return show_listing(context, {.path = "/v1/questions",
                                  .query = {{"state", state == "all" ? "" : state}, {"job", job}, {"limit", arguments.text("--limit", "50")}, {"cursor", arguments.text("--cursor")}},
                                  .headings = {"QUESTION", "STATE", "ASKED", "JOB", "WHO MAY ANSWER", "UNTIL / BY", "TEXT"}, .row = row,
                                  .none = state == "open" ? "no question is open (--state all shows those of before)" : "no questions", .more = "millwright questions --cursor"});
}

void show_question(Console& console, const Json& question)
{
    const WallTime now = system_clock().now();
    const std::string& state = question["state"].as_string();
    console.line(fmt::format("{}  {}", console.paint(Style::strong, one_line(question["text"].as_string())), console.paint(style_of_state(state), state)));
    const auto line = [&](std::string_view label, const std::string& text) {
        if (!text.empty()) console.line(fmt::format("  {:<9}{}", label, one_line(text)));
    };
    line("id", question["id"].as_string());
    line("job", fmt::format("{} of trigger {}", question["job"].as_string(), question["trigger"].as_string()));
    line("asked", show_time(question["createdAt"].as_string(), now));
    line("of", question["whoMayAnswer"].as_string());
    line("not of", joined(question["notBy"]));
    line("until", question["deadline"].is_string() ? show_time(question["deadline"].as_string(), now) : "");
    if (question["schema"].is_object() && question["kind"].as_string() != "approval") line("form", dump_json(question["schema"]));
    if (question.contains("answer")) line("answer", value_of(question["answer"]));
    line("comment", question["comment"].as_string());
    if (question["answeredBy"].is_string())
        line("by", fmt::format("{} ({}) at {}", question["answeredBy"].as_string(), question["way"].as_string(), show_time(question["closedAt"].as_string(), now)));
    line("why", question["why"].as_string());
    if (state == "open") {
        const bool yes_or_no = question["schema"]["type"].as_string() == "boolean";
        line("answer it", fmt::format(" millwright questions answer {} {}", question["id"].as_string(), yes_or_no ? "--yes | --no" : "--input FILE"));
    }
}

Result<int> show(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const Result<Json> found = (*api)->get(join_path("/v1/questions", arguments.text("ID")));
    if (!found) return fail(found.error());
    if (context.console.json()) context.console.document(*found);
    else show_question(context.console, *found);
    return kDone;
}

Result<int> answer(Context& context, const Arguments& arguments)
{
    if (arguments.has("--yes") + arguments.has("--no") + arguments.has("--input") != 1) return context.usage("say one of --yes, --no and --input FILE");
    Json body = Json::object();
    if (arguments.has("--input")) {
        Result<Json> value = read_value(arguments.text("--input"), context.stop);
        if (!value) return fail(value.error());
        body.set("answer", std::move(*value));
    } else {
        body.set("answer", arguments.has("--yes"));
    }
    if (arguments.has("--comment")) body.set("comment", arguments.text("--comment"));
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const Result<Json> answered = (*api)->post(join_path("/v1/questions", arguments.text("ID"), "/answer"), body);
    if (!answered) return fail(answered.error());
    if (context.console.json()) {
        context.console.document(*answered);
        return kDone;
    }
    const bool approval = (*answered)["kind"].as_string() == "approval" && !(*answered).contains("attempt");
    const std::string job = one_line((*answered)["job"].as_string());
    context.console.line(!approval ? fmt::format("answered; job {} goes on", job)
                                   : arguments.has("--no") ? fmt::format("refused: job {} is cancelled", job) : fmt::format("approved: job {} may start", job));
    return kDone;
}

const std::vector<Option>& list_options()
{
    static const std::vector<Option> options = {{"--state", "STATE", "open, answered, expired, withdrawn or all (open)"},
                                                {"--job", "JOB", "Of this job, whatever their state"},
                                                {"--limit", "N", "At most so many (50)"},
                                                {"--cursor", "CURSOR", "Go on where a list ended"}};
    return options;
}

}  // namespace

Command questions_command()
{
    return {.name = "questions",
            .summary = "List what people are asked and have not answered; `questions show` and `questions answer` look at one",
            .examples = "millwright questions\nmillwright questions --job last",
            .options = list_options(),
            .run = list};
}

Command questions_list_command()
{
    return {.name = "questions list", .summary = "The same as `questions`", .examples = "millwright questions list --state all", .options = list_options(), .run = list};
}

Command questions_show_command()
{
    return {.name = "questions show",
            .summary = "Show a question: what, of whom, until when, and the answer",
            .examples = "millwright questions show 019ac1d2-77aa-7c01-9a51-3b8d1c2f3fa9",
            .options = {{"ID", "", "The question", true}},
            .run = show};
}

Command questions_answer_command()
{
    return {.name = "questions answer",
            .summary = "Answer a question; yes lets a job that waits for approval start, no cancels it",
            .examples = "millwright questions answer 019ac1d2-77aa-7c01-9a51-3b8d1c2f3fa9 --yes\n"
                        "millwright questions answer 019ac1d2-77aa-7c01-9a51-3b8d1c2f3fa9 --no --comment 'too dear'\n"
                        "millwright questions answer 019ac1d2-77aa-7c01-9a51-3b8d1c2f3fa9 --input answer.json",
            .options = {{"ID", "", "The question", true},
                        {"--yes", "", "Yes"},
                        {"--no", "", "No"},
                        reads_file({"--input", "FILE", "The answer as JSON or YAML, as the question's form says; - is standard input"}),
                        {"--comment", "TEXT", "Kept with the answer"}},
            .run = answer,
            .notes = "The first answer counts; nobody approves what he asked for himself."};
}

}  // namespace mill::cli
