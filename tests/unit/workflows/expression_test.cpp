#include <stop_token>
#include <thread>

#include <catch2/catch.hpp>

#include <ctime>

#include "tests/support/workflow_run.h"
#include "workflows/duration.h"
#include "workflows/jq_text.h"
#include "workflows/path.h"
#include "workflows/uri.h"

using namespace mill;
using namespace mill::testing;
using workflows::Phase;

namespace {

/// The value of one expression on `data`, or its error's words.
std::string value(const std::string& expression, const std::string& data = "{}")
{
    Json flow = Json::object({{"do", Json::array({Json::object({{"x", Json::object({{"set", Json::object({{"v", "${" + expression + "}"}})}})}})})}});
    const Ran ran = run_flow(dump_yaml(flow), json(data));
    if (!ran.problem.empty()) return ran.problem;
    return ran.phase == Phase::completed ? dump_json(ran.output["v"]) : ran.fault.detail;
}

}  // namespace

TEST_CASE("plain paths answer as jq does", "[workflows][expression]")
{
    const std::string data = R"({"a":{"b":[1,{"c":null},"x"]},"s":"t","n":5,"q r":1})";
    CHECK(value(".", R"({"a":1})") == R"({"a":1})");
    CHECK(value(".a.b[0]", data) == "1");
    CHECK(value(".a.b[-1]", data) == "\"x\"");
    CHECK(value(".a.b[9]", data) == "null");
    CHECK(value(".a.b[1].c.d.e", data) == "null");
    CHECK(value(".[\"q r\"]", data) == "1");
    CHECK(value(".\"q r\"", data) == "1");
    CHECK(value(".a[\"b\"][0]", data) == "1");
    CHECK(value(" .n ", data) == "5");
    CHECK_THAT(value(".s.t", data), Catch::Contains("cannot read 't' of a string"));
    CHECK_THAT(value(".n[0]", data), Catch::Contains("cannot read item 0 of a number"));
    CHECK(value("$input.n", data) == "5");
    for (const char* plain : {".a", ".a.b", ".[0]", "$x", "$x.a[1]", ".a[-2].c", ".\"k\""}) CHECK(workflows::parse_plain_path(plain));
    for (const char* more : {".a | .b", ".a[]", ".a?", "..", ".a.[", "a", ".a b", ".[1:2]", ".\"a\\(.b)\"", "$", ".a.", "$__loc__"}) CHECK_FALSE(workflows::parse_plain_path(more));
}

TEST_CASE("literals are kept without jq, and large integers with them", "[workflows][expression]")
{
    CHECK(value("12345678901234567") == "12345678901234567");
    CHECK(value("\"text\"") == "\"text\"");
    CHECK(value("[]") == "[]");
    CHECK(value("true") == "true");
    CHECK(value("-1.5") == "-1.5");
}

TEST_CASE("expressions compute, with comments, strings and their interpolation", "[workflows][expression]")
{
    CHECK(value(".n + 1 # a comment", R"({"n":1})") == "2");
    CHECK(value("\"Hello \\(.who + \" (\\(1+1))\")!\"", R"({"who":"Ada"})") == "\"Hello Ada (2)!\"");
    CHECK(value("[.rows[] | select(.n > 1) | .n] | add", R"({"rows":[{"n":1},{"n":2},{"n":3}]})") == "5");
    CHECK(value("def f($x): $x * 2; f(4)") == "8");
    CHECK(value("reduce range(4) as $i (0; . + $i)") == "6");
    CHECK(value("{a: 1, \"b\": .x} | {a, b}", R"({"x":2})") == R"({"a":1,"b":2})");
}

TEST_CASE("no output and several outputs are errors that say so", "[workflows][expression]")
{
    CHECK_THAT(value("empty"), Catch::Contains("no output"));
    CHECK_THAT(value(".t | capture(\"(?<n>[0-9]+)\")", R"({"t":"x"})"), Catch::Contains("no output"));
    CHECK(value("(.t | capture(\"(?<n>[0-9]+)\")) // null", R"({"t":"x"})") == "null");
    CHECK_THAT(value("1, 2"), Catch::Contains("several outputs"));
    CHECK_THAT(value(".[]", "[1,2]"), Catch::Contains("several outputs"));
}

