#include "cli/test_report.h"

#include <algorithm>

#include <fmt/format.h>

#include "workflows/preview.h"

namespace mill::cli {

namespace {

std::string value_text(const std::optional<Json>& value)
{
    if (!value) return "nothing";
    return one_line(dump_json(workflows::preview(*value, {.text = 300, .items = 10, .members = 20, .depth = 5, .total = 200})));
}

std::string words(const TestProblem& problem)
{
    std::string out = one_line(problem.path);
    if (!problem.text.empty()) out += (out.empty() ? "" : ": ") + one_line(problem.text);
    if (problem.expected || problem.actual) out += fmt::format(": expected {}, actual {}", value_text(problem.expected), value_text(problem.actual));
    return out;
}

/// Text for XML: its five characters, and nothing that XML cannot hold.
std::string escaped(std::string_view text)
{
    std::string out;
    for (const char c : text) {
        switch (c) {
        case '&': out += "&amp;"; break;
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '"': out += "&quot;"; break;
        case '\n': out += "&#10;"; break;
        default: out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
        }
    }
    return out;
}

double seconds(Microseconds time) { return static_cast<double>(time.count()) / 1e6; }

}  // namespace

void show_result(Console& console, const TestResult& result)
{
    const bool passed = result.passed();
    console.line(fmt::format("{} {}: {} {}", console.paint(passed ? Style::good : Style::bad, passed ? "ok  " : "FAIL"), one_line(result.file),
                             one_line(result.name), console.paint(Style::dim, "(" + show_span(result.took) + ")")));
    for (const TestProblem& problem : result.problems) console.line("     " + words(problem));
    console.flush();
}

void show_summary(Console& console, const std::vector<TestResult>& results, Microseconds took)
{
    const auto failed = std::count_if(results.begin(), results.end(), [](const TestResult& each) { return !each.passed(); });
    const auto passed = static_cast<std::ptrdiff_t>(results.size()) - failed;
    if (!console.json()) {
        console.line(fmt::format("{} test{}: {} passed, {} failed, in {}", results.size(), results.size() == 1 ? "" : "s", passed, failed, show_span(took)));
        return;
    }
    Json tests = Json::array();
    for (const TestResult& each : results) {
        Json problems = Json::array();
        for (const TestProblem& problem : each.problems) problems.push(to_json(problem));
        tests.push(Json::object({{"package", each.package}, {"file", each.file}, {"line", each.line}, {"name", each.name}, {"passed", each.passed()},
                                 {"ms", each.took.count() / 1000}, {"problems", std::move(problems)}}));
    }
    console.document(Json::object({{"tests", std::move(tests)}, {"passed", passed}, {"failed", failed}, {"ms", took.count() / 1000}}));
}

std::string junit_xml(const std::vector<TestResult>& results)
{
    std::vector<std::string> files;
    for (const TestResult& each : results)
        if (std::find(files.begin(), files.end(), each.file) == files.end()) files.push_back(each.file);
    std::string suites;
    for (const std::string& file : files) {
        std::string cases;
        std::size_t count = 0, failures = 0;
        Microseconds all{0};
        for (const TestResult& each : results) {
            if (each.file != file) continue;
            ++count;
            all += each.took;
            cases += fmt::format("    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\" time=\"{:.3f}\"", escaped(each.package), escaped(each.name),
                                 escaped(file), each.line, seconds(each.took));
            if (each.passed()) {
                cases += "/>\n";
                continue;
            }
            ++failures;
            std::string text;
            for (const TestProblem& problem : each.problems) text += words(problem) + "\n";
            cases += fmt::format(">\n      <failure message=\"{}\">{}</failure>\n    </testcase>\n", escaped(words(each.problems.front())), escaped(text));
        }
        suites += fmt::format("  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"0\" time=\"{:.3f}\">\n{}  </testsuite>\n", escaped(file), count,
                              failures, seconds(all), cases);
    }
    return fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n{}</testsuites>\n", suites);
}

void mask(TestResult& result, const Redactor& redactor)
{
    if (redactor.empty()) return;
    const auto masked = [&](std::optional<Json>& value) {
        if (!value) return;
        const std::string before = dump_json(*value), after = redactor.apply(before);
        if (before == after) return;
        const Result<Json> again = parse_json(after);
        value = again ? *again : Json(after);
    };
    for (TestProblem& problem : result.problems) {
        problem.text = redactor.apply(problem.text);
        masked(problem.expected);
        masked(problem.actual);
    }
}

}  // namespace mill::cli
