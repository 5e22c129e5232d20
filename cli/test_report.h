// cli/test_report.h -- what a person, a program and a build server see of a test run.
#pragma once

#include <string>
#include <vector>

#include "cli/console.h"
#include "cli/test_verdict.h"
#include "platform/base/redact.h"

namespace mill::cli {

struct TestResult {
    std::string package, file, name;
    int line = 1;
    Microseconds took{0};
    std::vector<TestProblem> problems;
    bool passed() const { return problems.empty(); }
};

/// "ok    greeting/tests/greets.yaml: a name is greeted (80 ms)", and below a failure what differs.
void show_result(Console& console, const TestResult& result);
/// The last line, or with --json the one document.
void show_summary(Console& console, const std::vector<TestResult>& results, Microseconds took);
/// JUnit's XML: a suite for each file.
std::string junit_xml(const std::vector<TestResult>& results);
/// Takes the values of the case's secrets out of everything that was compared.
void mask(TestResult& result, const Redactor& redactor);

}  // namespace mill::cli
