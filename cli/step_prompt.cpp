#include "cli/step_prompt.h"

#include <fmt/format.h>

#include "cli/trace_view.h"
#include "platform/terminal.h"

namespace mill::cli {

namespace {

constexpr const char* kHelp = R"(  Enter, s      step: run this task up to the next one, into a nested list, too
  n             next: as step, but over what this task holds
  c             continue to the end
  u TASK        until a task of this name or pointer
  w             where the run stands
  q             abort: the run is cancelled
  anything else is a jq expression on the task's data: .  .order  $context  $input  $task.name  [$item, $index]
  = EXPRESSION  the same, for one that looks like a command)";

std::string_view trimmed(std::string_view text)
{
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
    return text;
}

StepCommand go(std::string_view what)
{
    StepCommand out;
    out.send = Json::object({{"step", Json::object({{"do", what}})}});
    return out;
}

StepCommand here(StepCommand::Local what, std::string text = {})
{
    StepCommand out;
    out.local = what;
    out.text = std::move(text);
    return out;
}

}  // namespace

StepCommand read_step(std::string_view line)
{
    using Local = StepCommand::Local;
    line = trimmed(line);
    const auto space = line.find_first_of(" \t");
    const std::string_view word = line.substr(0, space), rest = space == std::string_view::npos ? "" : trimmed(line.substr(space));
    if (word == "u" || word == "until") {
        if (rest.empty()) return here(Local::mistake, "until which task? say its name or its pointer: u answer, u /do/2/answer");
        StepCommand out;
        out.send = Json::object({{"step", Json::object({{"do", "until"}, {"task", rest}})}});
        return out;
    }
    if (rest.empty()) {
        if (word.empty() || word == "s" || word == "step") return go("step");
        if (word == "n" || word == "next") return go("over");
        if (word == "c" || word == "continue") return go("continue");
        if (word == "w" || word == "where") return here(Local::where);
        if (word == "q" || word == "quit" || word == "abort") return here(Local::abort);
        if (word == "h" || word == "help" || word == "?") return here(Local::help);
    }
    if (word == "=" && rest.empty()) return here(Local::mistake, "which expression? such as = .order");
    StepCommand out;
    out.send = Json::object({{"step", Json::object({{"do", "look"}, {"expression", word == "=" ? rest : line}})}});
    return out;
}

void StepPrompt::hear(const Json& line)
{
    Console& console = context_.console;
    if (const Json* paused = line.find("paused")) {
        here_ = *paused;
        if (console.json()) console.note(redactor_.apply(dump_json(line)));
        else show_place(false);
        if (!greeted_ && !console.json() && console.interactive()) console.note("h helps; Enter runs this task");
        greeted_ = true;
        ask();
    } else if (const Json* looked = line.find("looked")) {
        if (console.json()) console.note(redactor_.apply(dump_json(line)));
        else if (const Json* error = looked->find("error")) console.error(redactor_.apply(printable(error->as_string())));
        else console.note(redactor_.apply(printable(dump_json((*looked)["result"], 2))));
        ask();
    }
}

void StepPrompt::show_place(bool whole)
{
    Console& console = context_.console;
    console.note(fmt::format("{} {} ({}) at {}:{} {}", console.paint_error(Style::busy, "before"),
                             console.paint_error(Style::strong, one_line(here_["name"].as_string())), one_line(here_["type"].as_string()),
                             one_line(here_["file"].as_string()), here_["line"].as_integer(), console.paint_error(Style::dim, one_line(here_["task"].as_string()))));
    if (whole) {
        for (const Json& task : here_["stack"].as_array()) console.note("  in " + one_line(task.as_string()));
        std::string names;
        for (const Json& name : here_["names"].as_array()) names += " $" + one_line(name.as_string());
        console.note("  to look at: ." + names);
    }
    console.note(fmt::format("  {} {}", console.paint_error(Style::dim, "data"), show_value(here_["data"], redactor_)));
}

/// Until something is said to the runner, whose answer comes by `hear`.
void StepPrompt::ask()
{
    Console& console = context_.console;
    while (!left_) {
        if (!console.json()) console.ask("step> ");
        const Result<std::string> line = platform::read_line(false, context_.stop);
        if (!line) {
            left_ = true;
            if (!context_.stop.stop_requested()) console.note("the input has ended: the run is cancelled");
            leave_();
            return;
        }
        const StepCommand command = read_step(*line);
        if (command.send) return send_(*command.send);
        using Local = StepCommand::Local;
        if (command.local == Local::where) show_place(true);
        else if (command.local == Local::help) console.note(kHelp);
        else if (command.local == Local::mistake) console.error(command.text);
        else {
            left_ = true;
            leave_();
        }
    }
}

}  // namespace mill::cli
