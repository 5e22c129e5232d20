#include <catch2/catch.hpp>

#include <sstream>

#include "cli/test_from_job.h"
#include "cli/test_report.h"

using namespace mill;
using namespace mill::cli;

namespace {

Json json(std::string_view text) { return parse_json(text).value(); }

workflows::TestCase expecting(const std::string& yaml)
{
    const workflows::TestFile file = workflows::read_test_file("expect:\n  " + yaml + "\n", "t.yaml");
    for (const auto& finding : file.findings) FAIL(finding.format());
    return file.cases.at(0);
}

std::string verdict(const std::string& yaml, std::string_view ended, std::string_view rehearsed = R"({"calls":[],"checks":[]})")
{
    std::string out;
    for (const TestProblem& problem : judge(expecting(yaml), json(ended), json(rehearsed))) out += dump_json(to_json(problem)) + "\n";
    return out;
}

constexpr const char* kDoneEnd = R"({"state":"successful","reason":"completed","output":{"a":1,"b":2}})";
constexpr const char* kFailedEnd = R"({"state":"failed","reason":"error","error":{"type":"https://serverlessworkflow.io/spec/1.0.0/errors/timeout","status":408,"title":"Timeout","detail":"it took long","instance":"/do/0/a"}})";

}  // namespace

TEST_CASE("an output is compared exactly or in part, and a difference has its path", "[cli][test]")
{
    CHECK(verdict("output: { a: 1, b: 2 }", kDoneEnd).empty());
    CHECK(verdict("outputContains: { a: 1 }", kDoneEnd).empty());
    CHECK(verdict("output: { a: 2 }", kDoneEnd) == "{\"path\":\"output /a\",\"expected\":2,\"actual\":1}\n{\"path\":\"output /b\",\"actual\":2}\n");
}

TEST_CASE("a fault fails a test that does not expect it, and the other way round", "[cli][test]")
{
    CHECK_THAT(verdict("check: 'true'", kFailedEnd), Catch::Contains("the run failed: timeout"));
    CHECK(verdict("error: { type: timeout, status: 408, detail: took, instance: /do/0/a }", kFailedEnd).empty());
    CHECK(verdict("error: { type: runtime }", kFailedEnd) ==
          "{\"path\":\"error type\",\"expected\":\"runtime\",\"actual\":\"https://serverlessworkflow.io/spec/1.0.0/errors/timeout\"}\n");
    CHECK(verdict("error: { type: timeout }", kDoneEnd) == "{\"path\":\"error\",\"expected\":{\"type\":\"timeout\"}}\n");
}

TEST_CASE("what nobody stood in for fails the test with its text alone", "[cli][test]")
{
    CHECK(verdict("output: 1", R"({"state":"cancelled","reason":"cancelled_by"})", R"({"calls":[],"problem":"task 'x' calls http"})") == "{\"text\":\"task 'x' calls http\"}\n");
}

TEST_CASE("a run that was stopped by a limit is no expected error", "[cli][test]")
{
    CHECK_THAT(verdict("error: { status: 500 }", R"({"state":"failed","reason":"limit_memory","error":{"type":"x","status":500}})", "null"),
               Catch::Contains("did not come to its end: failed (limit_memory)"));
}

TEST_CASE("calls are all of them in order; log lines count only when the test speaks of them", "[cli][test]")
{
    const char* calls = R"({"checks":[],"calls":[{"task":"/do/0/l","name":"l","call":"log","with":{"text":"x"}},{"task":"/do/1/a","name":"a","call":"http","with":{"method":"GET","uri":"https://x"}}]})";
    CHECK(verdict("calls: [ { call: http, with: { method: GET } } ]", kDoneEnd, calls).empty());
    CHECK(verdict("calls: [ { call: log }, { task: /do/1/a } ]", kDoneEnd, calls).empty());
    CHECK(verdict("calls: []", kDoneEnd, calls) == "{\"path\":\"call 1\",\"actual\":{\"call\":\"http\",\"task\":\"a\"}}\n");
    CHECK(verdict("calls: [ { call: http, with: { method: PUT } } ]", kDoneEnd, calls) == "{\"path\":\"call 1 with /method\",\"expected\":\"PUT\",\"actual\":\"GET\"}\n");
    CHECK(verdict("calls: [ { call: http }, { call: shell } ]", kDoneEnd, calls) == "{\"path\":\"call 2\",\"expected\":{\"call\":\"shell\"}}\n");
}

