// Standard errors, their places, and how `catch` picks them; schemas in each place.
#include "tests/unit/workflows/rules.h"
#include "workflows/errors.h"

using namespace mill;
using namespace mill::testing;
using workflows::EffectRequest;
using workflows::ErrorType;
using workflows::Phase;

namespace {

const std::vector<std::string> kPrefixes = {"https://serverlessworkflow.io/spec/1.0.0/errors/", "https://serverlessworkflow.io/dsl/errors/types/",
                                            "https://open-workflow-specification.org/spec/1.0.0/errors/", "https://open-workflow-specification.org/dsl/errors/types/"};
const std::vector<std::pair<std::string, int>> kTypes = {{"configuration", 400}, {"validation", 400}, {"expression", 400}, {"authentication", 401},
                                                         {"authorization", 403}, {"timeout", 408}, {"communication", 500}, {"runtime", 500}};

bool takes(const std::string& filter, const std::string& error)
{
    return run_flow("do: [ { t: { try: [ { no: { raise: { error: " + error + " } } } ], catch: { errors: { with: " + filter + " }, do: [ { h: { set: { n: 1 } } } ] } } } ]").phase == Phase::completed;
}

std::string instance(const std::string& flow, const Answers& answers = {}) { return run_flow(flow, {}, answers).fault.instance; }

}  // namespace

TEST_CASE("the eight standard types have their addresses and statuses", "[workflows][rules]")
{
    int number = 0;
    for (const auto& [name, status] : kTypes) {
        const auto fault = workflows::make_fault(static_cast<ErrorType>(number++), "why", "/do/0/x");
        CHECK(fault.type == standard(name));
        CHECK(fault.status == status);
        CHECK_FALSE(fault.title.empty());
        CHECK(workflows::to_json(fault)["detail"] == Json("why"));
        CHECK(workflows::to_json(fault)["instance"] == Json("/do/0/x"));
    }
}

TEST_CASE("what goes wrong has its standard type, status and place", "[workflows][rules]")
{
    struct Row {
        std::string task, type;
        int status;
    };
    const std::vector<Row> rows = {
        {"set: '${ error(\"no\") }'", "expression", 400},
        {"set: '${ empty }'", "expression", 400},
        {"set: '${ 1, 2 }'", "expression", 400},
        {"set: '${ .n.x }'", "expression", 400},
        {"if: '.n.x', set: { n: 1 }", "expression", 400},
        {"input: { from: .n.x }, set: { n: 1 }", "expression", 400},
        {"for: { in: .n }, do: [ { i: { set: { n: 1 } } } ]", "expression", 400},
        {"for: { in: '[1]' }, while: .n.x, do: [ { i: { set: { n: 1 } } } ]", "expression", 400},
        {"switch: [ { c: { when: .n.x, then: end } } ]", "expression", 400},
        {"wait: '${ .n }'", "expression", 400},
        {"timeout: { after: '${ .n }' }, wait: PT1S", "expression", 400},
        {"raise: { error: { type: '${ .n }', status: 1 } }", "expression", 400},
        {"raise: { error: { type: t, status: '${ \"x\" }' } }", "expression", 400},
        {"call: http, with: { method: get, endpoint: 'http://x.test/{none}' }", "expression", 400},
        {"call: http, with: { method: get, endpoint: 'ftp://x.test/' }", "configuration", 400},
        {"run: { workflow: { namespace: no, name: no, version: 1.0.0 } }", "configuration", 400},
        {"input: { schema: { document: { type: string } } }, set: { n: 1 }", "validation", 400},
        {"set: { n: 1 }, output: { schema: { document: { type: string } } }", "validation", 400},
        {"set: { n: 1 }, export: { schema: { document: { type: string } } }", "validation", 400},
        {"call: file.read, with: { path: '${ .n }' }", "validation", 400},
        {"call: date.parse, with: { text: yesterday }", "validation", 400},
        {"emit: { event: { with: { source: '${ .n }', type: t } } }", "validation", 400},
        {"timeout: { after: PT1S }, wait: PT2S", "timeout", 408},
        {"call: f", "runtime", 500},
    };
    for (const Row& row : rows) {
        INFO(row.task);
        const Ran ran = run_flow("use: { functions: { f: { call: f } } }\ndo: [ { x: { " + row.task + " } } ]", json(R"({"n":1})"));
        REQUIRE(ran.phase == Phase::faulted);
        CHECK(kind_of(ran.fault) == row.type);
        CHECK(ran.fault.status == row.status);
        CHECK(ran.fault.instance == (row.type == "runtime" ? "/use/functions/f" : "/do/0/x"));
        CHECK_FALSE(ran.fault.detail.empty());
    }
}

