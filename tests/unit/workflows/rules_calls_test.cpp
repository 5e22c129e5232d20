// http, activities, commands, secrets: what is asked and what comes back.
#include "tests/unit/workflows/rules.h"

using namespace mill;
using namespace mill::testing;
using workflows::EffectRequest;
using workflows::Phase;

namespace {

Answers answers(int status, const Json& more, const std::string& type = "application/json")
{
    Json result = Json::object({{"status", status}, {"headers", Json::object({{"Content-Type", type}})}});
    for (const auto& [key, value] : more.as_object()) result.set(key, value);
    return [result](const EffectRequest&) { return Answer{.result = result, .fault = {}}; };
}

Answers text(int status, const std::string& body, const std::string& type = "application/json") { return answers(status, Json::object({{"text", body}}), type); }

std::string http(const std::string& more) { return "do: [ { x: { call: http, with: { method: get, endpoint: http://x.test/a" + more + " } } } ]"; }

Json asked(const std::string& with, const std::string& data = "{}", const std::string& use = "")
{
    const Ran ran = run_flow(use + "do: [ { x: { call: http, with: { " + with + " } } } ]", json(data), text(200, "{}"));
    return ran.requests.empty() ? Json(ran.words()) : ran.requests[0].with;
}

Answers command(int code, const std::string& out = "out", const std::string& err = "err")
{
    return [=](const EffectRequest&) { return Answer{.result = Json::object({{"stdout", out}, {"stderr", err}, {"code", code}}), .fault = {}}; };
}

}  // namespace