TEST_CASE("an error names the expression, its place and the data's shape, and none of its values", "[workflows][expression]")
{
    const std::string words = value(".name + .count", R"({"name":"secret-name","count":4711})");
    CHECK_THAT(words, Catch::Contains(".name + .count") && Catch::Contains("/do/0/x/set/v") && Catch::Contains("name: string, count: number"));
    CHECK_THAT(words, Catch::Contains("string and number cannot be added"));
    CHECK_THAT(words, !Catch::Contains("secret-name") && !Catch::Contains("4711"));
    CHECK_THAT(value("error(\"my own words\")"), Catch::Contains("my own words"));
}

TEST_CASE("nothing of the process can be reached", "[workflows][expression]")
{
    setenv("MILL_TEST_SECRET", "hidden", 1);
    for (const char* reach : {"env", "env.MILL_TEST_SECRET", "input", "[inputs]", "halt", "halt_error", "\"x\" | halt_error(1)", "get_search_list", "\"m\" | modulemeta"})
        CHECK_THAT(value(reach), Catch::Contains("not available"));
    CHECK_THAT(value("$ENV.MILL_TEST_SECRET"), Catch::Contains("$ENV is not available"));
    CHECK_THAT(value("1) | (env"), Catch::Contains("closes nothing"));
    CHECK_THAT(value("import \"a\" as a; 1"), Catch::Contains("'import' is not allowed"));
    CHECK_THAT(value("include \"a\"; 1"), Catch::Contains("'include' is not allowed"));
    CHECK_THAT(value("$__i"), Catch::Contains("not available"));
    CHECK(value("1 | debug | stderr") == "1");
    CHECK(value("input_filename") == "null");
    CHECK(value("{env: 1}.env") == "1");
}

TEST_CASE("each row of the guard holds", "[workflows][expression]")
{
    CHECK_THAT(value("$ENV"), Catch::Contains("$ENV is not available"));
    CHECK_THAT(value("env"), Catch::Contains("env is not available"));
    CHECK_THAT(value("\"PATH\" | env[.]"), Catch::Contains("env is not available"));
    CHECK_THAT(value("import \"m\" as m {search: \"/\"}; m::x"), Catch::Contains("'import' is not allowed"));
    CHECK_THAT(value("import \"d\" as $d; $d"), Catch::Contains("'import' is not allowed"));
    CHECK_THAT(value("include \"m\" {search: \"/\"}; x"), Catch::Contains("'include' is not allowed"));
    CHECK_THAT(value("first(inputs)"), Catch::Contains("inputs is not available"));
    CHECK(value("[input_filename, input_line_number]") == "[null,0]");
    CHECK(value("1 | debug(\"x\") | stderr") == "1");
    CHECK_THAT(value("{} | halt_error(3)"), Catch::Contains("halt_error is not available"));
    for (const char* path : {"get_search_list", "get_jq_origin", "get_prog_origin", "\"m\" | modulemeta"}) CHECK_THAT(value(path), Catch::Contains("is not available"));
    CHECK(value("now > 1000000000") == "true");
    CHECK(value("$__loc__.line > 0") == "true");
    CHECK(value("builtins | length > 50") == "true");
    for (const char* out : {"1) | (env", "1)) | ((env", "1 ] | [ env", "\"\\(1\" ) | (env"})
        CHECK_THAT(value(out), Catch::Contains("closes nothing") || Catch::Contains("does not match") || Catch::Contains("does not end") || Catch::Contains("is not closed"));
    CHECK_THAT(value("1 # ) | env"), Catch::Equals("1"));
    CHECK_THAT(value("def env: 1; $ENV"), Catch::Contains("$ENV is not available"));
}