TEST_CASE("an effect's fault has the full type, its own status, and the place of the task that asked", "[workflows][rules]")
{
    for (const auto& [name, status] : kTypes) {
        const Ran ran = run_flow("do: [ { x: " + get() + " } ]", {}, [&name = name](const EffectRequest&) {
            return Answer{.result = {}, .fault = workflows::Fault{name, "title", "detail", "/somewhere/else", 499}};
        });
        CHECK(workflows::to_json(ran.fault) == Json::object({{"type", standard(name)}, {"status", 499}, {"title", "title"}, {"detail", "detail"}, {"instance", "/do/0/x"}}));
    }
    CHECK(run_flow("do: [ { x: " + get() + " } ]", {}, [](const EffectRequest&) { return refused("https://x.test/own", 1); }).fault.type == "https://x.test/own");
}

TEST_CASE("the instance is the task's true pointer, wherever the task stands", "[workflows][rules]")
{
    const std::string no = "[ { no: { set: '${ error(\"x\") }' } } ]";
    CHECK(instance("do: " + no) == "/do/0/no");
    CHECK(instance("do: [ { a: { do: [ { b: { set: { n: 1 } } }, { c: { do: " + no + " } } ] } } ]") == "/do/0/a/do/1/c/do/0/no");
    CHECK(instance("do: [ { a: { for: { in: '[1]' }, do: " + no + " } } ]") == "/do/0/a/do/0/no");
    CHECK(instance("do: [ { a: { fork: { branches: [ { w: { wait: PT1H } }, { b: { do: " + no + " } } ] } } } ]") == "/do/0/a/fork/branches/1/b/do/0/no");
    CHECK(instance("do: [ { a: { fork: { branches: " + no + " } } } ]") == "/do/0/a/fork/branches/0/no");
    CHECK(instance("do: [ { a: { try: " + no + ", catch: { when: 'false' } } } ]") == "/do/0/a/try/0/no");
    CHECK(instance("do: [ { a: { try: " + no + ", catch: { do: " + no + " } } } ]") == "/do/0/a/catch/do/0/no");
    CHECK(instance("do: [ { a: { try: " + no + ", catch: { when: 'error(\"x\")' } } } ]") == "/do/0/a");
    CHECK(instance("use: { functions: { f: { do: " + no + " } } }\ndo: [ { a: { call: f } } ]") == "/use/functions/f/do/0/no");
    CHECK(instance("do: [ { 'a/b~c': { set: '${ error(\"x\") }' } } ]") == "/do/0/a~1b~0c");
    const auto package = lone("do: [ { a: { set: { n: 1 } } }, { r: { run: { workflow: { namespace: test, name: child, version: 1.0.0 } } } } ]",
                              {{"child.yaml", "document: { dsl: 1.0.3, namespace: test, name: child, version: 1.0.0 }\ndo: [ { z: { do: " + no + " } } ]"}});
    CHECK(drive(package).fault.instance == "/do/0/z/do/0/no");
}

TEST_CASE("a raised error may carry its own instance, else it has its task's place", "[workflows][rules]")
{
    CHECK(instance("do: [ { x: { raise: { error: { type: t, status: 1 } } } } ]") == "/do/0/x");
    CHECK(instance("do: [ { x: { raise: { error: { type: t, status: 1, instance: /my/own } } } } ]") == "/my/own");
    CHECK(instance("use: { errors: { gone: { type: t, status: '${ 400 + 10 }' } } }\ndo: [ { x: { do: [ { y: { raise: { error: gone } } } ] } } ]") == "/do/0/x/do/0/y");
    CHECK(run_flow("use: { errors: { gone: { type: t, status: '${ 400 + .n }', title: '${ \"n\" + \"o\" }' } } }\ndo: [ { y: { raise: { error: gone } } } ]", json(R"({"n":18})")).fault.status == 418);
}

