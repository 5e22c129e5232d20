// Where braces are needed, what an expression may give, and what it can reach.
#include "tests/unit/workflows/rules.h"
#include "workflows/jq_value.h"
#include "workflows/value.h"

using namespace mill;
using namespace mill::testing;
using workflows::EffectRequest;
using workflows::Phase;

namespace {

/// What one expression gives on `data`, or its error's words.
std::string value(const std::string& expression, const std::string& data = "{}")
{
    const Json flow = Json::object({{"do", Json::array({Json::object({{"x", Json::object({{"set", Json::object({{"v", "${" + expression + "}"}})}})}})})}});
    const Ran ran = run_flow(dump_yaml(flow), json(data));
    if (!ran.problem.empty()) return ran.problem;
    return ran.phase == Phase::completed ? dump_json(ran.output["v"]) : ran.fault.detail;
}

std::string task(const std::string& body, const std::string& data = R"({"n":1,"list":[1,2],"no":false})") { return run_flow("do: [ { x: { " + body + " } } ]", json(data)).words(); }

std::string nested(std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); }

}  // namespace

TEST_CASE("if, when, exceptWhen, while, in, from and as are expressions with and without braces", "[workflows][rules]")
{
    const std::string no = "try: [ { y: { raise: { error: { type: t, status: 418 } } } } ], catch: { ";
    const std::string handler = ", do: [ { h: { set: { caught: 1 } } } ] }";
    struct Row {
        std::string body, expression, gives;  // EXPR stands for the expression
    };
    const std::vector<Row> rows = {
        {"if: EXPR, set: { ran: 1 }", ".no", R"({"n":1,"list":[1,2],"no":false})"},
        {"input: { from: EXPR }, set: '${ . }'", ".list", "[1,2]"},
        {"set: { a: 1 }, output: { as: EXPR }", ".a", "1"},
        {"set: { a: 1 }, export: { as: EXPR }", "{k: .a}", R"({"a":1})"},
        {"for: { in: EXPR }, do: [ { y: { set: '${ $item }' } } ]", ".list", "2"},
        {"for: { in: '[1,2,3]' }, while: EXPR, do: [ { y: { set: '${ $item }' } } ]", "$item < 2", "1"},
        {"switch: [ { c: { when: EXPR, then: exit } } ], output: { as: .n }, then: continue", ".n == 1", "1"},
        {no + "when: EXPR" + handler, "$error.status == 418", R"({"caught":1})"},
        {no + "exceptWhen: EXPR" + handler, "$error.status == 1", R"({"caught":1})"},
        {no + "retry: { when: EXPR, limit: { attempt: { count: 1 } } }" + handler, "$error.status == 1", R"({"caught":1})"},
        {no + "retry: { exceptWhen: EXPR, limit: { attempt: { count: 1 } } }" + handler, "$error.status == 418", R"({"caught":1})"},
    };
    for (const Row& row : rows)
        for (const std::string& written : {"'" + row.expression + "'", "'${ " + row.expression + " }'", "'${" + row.expression + "}'", "'  ${ " + row.expression + " }  '"}) {
            std::string body = row.body;
            body.replace(body.find("EXPR"), 4, written);
            INFO(body);
            CHECK(task(body) == row.gives);
        }
    CHECK(run_flow("input: { from: .a }\noutput: { as: '${ .b }' }\ndo: [ { x: { set: { b: '${ . }' } } } ]", json(R"({"a":7})")).words() == "7");
    CHECK(run_flow("input: { from: '${ .a }' }\noutput: { as: .b }\ndo: [ { x: { set: { b: '${ . }' } } } ]", json(R"({"a":7})")).words() == "7");
}