TEST_CASE("integers beyond 2^53 are exact or refused, wherever jq would meet them", "[workflows][expression]")
{
    CHECK(value("9007199254740993") == "9007199254740993");
    CHECK(value("[9007199254740993][0] | . + 0") != "9007199254740992");
    CHECK_THAT(value("9007199254740993 + 0"), Catch::Contains("9007199254740993 is beyond 2^53"));
    CHECK_THAT(value(".x == 12345678901234567890", R"({"x":1})"), Catch::Contains("beyond 2^53"));
    CHECK(value("9007199254740992 - 1") == "9007199254740991");
    CHECK(value("1e20 > 1.5e19") == "true");
    CHECK(value("00000000000000000007 + 1") == "8");
    CHECK(value(".a.b", R"({"a":{"b":9223372036854775807}})") == "9223372036854775807");
    CHECK_THAT(value("{b: .a.b}", R"({"a":{"b":9223372036854775807}})"), Catch::Contains("9223372036854775807 is beyond 2^53"));
    CHECK_THAT(value("\"9007199254740993\" | tonumber"), Catch::Contains("9007199254740993 is beyond 2^53"));
    CHECK(value("[\"9007199254740991\", \"-12\", \"1.5e300\", 7 | tonumber]") == "[9007199254740991,-12,1.5e+300,7]");
    CHECK_THAT(value("\"x\" | tonumber"), Catch::Contains("Cannot be parsed as a number") || Catch::Contains("Invalid numeric literal"));
    CHECK_THAT(value("\"{\\\"id\\\": 9007199254740993}\" | fromjson"), Catch::Contains("9007199254740993 is beyond 2^53"));
    CHECK(value("\"{\\\"id\\\": \\\"9007199254740993\\\"}\" | fromjson") == R"({"id":"9007199254740993"})");
    CHECK(value("\"[1, 2]\" | fromjson") == "[1,2]");
}

TEST_CASE("a member may be called like a function that is left out", "[workflows][expression]")
{
    CHECK(value("{date, mktime: 1, x: .date}", R"({"date":"d"})") == R"({"date":"d","mktime":1,"x":"d"})");
    CHECK_THAT(value("{x: date}"), Catch::Contains("date.parse"));
    CHECK_THAT(value("{(date): 1}"), Catch::Contains("date.parse"));
    CHECK_THAT(value("[date]"), Catch::Contains("date.parse"));
}

TEST_CASE("an error of an expression has its lines: why, which, where, on what", "[workflows][expression]")
{
    const Ran ran = run_flow("do:\n  - x:\n      set:\n        v: |\n          ${\n            .a as $n\n            | $n + .b\n          }\n", json(R"({"a":1,"b":"text"})"));
    REQUIRE(ran.phase == workflows::Phase::faulted);
    CHECK(ran.fault.detail == "the expression failed: number and string cannot be added\n"
                              "  expression: .a as $n\n                | $n + .b\n"
                              "  place: /do/0/x/set/v (line 5, column 9)\n"
                              "  data: an object {a: number, b: string}");
}

TEST_CASE("what jq 1.7 has more is there, and what differs by system is left out by name", "[workflows][expression]")
{
    CHECK(value("\" a \" | [trim, ltrim, rtrim]") == R"(["a","a "," a"])");
    CHECK(value("-5 | abs") == "5");
    CHECK(value("1 | toarray") == "[1]");
    CHECK(value("{a: {b: 1, c: 2}} | pick(.a.b)") == R"({"a":{"b":1}})");
    for (const char* left_out : {"\"x\" | strptime(\"%Y\")", "\"x\" | fromdate", "1 | mktime"})
        CHECK_THAT(value(left_out), Catch::Contains("date.parse"));
}

TEST_CASE("an evaluation that does not end is stopped, and the next one works", "[workflows][expression]")
{
    const std::clock_t begin = std::clock();  // the processor's time: others may be busy, too
    const auto package = lone("do: [ { t: { try: [ { a: { set: { v: '${ def f: f; f }' } } } ], catch: { do: [ { h: { set: { v: '${ $error.status + 0 }' } } } ] } } } ]");
    CHECK(drive(package).words() == R"({"v":408})");
    CHECK((std::clock() - begin) / CLOCKS_PER_SEC < 4);
}