TEST_CASE("any of the four spellings of a type takes any other, for each type", "[workflows][rules]")
{
    for (const std::string& written : kPrefixes)
        for (const std::string& raised : kPrefixes) {
            INFO(written << " " << raised);
            CHECK(takes("{ type: '" + written + "timeout' }", "{ type: '" + raised + "timeout', status: 408 }"));
            CHECK_FALSE(takes("{ type: '" + written + "timeout' }", "{ type: '" + raised + "runtime', status: 408 }"));
        }
    for (const auto& [name, status] : kTypes)
        for (const std::string& prefix : kPrefixes) CHECK(workflows::normal_type(prefix + name) == standard(name));
    CHECK_FALSE(takes("{ type: 'https://x.test/errors/timeout' }", "{ type: '" + standard("timeout") + "', status: 408 }"));
    CHECK_FALSE(takes("{ type: '" + standard("timeout") + "' }", "{ type: 'https://x.test/errors/timeout', status: 408 }"));
    CHECK_FALSE(takes("{ type: '" + kPrefixes[0] + "own' }", "{ type: '" + kPrefixes[1] + "own', status: 408 }"));
}

TEST_CASE("a filter must fit in every member that it names", "[workflows][rules]")
{
    const std::string error = "{ type: https://x.test/e, status: 418, title: T, detail: D, instance: /i }";
    for (const std::string fits : {"{ type: https://x.test/e }", "{ status: 418 }", "{ title: T }", "{ detail: D }", "{ details: D }", "{ instance: /i }", "{}",
                                   "{ type: https://x.test/e, status: 418, title: T, detail: D, instance: /i }"})
        CHECK(takes(fits, error));
    for (const std::string not_so : {"{ type: https://x.test/x }", "{ status: 419 }", "{ title: x }", "{ detail: x }", "{ details: x }", "{ instance: /x }", "{ type: https://x.test/e, status: 419 }",
                                     "{ status: 418, title: x }", "{ title: T, detail: x }", "{ detail: D, instance: /x }"})
        CHECK_FALSE(takes(not_so, error));
}

TEST_CASE("what a catch does not take goes on to the next one outwards", "[workflows][rules]")
{
    CHECK(run_flow("do: [ { o: { try: [ { i: { try: [ { no: { raise: { error: { type: t, status: 418 } } } } ], catch: { errors: { with: { status: 1 } }, do: [ { h: { set: { inner: 1 } } } ] } } } ],"
                   " catch: { errors: { with: { status: 418 } }, do: [ { h: { set: { outer: '${ $error.instance }' } } } ] } } } ]").words() == R"({"outer":"/do/0/o/try/0/i/try/0/no"})");
}

TEST_CASE("a fault of a try's own frame is not for its own catch", "[workflows][rules]")
{
    const std::string rest = "catch: { do: [ { h: { set: { caught: 1 } } } ] }";
    for (const std::string frame : {"input: { from: 'error(\"x\")' }", "output: { as: 'error(\"x\")' }", "export: { as: 'error(\"x\")' }", "if: 'error(\"x\")'",
                                    "input: { schema: { document: { required: [ absent ] } } }"}) {
        INFO(frame);
        CHECK(run_flow("do: [ { t: { " + frame + ", try: [ { s: { set: { n: 1 } } } ], " + rest + " } } ]").phase == Phase::faulted);
        CHECK(run_flow("do: [ { o: { try: [ { t: { " + frame + ", try: [ { s: { set: { n: 1 } } } ], " + rest + " } } ], catch: { do: [ { h: { set: { outer: 1 } } } ] } } } ]").words() == R"({"outer":1})");
    }
}

TEST_CASE("an expression of the catch that fails takes the first fault's place", "[workflows][rules]")
{
    for (const std::string clause : {"when: 'error(\"my words\")'", "exceptWhen: 'error(\"my words\")'", "retry: { when: 'error(\"my words\")' }", "retry: { exceptWhen: 'error(\"my words\")' }"}) {
        const Ran ran = run_flow("do: [ { t: { try: [ { no: { raise: { error: { type: t, status: 418 } } } } ], catch: { " + clause + ", do: [ { h: { set: { n: 1 } } } ] } } } ]");
        CHECK(kind_of(ran.fault) == "expression");
        CHECK_THAT(ran.fault.detail, Catch::Contains("my words"));
    }
}