TEST_CASE("everywhere else only a text that is wholly ${ } is an expression", "[workflows][rules]")
{
    CHECK(task("set: { a: .n, b: '${ .n }', c: [ .n, '${ .n }', { d: '${.n}' } ], e: '$.n', f: '{ .n }' }") == R"({"a":".n","b":1,"c":[".n",1,{"d":1}],"e":"$.n","f":"{ .n }"})");
    CHECK(task("raise: { error: { type: .n, status: 1, title: .n, detail: '${ \"is \\(.n)\" }' } }") == R"({"type":".n","status":1,"title":".n","detail":"is 1","instance":"/do/0/x"})");
    CHECK(run_flow("do: [ { x: { emit: { event: { with: { source: .n, type: t, data: { a: .n, b: '${ .n }' } } } } } } ]", json(R"({"n":1})")).output["data"] == json(R"({"a":".n","b":1})"));
    const Ran asked = run_flow("do: [ { x: { call: http, with: { method: post, endpoint: http://x.test/, headers: { h: .n, g: '${ .n }' }, body: { a: .n, b: '${ .n }' } } } } ]", json(R"({"n":1})"), flaky(0));
    CHECK(asked.requests.at(0).with["body"] == json(R"({"a":".n","b":1})"));
    CHECK(asked.requests.at(0).with["headers"] == json(R"({"h":".n","g":"1"})"));
    CHECK(task("input: { from: { a: .n, b: '${ .n }' } }, set: '${ . }'") == R"({"a":".n","b":1})");
    CHECK(task("set: { n: 1 }, output: { as: { a: .n, b: '${ .n }' } }") == R"({"a":".n","b":1})");
    CHECK(run_flow("do: [ { x: { set: { '${ .n }': 1 } } } ]", json(R"({"n":1})")).words() == R"({"${ .n }":1})");
}

TEST_CASE("a text with ${ } inside is kept as it is, and 'check' prints the spelling that works, in each place", "[workflows][rules]")
{
    for (const std::string body : {"set: { a: 'Hello ${ .n }!' }", "set: { a: [ { b: 'Hello ${ .n }!' } ] }", "raise: { error: { type: t, status: 1, detail: 'Hello ${ .n }!' } }",
                                   "call: log, with: { text: 'Hello ${ .n }!' }", "emit: { event: { with: { source: s, type: t, data: 'Hello ${ .n }!' } } }", "input: { from: { a: 'Hello ${ .n }!' } }, set: { b: 1 }"}) {
        INFO(body);
        CHECK_THAT(findings(*lone("do: [ { x: { " + body + " } } ]")), Catch::Contains("warning") && Catch::Contains(R"(write '${ "Hello \(.n)!" }')"));
    }
    CHECK(task("set: { a: 'Hello ${ .n }!' }") == R"({"a":"Hello ${ .n }!"})");
    CHECK(task("set: { a: '${ .n } is n', b: 'n is ${ .n }' }") == R"({"a":"${ .n } is n","b":"n is ${ .n }"})");
    CHECK(task(R"y(set: { a: '${ "Hello \(.n)!" }' })y") == R"({"a":"Hello 1!"})");
    CHECK(findings(*lone("do: [ { x: { run: { shell: { command: 'echo ${HOME} $x' } } } } ]")).empty());
}

TEST_CASE("an expression has exactly one output, wherever it stands", "[workflows][rules]")
{
    const std::vector<std::pair<std::string, std::string>> many = {{"empty", "no output"}, {"1, 2", "several outputs"}, {".[]?", "several outputs"}, {"capture(\"x\")?", "no output"}};
    for (const auto& [expression, words] : many)
        for (const std::string body : {"if: 'EXPR', set: { n: 1 }", "input: { from: 'EXPR' }, set: { n: 1 }", "set: '${ EXPR }'", "set: { n: [ '${ EXPR }' ] }", "set: { n: 1 }, output: { as: '[1,2] | EXPR' }",
                                       "set: { n: 1 }, export: { as: '[1,2] | EXPR' }", "for: { in: 'EXPR' }, do: [ { y: { set: { n: 1 } } } ]", "switch: [ { c: { when: 'EXPR', then: end } } ]", "wait: '${ EXPR }'",
                                       "call: log, with: { text: '${ EXPR }' }"}) {
            std::string written = body;
            written.replace(written.find("EXPR"), 4, expression);
            INFO(written);
            const Ran ran = run_flow("do: [ { x: { " + written + " } } ]", json("[1,2]"));
            CHECK(kind_of(ran.fault) == "expression");
            CHECK_THAT(ran.fault.detail, Catch::Contains(words));
        }
    CHECK(value("empty // null") == "null");
    CHECK(value("null") == "null");
    CHECK(value("[.a, .b]", R"({"a":1})") == "[1,null]");
}