TEST_CASE("a busy machine makes no expression wrong: what counts is the processor's time", "[workflows][expression]")
{
    std::vector<std::jthread> busy;
    for (unsigned i = 0; i < 8 * std::min(std::max(std::thread::hardware_concurrency(), 1U), 16U); ++i)
        busy.emplace_back([](std::stop_token stop) {
            while (!stop.stop_requested()) {}
        });
    CHECK(value("reduce range(400000) as $i (0; . + 1)") == "400000");  // a fifth of a second, alone
}

TEST_CASE("an evaluation that holds much when it is stopped is stopped once", "[workflows][expression][slow]")
{
    // Letting go of a hundred thousand levels takes longer than the watchdog's next look.
    CHECK_THAT(value("def f: 1 + f; f"), Catch::Contains("longer than"));
    CHECK_THAT(value("[range(1e9)] | length"), Catch::Contains("longer than"));
    CHECK(value("1 + 1") == "2");
}

TEST_CASE("a result nested without end is refused", "[workflows][expression]")
{
    CHECK_THAT(value("reduce range(1000) as $i (0; [.])"), Catch::Contains("nested deeper"));
}

TEST_CASE("a package may have thousands of expressions: each answers for itself, and the broken ones among them are named", "[workflows][expression][slow]")
{
    // jq takes some 1,000 at once; the words of a long one count for more.
    const auto text = [](int i) { return i % 500 == 499 ? "[" + std::string(2000, '-') + std::to_string(i) + "] | .[0]" : fmt::format(". + {}", i); };
    std::vector<workflows::Expression> many(2200);
    std::vector<workflows::Expression*> all;
    for (auto& each : many) {
        each.text = text(static_cast<int>(all.size()));
        all.push_back(&each);
    }
    std::vector<workflows::CompileError> errors;
    const auto program = workflows::compile(all, errors);
    REQUIRE(errors.empty());
    for (std::size_t i = 0; i < many.size(); ++i) {
        const auto answer = program->evaluate(many[i], Json(1), {}, workflows::kExpressionPatience);
        REQUIRE(answer);
        REQUIRE(answer->json().as_integer() == static_cast<long long>(i % 500 == 499 ? i : i + 1));
    }
    many[3].text = many[1999].text = ". + nosuch";
    many[700].text = "1 +";
    CHECK(workflows::compile(all, errors) == nullptr);
    std::set<const workflows::Expression*> named;
    for (const auto& error : errors) named.insert(error.expression);
    CHECK(named == std::set<const workflows::Expression*>{&many[3], &many[700], &many[1999]});
}

TEST_CASE("a broken expression is found at load and named with its place", "[workflows][expression]")
{
    const auto package = lone("do:\n  - a: { set: { n: '${ .a + }' } }\n  - b: { set: { n: '${ .b | nosuch }' } }\n  - c: { set: { n: '${ .c + 1 }' } }\n");
    const std::string words = findings(*package);
    CHECK_THAT(words, Catch::Contains("flow.yaml:3:") && Catch::Contains(".a +") && Catch::Contains("flow.yaml:4:") && Catch::Contains("nosuch/0 is not defined"));
    CHECK_THAT(words, !Catch::Contains(".c + 1") && !Catch::Contains("$__i"));
}

TEST_CASE("arguments are there where the specification's table says, and nowhere else", "[workflows][expression]")
{
    const auto words = [](const std::string& task) { return findings(*lone("do: [ { x: { " + task + " } } ]")); };
    CHECK_THAT(words("if: '$input.a', set: { n: 1 }"), Catch::Contains("$input is not available here"));
    CHECK_THAT(words("if: '$output', set: { n: 1 }"), Catch::Contains("$output is not available here"));
    CHECK_THAT(words("input: { from: '$input.a' }, set: { n: 1 }"), Catch::Contains("$input is not available here"));
    CHECK_THAT(words("set: { n: '${ $output }' }"), Catch::Contains("$output is not available here"));
    CHECK_THAT(words("set: { n: 1 }, output: { as: '$output' }"), Catch::Contains("$output is not available here"));
    CHECK(words("if: '$task.name == \"x\"', set: { n: '${ $input }' }, output: { as: '$input' }, export: { as: '$output' }").empty());
    CHECK_THAT(findings(*lone("input: { from: '$context' }\ndo: [ { x: { set: { n: 1 } } } ]")), Catch::Contains("$context is not available here"));
    CHECK_THAT(findings(*lone("output: { as: '$input' }\ndo: [ { x: { set: { n: 1 } } } ]")), Catch::Contains("$input is not available here"));
    CHECK(findings(*lone("output: { as: '$context' }\ndo: [ { x: { set: { n: 1 } } } ]")).empty());
    CHECK_THAT(words("set: { n: '${ [$contxt] }' }"), Catch::Contains("$contxt is not defined here; did you mean '$context'") || Catch::Contains("did you mean 'context'"));
}

