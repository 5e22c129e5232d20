#include <catch2/catch.hpp>

#include <sstream>

#include "cli/step_prompt.h"
#include "cli/trace_view.h"

using namespace mill;
using namespace mill::cli;

namespace {

std::string sent(std::string_view line)
{
    const StepCommand command = read_step(line);
    return command.send ? dump_json((*command.send)["step"]) : "";
}

Json json(std::string_view text) { return parse_json(text).value(); }

std::string shown(const Redactor& redactor, TraceView::As as, std::string_view trace)
{
    std::ostringstream out, err;
    Console console(out, err, {});
    TraceView(console, as, redactor).show(json(trace));
    CHECK(out.str().empty());
    return err.str();
}

}  // namespace

TEST_CASE("short words step, everything else is an expression", "[cli][step]")
{
    CHECK(sent("") == R"({"do":"step"})");
    CHECK(sent(" s ") == R"({"do":"step"})");
    CHECK(sent("n") == R"({"do":"over"})");
    CHECK(sent("continue\r") == R"({"do":"continue"})");
    CHECK(sent("until  /do/2/answer") == R"({"do":"until","task":"/do/2/answer"})");
    CHECK(sent(".order | length") == R"({"do":"look","expression":".order | length"})");
    CHECK(sent("n + 1") == R"({"do":"look","expression":"n + 1"})");
    CHECK(sent("= n") == R"({"do":"look","expression":"n"})");
    CHECK(read_step("u").local == StepCommand::Local::mistake);
    CHECK(read_step("w").local == StepCommand::Local::where);
    CHECK(read_step("q").local == StepCommand::Local::abort);
    CHECK(read_step("?").local == StepCommand::Local::help);
}

TEST_CASE("a trace is a tree for a person", "[cli][trace]")
{
    const Redactor none;
    const auto tree = [&](std::string_view trace) {
        const std::string line = shown(none, TraceView::As::tree, trace);
        return line.substr(line.find(' ', line.find(':')) + 1);  // behind the time
    };
    CHECK(tree(R"({"task":"/do/0/a","name":"a","type":"call","state":"started","time":"2026-11-22T13:40:01.000000Z","startedAt":"2026-11-22T13:40:01.000000Z","depth":3,"detail":{"input":{"n":1}}})") ==
          "a (call) ← {\"n\":1}\n");
    CHECK(tree(R"({"task":"/do/0/a/do/0/b","name":"b","type":"switch","state":"completed","time":"2026-11-22T13:40:01.002000Z","startedAt":"2026-11-22T13:40:01.000000Z","depth":5,"detail":{"input":1,"output":1,"case":"big","then":"last"}})") ==
          "│ b (switch) completed 2.0 ms case big → 1 then last\n");
    CHECK(tree(R"({"name":"g","type":"try","state":"retried","time":"2026-11-22T13:40:01Z","startedAt":"2026-11-22T13:40:01Z","depth":3,"detail":{"retry":1,"waitMs":2000},"error":{"type":"https://x/errors/communication","status":503,"title":"no"}})") ==
          "g (try) retry 1 after 2.0 s: communication 503: no\n");
    CHECK(tree(R"({"name":"g","type":"set","state":"skipped","time":"2026-11-22T13:40:01Z","depth":3,"detail":{"if":"${ .x }"}})") == "g (set) skipped: if ${ .x }\n");
}

TEST_CASE("values of secrets never stand in a trace, however deep they were given", "[cli][trace]")
{
    const Redactor secrets = redactor_of(json(R"({"erp":{"password":"hunter2-long"}})"));
    for (const auto as : {TraceView::As::tree, TraceView::As::json}) {
        const std::string line = shown(secrets, as, R"({"name":"a","type":"call","state":"completed","time":"2026-11-22T13:40:01Z","startedAt":"2026-11-22T13:40:01Z","depth":3,"detail":{"output":{"echo":"hunter2-long"}}})");
        CHECK_THAT(line, !Catch::Contains("hunter2-long") && Catch::Contains("***"));
    }
}