TEST_CASE("$error has all members of the fault, and when and exceptWhen both must let it in", "[workflows][rules]")
{
    const std::string no = "do: [ { t: { try: [ { no: { raise: { error: { type: https://x.test/e, status: 418, title: T, detail: D } } } } ], catch: { ";
    CHECK(run_flow(no + "do: [ { h: { set: '${ $error }' } } ] } } } ]").output == json(R"({"type":"https://x.test/e","status":418,"title":"T","detail":"D","instance":"/do/0/t/try/0/no"})"));
    CHECK(run_flow(no + "when: '$error.status == 418', exceptWhen: '$error.title == \"X\"' } } } ]").phase == Phase::completed);
    CHECK(run_flow(no + "when: '$error.status == 418', exceptWhen: '$error.title == \"T\"' } } } ]").phase == Phase::faulted);
    CHECK(run_flow(no + "when: '.n == 1', do: [ { h: { set: { ok: 1 } } } ] } } } ]", json(R"({"n":1})")).words() == R"({"ok":1})");
}

TEST_CASE("each schema says what is wrong and where in the data, with every mistake", "[workflows][rules]")
{
    const std::string schema = "schema: { document: { properties: { rows: { items: { properties: { n: { type: integer } }, required: [ id ] } } } } }";
    const Json data = json(R"({"rows":[{"n":1,"id":1},{"n":"x"}]})");
    const std::vector<std::pair<std::string, std::string>> places = {
        {"input: { " + schema + " }\ndo: [ { a: { set: { n: 1 } } } ]", "the workflow's input"},
        {"output: { " + schema + " }\ndo: [ { a: { set: '${ . }' } } ]", "the workflow's output"},
        {"do: [ { a: { input: { " + schema + " }, set: { n: 1 } } } ]", "the input of the task"},
        {"do: [ { a: { set: '${ . }', output: { " + schema + " } } } ]", "the output of the task"},
        {"do: [ { a: { set: '${ . }', export: { as: ., " + schema + " } } } ]", "what the task exports"},
    };
    for (const auto& [flow, what] : places) {
        const Ran ran = run_flow(flow, data);
        INFO(flow);
        CHECK(kind_of(ran.fault) == "validation");
        CHECK_THAT(ran.fault.detail, Catch::StartsWith(what + " does not fit its schema: ") && Catch::Contains("/rows/1/n: ") && Catch::Contains("/rows/1: ") && Catch::Contains("'id'"));
        CHECK(run_flow(flow, json(R"({"rows":[{"n":1,"id":1}]})")).phase == Phase::completed);
    }
    const Ran arguments = run_flow("do: [ { a: { call: file.list, with: { path: '${ 5 }', recursive: '${ \"x\" }' } } } ]");
    CHECK_THAT(arguments.fault.detail, Catch::Contains("the arguments of 'file.list' are wrong") && Catch::Contains("/path: ") && Catch::Contains("/recursive: "));
}

TEST_CASE("a sub-workflow's schemas fault the task that runs it, and a catch around it sees that", "[workflows][rules]")
{
    for (const std::string edge : {"input", "output"}) {
        const auto package = lone("do: [ { t: { try: [ { r: { run: { workflow: { namespace: test, name: child, version: 1.0.0 } } } } ], catch: { errors: { with: { type: '" + standard("validation") +
                                  "' } }, do: [ { h: { set: '${ $context }' } } ] } } } ]",
                                  {{"child.yaml", "document: { dsl: 1.0.3, namespace: test, name: child, version: 1.0.0 }\n" + edge + ": { schema: { document: { required: [ absent ] } } }\ndo: [ { z: { set: { n: 1 }, export: { as: '{theirs: 1}' } } } ]"}});
        const Ran ran = drive(package);
        CHECK(ran.words() == "{}");
        CHECK(ran.count("r", "faulted") == 1);
    }
}

TEST_CASE("a fault of a try's own output or export is not for its own catch, but for one around it", "[workflows][rules]")
{
    for (const std::string member : {"output", "export"}) {
        INFO(member);
        const std::string own = "t: { try: [ { g: { set: { a: 1 } } } ], catch: { do: [ { h: { set: { handled: true } } } ] }, " + member +
                                ": { as: '${ if .handled then . else error(\"own\") end }' } }";
        const Ran ran = run_flow("do: [ { " + own + " } ]");
        CHECK(ran.phase == Phase::faulted);
        CHECK(ran.count("h", "started") == 0);
        CHECK(ran.fault.instance == "/do/0/t");
        CHECK(run_flow("do: [ { o: { try: [ { " + own + " } ], catch: { do: [ { r: { set: { around: true } } } ] } } } ]").words() == R"({"around":true})");
    }
}