TEST_CASE("a check must be true", "[cli][test]")
{
    CHECK(verdict("check: '.a == 1'", kDoneEnd, R"({"calls":[],"checks":[{"expression":".a == 1","holds":true}]})").empty());
    CHECK_THAT(verdict("check: '.a'", kDoneEnd, R"({"calls":[],"checks":[{"expression":".a","holds":false,"result":1}]})"), Catch::Contains("'.a' is not true"));
    CHECK_THAT(verdict("check: '.a.b'", kDoneEnd, R"({"calls":[],"checks":[{"expression":".a.b","holds":false,"error":"cannot"}]})"), Catch::Contains("'.a.b': cannot"));
}

TEST_CASE("results are lines for a person and JUnit's XML, with nothing unescaped and no secret", "[cli][test]")
{
    TestResult good{"p", "t/a.yaml", "fine", 1, Microseconds(2000), {}}, bad{"p", "t/a.yaml", "a <b> & \"c\"", 5, Microseconds(1000), {{"output /x", "", Json("hunter2-long"), std::nullopt}}};
    Redactor secrets;
    secrets.add("hunter2-long");
    mask(bad, secrets);
    std::ostringstream out, err;
    Console console(out, err, {});
    show_result(console, bad);
    show_summary(console, {good, bad}, Microseconds(3000));
    CHECK(out.str() == "FAIL t/a.yaml: a <b> & \"c\" (1.0 ms)\n     output /x: expected \"***\", actual nothing\n2 tests: 1 passed, 1 failed, in 3.0 ms\n");
    const std::string xml = junit_xml({good, bad});
    CHECK_THAT(xml, Catch::Contains("<testsuite name=\"t/a.yaml\" tests=\"2\" failures=\"1\"") && Catch::Contains("name=\"a &lt;b&gt; &amp; &quot;c&quot;\"") &&
                        Catch::Contains("<failure message=\"output /x: expected &quot;***&quot;, actual nothing\">"));
}

TEST_CASE("a test made of a traced job replays what its calls got", "[cli][test]")
{
    const Json job = json(R"({"uid":"j1","state":"successful","trigger":"t","workflow":"main","package":{"name":"p","version":"1.0.0"},"input":{"order":"1"},"output":{"x":1}})");
    const Json steps = json(R"([{"task":"/do/0/a","name":"a","type":"call","state":"faulted","error":{"type":"https://x/communication","status":503,"instance":"/do/0/a"},"detail":{"call":"http","input":{}}},
        {"task":"/do/0/a","name":"a","type":"call","state":"completed","detail":{"call":"http","result":{"id":1}}},
        {"task":"/do/1/l","name":"l","type":"call","state":"completed","detail":{"call":"log","result":null}},
        {"task":"/do/2/f","name":"f","type":"call","state":"completed","detail":{"call":"own-function","result":2}}])");
    const auto text = test_of_job(job, steps, json(R"({"region":"eu"})"));
    REQUIRE(text);
    const workflows::TestFile file = workflows::read_test_file(*text, "t.yaml");
    for (const auto& finding : file.findings) FAIL(finding.format() << *text);
    CHECK(file.cases[0].rehearsal["standIns"] ==
          json(R"([{"task":"/do/0/a","answers":[{"error":{"type":"https://x/communication","status":503}},{"result":{"id":1}}]}])"));
    CHECK(file.cases[0].variables == json(R"({"region":"eu"})"));
    CHECK(*file.cases[0].expect.output == json(R"({"x":1})"));
    CHECK_THAT(*text, !Catch::Contains("does not say what these tasks got"));
}

TEST_CASE("a test made of a job without results says which are missing and how to get them", "[cli][test]")
{
    const Json job = json(R"({"uid":"j1","state":"failed","reason":"error","trigger":"orders","input":{},"error":{"type":"timeout","status":408,"detail":"secret?","instance":"/do/0/a"}})");
    const auto text = test_of_job(job, json(R"([{"task":"/do/0/a","name":"a","type":"call","state":"faulted","error":{}}])"), Json());
    REQUIRE(text);
    CHECK_THAT(*text, Catch::Contains("#   - task: /do/0/a") && Catch::Contains("millwright trigger orders --input FILE --trace") && Catch::Contains("variables could not be read"));
    CHECK(workflows::read_test_file(*text, "t.yaml").findings.empty());
    CHECK_FALSE(test_of_job(json(R"({"uid":"j1","state":"running"})"), Json::array(), Json()));
}