TEST_CASE("the guard: what reads the environment, files or other inputs is not there", "[workflows][rules]")
{
    setenv("MILL_TEST_SECRET", "hidden", 1);
    for (const std::string reach : {"$ENV", "$ENV.MILL_TEST_SECRET", "[$ENV]", "\"\\($ENV.MILL_TEST_SECRET)\"", "env", "env.MILL_TEST_SECRET", "[env]", "def f: env; f", "1) | (env", "1) as $ENV | ($ENV",
                                    "import \"a\" as a {search: \"/etc\"}; 1", "include \"a\" {search: \"/etc\"}; 1", "import \"a\" as $a; 1", "input", "[inputs]", "first(inputs)", "halt", "1 | halt_error",
                                    "1 | halt_error(2)", "\"a\" | modulemeta", "get_search_list", "$__prog_args", "$__i", "$__v"}) {
        INFO(reach);
        const std::string words = value(reach);
        CHECK_THAT(words, !Catch::Contains("hidden"));
        CHECK_THAT(words, Catch::Contains("not available") || Catch::Contains("not allowed") || Catch::Contains("closes nothing"));
    }
    CHECK(value("input_filename") == "null");
    CHECK(value("input_line_number") == "0");
    CHECK(value("1 | debug") == "1");
    CHECK(value("1 | stderr") == "1");
    CHECK(value("now | type") == "\"number\"");
    CHECK(value("$__loc__ | type") == "\"object\"");
    CHECK(value("builtins | type") == "\"array\"");
}

TEST_CASE("what looks like a guarded name but is a key, a member or a text is none", "[workflows][rules]")
{
    CHECK(value(".env", R"({"env":1})") == "1");
    CHECK(value("{input: 1, halt: 2} | .input + .halt") == "3");
    CHECK(value("\"import $ENV env\" | length") == "15");
    CHECK(value(".fromdate + 1", R"({"fromdate":1})") == "2");
    CHECK(value("1 + 1 # env $ENV import") == "2");
    CHECK(value("{\"strptime\": 1} | keys") == R"(["strptime"])");
}

TEST_CASE("the prelude's functions are those of jq 1.7, errors included", "[workflows][rules]")
{
    CHECK(value(R"(" \t\n a b \n" | [trim, ltrim, rtrim])") == R"(["a b","a b \n"," \t\n a b"])");
    CHECK(value("[3, -3, 0, -0.5] | map(abs)") == "[3,3,0,0.5]");
    CHECK(value("[1, [1], null] | map(toarray)") == "[[1],[1],[null]]");
    CHECK(value("{a: {b: 1, c: 2}, d: 3} | pick(.a.b, .d)") == R"({"a":{"b":1},"d":3})");
    CHECK(value("[1,2,3] | pick(.[1])") == "[null,2]");
    CHECK_THAT(value("1 | trim"), Catch::Contains("cannot be trimmed"));
    CHECK_THAT(value("\"x\" | abs"), Catch::Contains("has no absolute value"));
    for (const std::string date : {"\"2026\" | strptime(\"%Y\")", "\"x\" | fromdate", "[2026,1,1,0,0,0,0,0] | mktime", "\"x\" | fromdateiso8601", "1 | dateadd(\"seconds\"; 1)", "1 | datesub(\"seconds\"; 1)", "1 | date"})
        CHECK_THAT(value(date), Catch::Contains("date.parse"));
    CHECK(value("0 | todate") == "\"1970-01-01T00:00:00Z\"");
}

TEST_CASE("jq 1.6 wants an else, and says so at load", "[workflows][rules]")
{
    const auto package = lone("do: [ { a: { set: { n: '${ if .n then 1 end }' } } } ]");
    CHECK_THAT(findings(*package), Catch::Contains("error") || Catch::Contains("expression 'if .n then 1 end'"));
    CHECK(value("if .n then 1 else 2 end", R"({"n":null})") == "2");
}

TEST_CASE("plain paths keep integers exact up to 64 bits wherever they pass through", "[workflows][rules]")
{
    const std::string big = R"({"id":9223372036854775807,"list":[-9007199254740993]})";
    const auto through = [&](const std::string& body) { return run_flow("do: [ { x: { " + body + " } } ]", json(big)).words(); };
    CHECK(through("set: { a: '${ .id }', b: '${ .list[0] }', c: '${ $input.id }', d: '${ $workflow.input.list[-1] }' }") ==
          R"({"a":9223372036854775807,"b":-9007199254740993,"c":9223372036854775807,"d":-9007199254740993})");
    CHECK(through("input: { from: .list }, set: '${ . }'") == "[-9007199254740993]");
    CHECK(through("for: { in: .list }, do: [ { y: { set: '${ $item }' } } ]") == "-9007199254740993");
    CHECK(through("set: { n: 9007199254740995 }, output: { as: .n }") == "9007199254740995");
    CHECK(through("set: { kept: '${ .id }' }, export: { as: . }, output: { as: . }") == R"({"kept":9223372036854775807})");
    CHECK(value("9007199254740993") == "9007199254740993");
    CHECK(value(". + 0", "9007199254740992") == "9007199254740992");
}