TEST_CASE("output: content is the default; content, raw and response for text, JSON, binary and nothing", "[workflows][rules]")
{
    CHECK(run_flow(http(""), {}, text(200, R"([1])")).words() == "[1]");
    CHECK(run_flow(http(", output: content"), {}, text(200, R"([1])")).words() == "[1]");
    CHECK(run_flow(http(", output: content"), {}, text(200, R"([1])", "text/plain")).words() == R"("[1]")");
    CHECK(run_flow(http(""), {}, text(200, R"({"a":1})", "APPLICATION/JSON;charset=utf-8")).words() == R"({"a":1})");
    CHECK(run_flow(http(""), {}, answers(200, Json::object({{"base64", "AAE="}}), "image/png")).words() == R"("AAE=")");
    CHECK(run_flow(http(", output: raw"), {}, answers(200, Json::object({{"base64", "AAE="}}), "image/png")).words() == R"("AAE=")");
    CHECK(run_flow(http(", output: raw"), {}, text(200, "[1]")).words() == R"("WzFd")");
    CHECK(run_flow(http(", output: raw"), {}, text(204, "")).words() == R"("")");
    CHECK(run_flow(http(""), {}, text(204, "")).words() == "null");
    const Ran response = run_flow(http(", output: response, headers: { a: b }"), {}, text(201, R"({"a":1})"));
    CHECK(response.output == json(R"({"request":{"method":"GET","uri":"http://x.test/a","headers":{"a":"b"}},"headers":{"Content-Type":"application/json"},"statusCode":201,"content":{"a":1}})"));
}

TEST_CASE("2xx is success; all else is communication with that status, whatever the output", "[workflows][rules]")
{
    for (const std::string output : {"content", "raw", "response"})
        for (const int status : {100, 199, 200, 204, 299, 300, 304, 399, 400, 404, 500, 599}) {
            INFO(output << " " << status);
            const Ran plain = run_flow(http(", output: " + output), {}, text(status, ""));
            CHECK((plain.phase == Phase::completed) == (status >= 200 && status < 300));
            if (plain.phase == Phase::faulted) CHECK((kind_of(plain.fault) == "communication" && plain.fault.status == status && plain.fault.instance == "/do/0/x"));
            const Ran redirect = run_flow(http(", redirect: true, output: " + output), {}, text(status, ""));
            CHECK((redirect.phase == Phase::completed) == (status >= 200 && status < 400));
        }
    CHECK_THAT(run_flow(http(""), {}, text(503, "try later")).fault.detail, Catch::Contains("GET http://x.test/a answered 503") && Catch::Contains("try later"));
}

TEST_CASE("the endpoint: a text, a template of top-level scalars, an expression, an object", "[workflows][rules]")
{
    const std::string data = R"({"id":"a b","n":5,"o":{"x":1},"u":"http://y.test/z"})";
    CHECK(asked("method: get, endpoint: http://x.test/", data)["uri"] == Json("http://x.test/"));
    CHECK(asked("method: get, endpoint: 'http://x.test/{id}/{n}'", data)["uri"] == Json("http://x.test/a%20b/5"));
    CHECK(asked("method: get, endpoint: '${ .u }'", data)["uri"] == Json("http://y.test/z"));
    CHECK(asked("method: get, endpoint: { uri: '${ .u }' }", data)["uri"] == Json("http://y.test/z"));
    CHECK(asked("method: get, endpoint: { uri: 'http://x.test/{n}' }", data)["uri"] == Json("http://x.test/5"));
    for (const std::string wrong : {"'http://x.test/{o}'", "'http://x.test/{none}'", "'http://x.test/{o.x}'"})
        CHECK(kind_of(run_flow("do: [ { x: { call: http, with: { method: get, endpoint: " + wrong + " } } } ]", json(data)).fault) == "expression");
}

TEST_CASE("the template is filled from the task's transformed input", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { x: { input: { from: '{id: .a}' }, call: http, with: { method: get, endpoint: 'http://x.test/{id}' } } } ]", json(R"({"a":1,"id":2})"), text(200, "{}"));
    CHECK(ran.requests.at(0).with["uri"] == Json("http://x.test/1"));
}

TEST_CASE("headers and query become text, null ones are left out, lists are kept", "[workflows][rules]")
{
    const Json got = asked("method: get, endpoint: http://x.test/, headers: { a: 1, b: null, c: true, d: '${ .n }' }, query: { q: '${ [.n, \"x\"] }', r: null, s: 1.5 }", R"({"n":7})");
    CHECK(got["headers"] == json(R"({"a":"1","c":"true","d":"7"})"));
    CHECK(got["query"] == json(R"({"q":["7","x"],"s":"1.5"})"));
    CHECK_FALSE(got.contains("body"));
}

TEST_CASE("a body is JSON, a text is a text unless it is called JSON, null is none", "[workflows][rules]")
{
    const auto body = [](const std::string& more) { return asked("method: post, endpoint: http://x.test/, " + more, R"({"n":7})"); };
    CHECK(body("body: { a: '${ .n }' }")["body"] == json(R"({"a":7})"));
    CHECK(body("body: hello")["bodyText"] == Json("hello"));
    CHECK(body("body: hello, headers: { Content-Type: application/json }")["body"] == Json("hello"));
    CHECK(body("body: '${ . }'")["body"] == json(R"({"n":7})"));
    const Json none = body("body: null");
    CHECK_FALSE((none.contains("body") || none.contains("bodyText")));
}

TEST_CASE("methods are known, written in any case, and may be expressions", "[workflows][rules]")
{
    CHECK(asked("method: Post, endpoint: http://x.test/")["method"] == Json("POST"));
    CHECK(asked("method: '${ .m }', endpoint: http://x.test/", R"({"m":"delete"})")["method"] == Json("DELETE"));
    CHECK_THAT(findings(*lone("do: [ { x: { call: http, with: { method: gte, endpoint: http://x.test/ } } } ]")), Catch::Contains("the method 'GTE' is not known"));
}

TEST_CASE("a secret is a handle: joined, handed on, put into any argument, and worth nothing when looked into", "[workflows][rules]")
{
    const std::string use = "use: { secrets: [ erp ] }\n", handle = workflows::secret_handle("erp", "token");
    const Json got = asked("method: post, endpoint: http://x.test/, headers: { a: '${ \"Bearer \" + $secrets.erp.token }' }, query: { k: '${ $secrets.erp.token }' }, body: { p: [ '${ \"x\\($secrets.erp.token)y\" }' ] }", "{}", use);
    CHECK(got["headers"]["a"] == Json("Bearer " + handle));
    CHECK(got["query"]["k"] == Json(handle));
    CHECK(got["body"]["p"][std::size_t{0}] == Json("x" + handle + "y"));
    CHECK(run_flow(use + "do: [ { a: { set: { t: '${ $secrets.erp.token }' }, export: { as: . } } }, { b: { call: log, with: { text: '${ $context.t }' } } } ]").requests.at(0).with["text"] == Json(handle));
    CHECK(run_flow(use + "do: [ { a: { set: { same: '${ $secrets.erp.token == $secrets.erp.token }', kind: '${ $secrets.erp.token | type }', inside: '${ $secrets.erp.token | explode | length }' } } } ]").output ==
          Json::object({{"same", true}, {"kind", "string"}, {"inside", 11}}));
}

TEST_CASE("a secret is named with its field and is declared; none of its neighbours is seen", "[workflows][rules]")
{
    const auto found = [](const std::string& expression) { return findings(*lone("use: { secrets: [ erp ] }\ndo: [ { a: { set: { t: '${ " + expression + " }' } } } ]")); };
    CHECK(found("$secrets.erp.token").empty());
    CHECK(found("$secrets[\"erp\"].token").empty());
    for (const std::string wrong : {"$secrets.erp", "[$secrets.erp]", "$secrets", "[$secrets] | length", "$secrets.erp.token.more", "$secrets | keys"}) {
        INFO(wrong);
        CHECK_THAT(found(wrong), Catch::Contains("$secrets.NAME.FIELD"));
    }
    CHECK_THAT(found("$secrets.epr.token"), Catch::Contains("the secret 'epr' is not declared in use.secrets") && Catch::Contains("erp"));
    const auto package = lone("use: { secrets: [ erp ] }\ndo: [ { a: { set: { t: '${ $secrets.erp.token }' } } } , { r: { run: { workflow: { namespace: test, name: c, version: 1.0.0 } } } } ]",
                              {{"c.yaml", "document: { dsl: 1.0.3, namespace: test, name: c, version: 1.0.0 }\ndo: [ { z: { set: { t: '${ $secrets.erp.token }' } } } ]"}});
    CHECK_THAT(findings(*package), Catch::Contains("the secret 'erp' is not declared"));
}

TEST_CASE("a void activity's raw output is its transformed input; a reading one's is its result", "[workflows][rules]")
{
    const Answers seven = [](const EffectRequest&) { return Answer{.result = json(R"({"n":7})"), .fault = {}}; };
    const auto run = [&](const std::string& body) { return run_flow("do: [ { x: { input: { from: .a }, " + body + " } } ]", json(R"({"a":{"k":1}})"), seven).words(); };
    for (const std::string silent : {"call: log, with: { text: t }", "call: progress, with: { percent: 5 }"}) {
        CHECK(run(silent) == R"({"k":1})");
        CHECK(run(silent + ", output: { as: '{shaped: .k}' }") == R"({"shaped":1})");
        CHECK(run(silent + ", export: { as: '{kept: .k}' }") == R"({"k":1})");
    }
    CHECK(run("call: file.read, with: { path: p }") == R"({"n":7})");
    CHECK(run("call: file.read, with: { path: p }, output: { as: .n }") == "7");
    CHECK(run("wait: PT1S") == R"({"k":1})");
    CHECK(run("run: { shell: { command: x }, return: none }") == R"({"k":1})");
}

TEST_CASE("an activity may be called by the default catalog's full name", "[workflows][rules]")
{
    CHECK(run_flow("do: [ { x: { call: 'log:1.0.0@default', with: { text: t } } } ]").requests.at(0).effect == "log");
    CHECK(run_flow("do: [ { x: { call: 'log@default', with: { text: t } } } ]").requests.at(0).effect == "log");
    CHECK_THAT(findings(*lone("do: [ { x: { call: 'log:1.0.0@other', with: { text: t } } } ]")), Catch::Contains("catalog 'other'"));
}

TEST_CASE("a function of use.functions comes before an activity of that name", "[workflows][rules]")
{
    const Ran ran = run_flow("use: { functions: { log: { set: { mine: 1 } } } }\ndo: [ { x: { call: log } } ]");
    CHECK(ran.words() == R"({"mine":1})");
    CHECK(ran.requests.empty());
}

TEST_CASE("'with' as one expression is checked when it runs", "[workflows][rules]")
{
    CHECK(run_flow("do: [ { x: { call: log, with: '${ .a }' } } ]", json(R"({"a":{"text":"t","level":"debug"}})")).requests.at(0).with == json(R"({"text":"t","level":"debug"})"));
    const Ran wrong = run_flow("do: [ { x: { call: log, with: '${ .a }' } } ]", json(R"({"a":{"txt":"t"}})"));
    CHECK(kind_of(wrong.fault) == "validation");
    CHECK(wrong.requests.empty());
}

TEST_CASE("what a command gives back, by 'return' and exit status", "[workflows][rules]")
{
    for (const std::string run : {"shell: { command: x }", "script: { language: python, code: x }"}) {
        const auto back = [&](const std::string& what, int code) { return run_flow("do: [ { x: { run: { " + run + ", return: " + what + " } } } ]", json(R"({"k":1})"), command(code)); };
        CHECK(back("stdout", 0).words() == R"("out")");
        CHECK(back("stderr", 0).words() == R"("err")");
        CHECK(back("code", 0).words() == "0");
        CHECK(back("none", 0).words() == R"({"k":1})");
        CHECK(back("all", 0).output == json(R"({"stdout":"out","stderr":"err","code":0})"));
        CHECK(back("code", 3).words() == "3");
        CHECK(back("all", 3).output["code"] == Json(3));
        for (const std::string fails : {"stdout", "stderr", "none"}) {
            const Ran failed = back(fails, 3);
            CHECK(kind_of(failed.fault) == "runtime");
            CHECK(failed.fault.status == 500);
            CHECK(failed.fault.instance == "/do/0/x");
            CHECK_THAT(failed.fault.detail, Catch::Contains("exit status 3") && Catch::Contains("err"));
        }
    }
}

TEST_CASE("a shell is asked with its arguments in order, its environment as text, its input as text", "[workflows][rules]")
{
    const auto shell = [](const std::string& more) {
        return run_flow("do: [ { x: { run: { shell: { command: '${ .c }', " + more + " } } } } ]", json(R"({"c":"echo","n":5,"o":{"a":1}})"), command(0)).requests.at(0).with;
    };
    CHECK(shell("arguments: [ b, '${ .n }', a ]")["arguments"] == json(R"(["b",5,"a"])"));
    CHECK(dump_json(shell("arguments: { z: '${ .n }', a: null }")["arguments"]) == R"({"z":5,"a":null})");
    CHECK(shell("environment: { N: '${ .n }', O: '${ .o }', S: s }")["environment"] == json(R"({"N":"5","O":"{\"a\":1}","S":"s"})"));
    CHECK(shell("stdin: '${ .o }'")["stdin"] == Json(R"({"a":1})"));
    CHECK(shell("stdin: text")["stdin"] == Json("text"));
    CHECK(shell("stdin: null")["command"] == Json("echo"));
    CHECK_FALSE(shell("stdin: null").contains("stdin"));
}

TEST_CASE("set replaces, in an object, an array within, and as one expression", "[workflows][rules]")
{
    const auto set = [](const std::string& what) { return run_flow("do: [ { x: { set: " + what + " } } ]", json(R"({"a":1,"b":2})")).words(); };
    CHECK(set("{ a: 5 }") == R"({"a":5})");
    CHECK(set("{ a: { c: [ '${ .b }' ] } }") == R"({"a":{"c":[2]}})");
    CHECK(set("'${ . + {c: 3} }'") == R"({"a":1,"b":2,"c":3})");
    CHECK(set("'${ .b }'") == "2");
    CHECK(set("{}") == "{}");
}

TEST_CASE("for: the items are taken once, before the first iteration", "[workflows][rules]")
{
    CHECK(run_flow("do: [ { l: { for: { each: x, in: .list }, do: [ { a: { set: { list: [], sum: '${ (.sum // 0) + $x }' } } } ] } } ]", json(R"({"list":[1,2,3]})")).words() == R"({"list":[],"sum":6})");
    CHECK(run_flow("do: [ { l: { input: { from: .deep }, for: { in: .list }, do: [ { a: { set: '${ $item }' } } ] } } ]", json(R"({"deep":{"list":[1,2]}})")).words() == "2");
    CHECK(run_flow("do: [ { l: { for: { in: [ 4, 5 ], at: i }, do: [ { a: { set: '${ [$item, $i] }' } } ] } } ]").words() == "[5,1]");
}

TEST_CASE("for: the previous iteration's output is the next one's input, as its body's output.as made it", "[workflows][rules]")
{
    CHECK(run_flow(R"(
do:
  - l:
      for: { each: x, in: '[1,2,3]' }
      do: [ { body: { do: [ { a: { set: { number: '${ $x * 10 }', leaked: true } } } ], output: { as: '$input + {done: (($input.done // []) + [.number])}' } } } ]
)").words() == R"({"done":[10,20,30]})");
    CHECK(run_flow("do: [ { l: { for: { in: '[1,2]' }, do: [ { a: { if: '$index == 0', set: { first: true } } } ] } } ]").words() == R"({"first":true})");
}

TEST_CASE("while is looked at before each iteration, the first too, with the loop's variables and the data so far", "[workflows][rules]")
{
    const auto loop = [](const std::string& condition) { return run_flow("do: [ { l: { for: { each: x, in: '[1,2,3]', at: i }, while: '" + condition + "', do: [ { a: { set: { all: '${ (.all // []) + [$x] }' } } } ] } } ]", json(R"({"start":1})")).words(); };
    CHECK(loop("false") == R"({"start":1})");
    CHECK(loop("$i < 2") == R"({"all":[1,2]})");
    CHECK(loop("$x != 2") == R"({"all":[1]})");
    CHECK(loop("(.all // []) | length < 1") == R"({"all":[1]})");
    CHECK(loop("$input.start == 1") == R"({"all":[1,2,3]})");
}
