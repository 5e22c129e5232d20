#include "cli/test_verdict.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/jobs.h"
#include "workflows/errors.h"
#include "workflows/match.h"

namespace mill::cli {

namespace {

using Problems = std::vector<TestProblem>;
using workflows::Match;

void compare(Problems& out, const std::string& what, const Json& expected, const Json& actual, Match how)
{
    for (workflows::Difference& each : workflows::differences(expected, actual, how))
        out.push_back({what + (each.path.empty() ? "" : " " + each.path), {}, std::move(each.expected), std::move(each.actual)});
}

void compare_error(Problems& out, const Json& expected, const Json& actual)
{
    for (const auto& [key, value] : expected.as_object()) {
        const Json& found = actual[key];
        bool fits = value == found;
        if (key == "type" && value.is_string()) fits = workflows::normal_type(value.as_string()) == workflows::normal_type(found.as_string());
        if (key == "title" || key == "detail") fits = value.is_string() && found.as_string().find(value.as_string()) != std::string::npos;
        if (!fits) out.push_back({"error " + key, {}, value, found.is_null() ? std::nullopt : std::optional(found)});
    }
}

bool names(const workflows::ExpectedCall& expected, const Json& call)
{
    return (expected.call.empty() || Json(expected.call) == call["call"]) &&
           (expected.task.empty() || Json(expected.task) == call["name"] || Json(expected.task) == call["task"]);
}

Json shown(const workflows::ExpectedCall& expected)
{
    Json out = Json::object();
    if (!expected.call.empty()) out.set("call", expected.call);
    if (!expected.task.empty()) out.set("task", expected.task);
    return out;
}

/// Lines of the log count only when the test speaks of them.
void compare_calls(Problems& out, const std::vector<workflows::ExpectedCall>& expected, const Json& called)
{
    std::vector<Json> calls;
    for (const Json& call : called.as_array()) {
        const bool says = call["call"] == Json("log") || call["call"] == Json("progress");
        const bool wanted = std::any_of(expected.begin(), expected.end(), [&](const workflows::ExpectedCall& one) { return names(one, call); });
        if (!says || wanted) calls.push_back(call);
    }
    const auto brief = [](const Json& call) { return Json::object({{"call", call["call"]}, {"task", call["name"]}}); };
    for (std::size_t i = 0; i < std::max(expected.size(), calls.size()); ++i) {
        const std::string which = fmt::format("call {}", i + 1);
        if (i >= calls.size()) out.push_back({which, {}, shown(expected[i]), std::nullopt});
        else if (i >= expected.size()) out.push_back({which, {}, std::nullopt, brief(calls[i])});
        else if (!names(expected[i], calls[i])) out.push_back({which, {}, shown(expected[i]), brief(calls[i])});
        else if (expected[i].with) compare(out, which + " with", *expected[i].with, calls[i]["with"], Match::partial);
        if (out.size() > 50) return;
    }
}

}  // namespace

Json to_json(const TestProblem& problem)
{
    Json out = Json::object();
    if (!problem.path.empty()) out.set("path", problem.path);
    if (!problem.text.empty()) out.set("text", problem.text);
    if (problem.expected) out.set("expected", *problem.expected);
    if (problem.actual) out.set("actual", *problem.actual);
    return out;
}

Problems judge(const workflows::TestCase& test, const Json& ended, const Json& rehearsed)
{
    Problems out;
    const auto say = [&](std::string text) { out.push_back({{}, std::move(text), {}, {}}); };
    if (const Json* problem = rehearsed.find("problem")) {
        say(problem->as_string());
        return out;
    }
    const std::string& state = ended["state"].as_string();
    const std::string& reason = ended["reason"].as_string();
    const Json& error = ended["error"];
    const workflows::Expectation& expect = test.expect;
    const bool ran = state == "successful" || (state == "failed" && rehearsed.is_object());
    if (!ran) {
        say(fmt::format("the run did not come to its end: {} ({}){}", state, reason, error.is_object() ? ": " + error_text(error) : ""));
        return out;
    }
    if (expect.error) {
        if (state == "successful") out.push_back({"error", {}, *expect.error, std::nullopt});
        else compare_error(out, *expect.error, error);
    } else if (state == "failed") {
        say("the run failed: " + error_text(error));
    }
    if (state == "successful") {
        if (expect.output) compare(out, "output", *expect.output, ended["output"], Match::exact);
        if (expect.output_contains) compare(out, "output", *expect.output_contains, ended["output"], Match::partial);
    }
    std::size_t number = 0;
    for (const Json& check : rehearsed["checks"].as_array()) {
        ++number;
        if (check["holds"].as_bool() || (state == "failed" && !expect.error)) continue;
        const std::string& expression = check["expression"].as_string();
        if (const Json* wrong = check.find("error")) out.push_back({fmt::format("check {}", number), fmt::format("'{}': {}", expression, wrong->as_string()), {}, {}});
        else out.push_back({fmt::format("check {}", number), fmt::format("'{}' is not true", expression), Json(true), check["result"]});
    }
    if (expect.calls) compare_calls(out, *expect.calls, rehearsed["calls"]);
    return out;
}

}  // namespace mill::cli
