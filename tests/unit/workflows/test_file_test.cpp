#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"
#include "workflows/test_file.h"

using namespace mill;
using namespace mill::workflows;
using mill::testing::json;

namespace {

std::string findings_of(std::string_view text)
{
    std::string out;
    for (const Finding& finding : read_test_file(text, "tests/t.yaml").findings) out += finding.format() + "\n";
    return out;
}

}  // namespace

TEST_CASE("a file is one case, named after the file unless it says a name", "[workflows][test-file]")
{
    const TestFile file = read_test_file("input: { name: Ada }\nexpect: { output: { reply: hi } }\n", "tests/greets.yaml");
    REQUIRE(file.findings.empty());
    REQUIRE(file.cases.size() == 1);
    CHECK(file.cases[0].name == "greets");
    CHECK(file.cases[0].workflow == "main");
    CHECK(file.cases[0].input == json(R"({"name":"Ada"})"));
    CHECK(*file.cases[0].expect.output == json(R"({"reply":"hi"})"));
    CHECK_FALSE(file.cases[0].expect.calls);
}

TEST_CASE("cases take what they do not say from the file; their stand-ins come first", "[workflows][test-file]")
{
    const TestFile file = read_test_file(R"(variables: { region: eu }
real: [ file.read ]
now: 2026-03-01T08:00:00Z
standIns: [ { call: http, result: shared } ]
cases:
  - { name: one, workflow: other, standIns: [ { call: http, result: own } ], expect: { check: [ '. == 1', '${ $calls | length == 2 }' ], calls: [] } }
  - { name: two, variables: { region: us }, expect: { error: { type: timeout } } }
)", "t.yaml");
    for (const Finding& finding : file.findings) FAIL(finding.format());
    REQUIRE(file.cases.size() == 2);
    CHECK(file.cases[0].workflow == "other");
    CHECK(file.cases[0].variables == json(R"({"region":"eu"})"));
    CHECK(file.cases[0].rehearsal == json(R"({"standIns":[{"call":"http","result":"own"},{"call":"http","result":"shared"}],"real":["file.read"],
                                              "now":"2026-03-01T08:00:00Z","checks":[". == 1"," $calls | length == 2 "]})"));
    CHECK(file.cases[0].mark.line == 6);
    REQUIRE(file.cases[0].expect.calls);
    CHECK(file.cases[1].variables == json(R"({"region":"us"})"));
    CHECK(file.cases[1].rehearsal["standIns"].size() == 1);
}

TEST_CASE("mistakes in a test file have their line", "[workflows][test-file]")
{
    CHECK(findings_of("input: {}\nexpects: {}\n") == "tests/t.yaml:2:1: 'expects' is not known here; did you mean 'expect'?\n");
    CHECK(findings_of("cases:\n  - name: a\n    standins: []\n") == "tests/t.yaml:3:5: 'standins' is not known here; did you mean 'standIns'?\n");
    CHECK(findings_of("cases: [ { name: a }, { name: a } ]\n") == "tests/t.yaml:1:25: two cases are called 'a'\n");
    CHECK_THAT(findings_of("expect:\n  output: 1\n  error: { type: timeout }\n"), Catch::Contains("t.yaml:2:3: 'output' and 'error' cannot both be expected"));
    CHECK_THAT(findings_of("expect: { check: '.a[' }\n"), Catch::Contains("t.yaml:1:"));
    CHECK_THAT(findings_of("standIns:\n  - call: http\n    error: { status: 1 }\n"), Catch::Contains("t.yaml:3:5: an error needs a type"));
    CHECK_THAT(findings_of("now: yesterday\n"), Catch::Contains("'now' is a time"));
    CHECK_THAT(findings_of("name: a\ncases: []\n"), Catch::Contains("'name' is not known here"));
    CHECK_THAT(findings_of("cases: []\n"), Catch::Contains("'cases' is a list of cases"));
    CHECK_THAT(findings_of("- a\n"), Catch::Contains("an object is expected, not array"));
    CHECK_THAT(findings_of("a: [\n"), Catch::StartsWith("tests/t.yaml:"));
    CHECK_THAT(findings_of("expect: { calls: [ { with: {} } ] }\n"), Catch::Contains("an expected call names a call or a task"));
}