TEST_CASE("data has at most 56 levels, wherever it is made", "[workflows][rules]")
{
    const std::string wrap = "[ { a: { set: { v: '${ .v }' } } } ]";
    CHECK(value("reduce range(55) as $i (0; [.])").size() > 100);
    CHECK_THAT(value("reduce range(56) as $i (0; [.])"), Catch::Contains("nested deeper than 56 levels"));
    CHECK_THAT(value("reduce range(57) as $i (0; [.])"), Catch::Contains("its result is nested deeper than 56 levels"));
    CHECK(workflows::too_deep(json(nested(57))));
    CHECK_FALSE(workflows::too_deep(json(nested(56))));
    const auto loop = [](int times) { return run_flow(fmt::format("do: [ {{ l: {{ for: {{ in: '[range({})]' }}, do: [ {{ a: {{ set: {{ v: '${{ . }}' }} }} }} ] }} }} ]", times), json("1")); };
    CHECK(loop(56).phase == Phase::completed);
    const Ran deep = loop(58);
    CHECK(kind_of(deep.fault) == "expression");
    CHECK_THAT(deep.fault.detail, Catch::Contains("nested deeper than 56 levels"));
    CHECK(deep.fault.instance == "/do/0/l/do/0/a");
    const Ran asked = run_flow("do: [ { x: { call: http, with: { method: post, endpoint: http://x.test/, body: { a: { b: '${ . }' } } } } } ]", json(nested(55)), flaky(0));
    CHECK(kind_of(asked.fault) == "expression");
    CHECK(asked.requests.empty());
    CHECK(kind_of(run_flow("output: { as: '{a: .}' }\ndo: [ { x: { wait: PT0S } } ]", json(nested(56))).fault) == "expression");
}

TEST_CASE("a call within a call is bounded, and so are workflows that run each other", "[workflows][rules]")
{
    const Ran function = run_flow("use: { functions: { f: { try: [ { again: { call: f } } ], catch: { errors: { with: { status: 1 } } } } } }\ndo: [ { go: { call: f } } ]");
    CHECK(kind_of(function.fault) == "runtime");
    CHECK_THAT(function.fault.detail, Catch::Contains("more than 500 deep"));
    const Ran flow = run_flow("do: [ { go: { run: { workflow: { namespace: test, name: flow, version: 1.0.0 } } } } ]");
    CHECK(kind_of(flow.fault) == "runtime");
    CHECK_THAT(flow.fault.detail, Catch::Contains("deep"));
    CHECK(run_flow("use: { functions: { f: { set: { n: 1 } } } }\ndo: [ { t: { try: [ { go: { call: f } } ], catch: {} } } ]").phase == Phase::completed);
}

TEST_CASE("an expression sees data as it is, not what another one made of it", "[workflows][rules]")
{
    CHECK(task("set: { a: '${ .list | map(. + 1) }', b: '${ .list }', c: '${ (.list[0] = 9) | .list }', d: '${ .list }' }") == R"({"a":[2,3],"b":[1,2],"c":[9,2],"d":[1,2]})");
}

TEST_CASE("a plain path and the same through jq give the same, errors alike", "[workflows][rules]")
{
    const std::string data = R"({"a":{"b":[{"c":1},2,[3]],"d e":{"f":null}},"s":"t","n":0,"e":""})";
    for (const std::string path : {".a.b[0].c", ".a.b[-1][0]", ".a.b[5]", ".a.b[-9]", ".a[\"d e\"].f", ".a.\"d e\".f.g", ".none.x[0]", ".n", ".e", ".a", "."}) {
        INFO(path);
        CHECK(value(path, data) == value("(" + path + ") | .", data));
    }
    for (const std::string path : {".s.t", ".n[0]", ".a[0]", ".a.b.c", ".s[0]"}) {
        INFO(path);
        CHECK_THAT(value(path, data), Catch::Contains("failed: ") && Catch::Contains("annot "));
        CHECK_THAT(value("(" + path + ") | .", data), Catch::Contains("failed: ") && Catch::Contains("annot "));
    }
}