TEST_CASE("braces are optional in expression fields and needed elsewhere", "[workflows][expression]")
{
    CHECK(run_flow("do: [ { a: { if: '${ .go }', set: { n: 1 } } } ]", json(R"({"go":true})")).words() == R"({"n":1})");
    CHECK(run_flow("do: [ { a: { set: { n: '.go' } } } ]", json(R"({"go":true})")).words() == R"({"n":".go"})");
    const auto package = lone("do: [ { a: { set: { n: 'Hello ${ .who }!' } } } ]");
    CHECK_THAT(findings(*package), Catch::Contains("warning") && Catch::Contains(R"(${ "Hello \(.who)!" })"));
    CHECK(drive(package).words() == R"({"n":"Hello ${ .who }!"})");
}

TEST_CASE("collecting many rows in a loop does not convert them again and again", "[workflows][expression]")
{
    Json rows = Json::array();
    for (int i = 0; i < 3000; ++i) rows.push(Json::object({{"id", i}, {"a", "text"}, {"b", 2.5}, {"c", Json::array({1, 2, 3})}}));
    workflows::RunOptions options;
    options.steps = false;
    options.cloud_events = false;
    const auto begin = std::chrono::steady_clock::now();
    const Ran ran = run_flow(R"(
do:
  - loop:
      for: { each: row, in: .rows }
      do: [ { keep: { set: '${ $row }', export: { as: '$context + {all: (($context.all // []) + [.])}' } } } ]
  - last: { set: { n: '${ $context.all | length }' } }
)", Json::object({{"rows", rows}}), {}, options);
    CHECK(ran.words() == R"({"n":3000})");
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
}

TEST_CASE("durations: the object, ISO 8601, and what is none", "[workflows]")
{
    const auto ms = [](const char* text) { return workflows::duration_of(json(text)).value_or(Milliseconds(-1)).count(); };
    CHECK(ms(R"({"days":1,"hours":1,"minutes":1,"seconds":1,"milliseconds":1})") == 90'061'001);
    CHECK(ms(R"("P1DT1H1M1.5S")") == 90'061'500);
    CHECK(ms(R"("P2W")") == 1'209'600'000);
    CHECK(ms(R"({"hours":1,"minutes":-30})") == -1);  // each part, whatever the sum
    CHECK(ms(R"("PT0S")") == 0);
    for (const char* wrong : {R"("P")", R"("PT")", R"("1S")", R"("PT1")", R"("P1M")", R"("P1Y")", R"("PT1S1M")", R"("PT1.5H1S")", R"("PT-1S")", R"("PT1X")", R"("")", "{}", "5", "null",
                              R"({"weeks":1})", R"({"seconds":-1})", R"({"seconds":"1"})", R"("P99999999D")", R"("PT1e9S")"})
        CHECK(ms(wrong) == -1);
}

TEST_CASE("URI templates take top-level scalars, percent-encoded, and nothing else", "[workflows]")
{
    const Json data = json(R"({"a":"x y/é","n":5,"o":{},"z":null})");
    CHECK(workflows::expand_uri("http://h/{a}/{n}?q={n}", data).value_or("") == "http://h/x%20y%2F%C3%A9/5?q=5");
    for (const char* wrong : {"http://h/{o}", "http://h/{none}", "http://h/{z}", "http://h/{a.b}", "http://h/{+a}", "http://h/{a", "http://h/{}"}) CHECK_FALSE(workflows::expand_uri(wrong, data));
}
