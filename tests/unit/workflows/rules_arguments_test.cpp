// Which names an expression is given, place by place: the specification's table "expression arguments".
#include <algorithm>

#include "tests/unit/workflows/rules.h"

using namespace mill;
using namespace mill::testing;

namespace {

const std::vector<std::string> kNames = {"context", "input", "output", "secrets", "workflow", "runtime", "task", "authorization"};

struct Place {
    std::string name, body;  // EXPR stands for the expression
    std::vector<std::string> given;
};

std::string with(const std::string& body, const std::string& expression)
{
    std::string out = body;
    for (auto at = out.find("EXPR"); at != std::string::npos; at = out.find("EXPR", at)) out.replace(at, 4, expression);
    return "use: { secrets: [ erp ], functions: { f: { set: { n: 1 } } } }\n" + out;
}

std::string read(const std::string& name) { return name == "secrets" ? "$secrets.erp.token" : "$" + name; }

std::vector<Place> places()
{
    const std::vector<std::string> before = {"context", "secrets", "workflow", "runtime", "task"};
    const std::vector<std::string> body = {"context", "input", "secrets", "workflow", "runtime", "task", "authorization"};
    std::vector<std::string> exported = body;
    exported.emplace_back("output");
    const std::string set = "\ndo: [ { x: { set: { n: 1 } } } ]";
    const auto task = [](const std::string& text) { return "do: [ { x: { " + text + " } } ]"; };
    return {
        {"workflow input.from", "input: { from: '[EXPR]' }" + set, {"secrets", "workflow", "runtime"}},
        {"workflow output.as", "output: { as: '[EXPR]' }" + set, {"context", "secrets", "workflow", "runtime"}},
        {"if", task("if: '[EXPR]', set: { n: 1 }"), before},
        {"input.from", task("input: { from: '[EXPR]' }, set: { n: 1 }"), before},
        {"input.from as an object", task("input: { from: { a: '${ [EXPR] }' } }, set: { n: 1 }"), before},
        {"timeout", task("timeout: { after: '${ [EXPR] | {seconds: 1} }' }, set: { n: 1 }"), before},
        {"set", task("set: { n: '${ [EXPR] }' }"), body},
        {"for.in", task("for: { in: '[EXPR]' }, do: [ { y: { set: { n: 1 } } } ]"), body},
        {"while", task("for: { in: '[1]' }, while: '[EXPR]', do: [ { y: { set: { n: 1 } } } ]"), body},
        {"switch", task("switch: [ { c: { when: '[EXPR]', then: end } } ]"), body},
        {"wait", task("wait: '${ [EXPR] | {seconds: 1} }'"), body},
        {"raise", task("raise: { error: { type: t, status: 1, detail: '${ [EXPR] | length }' } }"), body},
        {"emit", task("emit: { event: { with: { source: s, type: t, data: '${ [EXPR] }' } } }"), body},
        {"call of http", task("call: http, with: { method: get, endpoint: http://x.test/, body: '${ [EXPR] }' }"), body},
        {"call of an activity", task("call: log, with: { text: '${ [EXPR] | length | tostring }' }"), body},
        {"call of a function", task("call: f, with: { n: '${ [EXPR] }' }"), body},
        {"run of a workflow", task("run: { workflow: { namespace: a, name: b, version: 1.0.0, input: { n: '${ [EXPR] }' } } }"), body},
        {"run of a shell", task("run: { shell: { command: 'true', arguments: [ '${ [EXPR] | tostring }' ] } }"), body},
        {"catch.when", task("try: [ { y: { set: { n: 1 } } } ], catch: { when: '[EXPR]' }"), body},
        {"catch.exceptWhen", task("try: [ { y: { set: { n: 1 } } } ], catch: { exceptWhen: '[EXPR]' }"), body},
        {"retry.when", task("try: [ { y: { set: { n: 1 } } } ], catch: { retry: { when: '[EXPR]' } }"), body},
        {"retry.exceptWhen", task("try: [ { y: { set: { n: 1 } } } ], catch: { retry: { exceptWhen: '[EXPR]' } }"), body},
        {"retry.delay", task("try: [ { y: { set: { n: 1 } } } ], catch: { retry: { delay: '${ [EXPR] | {seconds: 1} }' } }"), body},
        {"output.as", task("set: { n: 1 }, output: { as: '[EXPR]' }"), body},
        {"export.as", task("set: { n: 1 }, export: { as: '[EXPR]' }"), exported},
    };
}

}  // namespace

TEST_CASE("each place is given the names that the table says", "[workflows][rules]")
{
    for (const Place& place : places()) {
        std::string all;
        for (const std::string& name : place.given) all += (all.empty() ? "" : ", ") + read(name);
        INFO(place.name);
        CHECK(findings(*lone(with(place.body, all))).empty());
    }
}

TEST_CASE("no place is given a name that the table does not say, with a pipe or as a plain path", "[workflows][rules]")
{
    for (const Place& place : places())
        for (const std::string& name : kNames) {
            if (std::find(place.given.begin(), place.given.end(), name) != place.given.end()) continue;
            INFO(place.name << " $" << name);
            CHECK_THAT(findings(*lone(with(place.body, read(name)))), Catch::Contains("$" + name + " is not available here"));
        }
    CHECK_THAT(findings(*lone("do: [ { x: { if: $output, set: { n: 1 } } } ]")), Catch::Contains("$output is not available here"));
    CHECK_THAT(findings(*lone("output: { as: $task }\ndo: [ { x: { set: { n: 1 } } } ]")), Catch::Contains("$task is not available here"));
}

TEST_CASE("variables of a loop and of a handler are there in their places and nowhere else", "[workflows][rules]")
{
    const auto found = [](const std::string& task) { return findings(*lone("do: [ { x: { " + task + " } } ]")); };
    const std::string loop = "for: { each: row, in: '[1]', at: i }";
    CHECK(found(loop + ", while: '$row < $i + 9', do: [ { y: { if: $row, input: { from: $i }, set: { n: '${ $row }' }, output: { as: $row }, export: { as: $i } } } ]").empty());
    CHECK_THAT(found("for: { each: row, in: '[$row]' }, do: [ { y: { set: { n: 1 } } } ]"), Catch::Contains("$row is not defined here"));
    CHECK_THAT(found(loop + ", do: [ { y: { set: { n: 1 } } } ], output: { as: '$row' }"), Catch::Contains("$row is not defined here"));
    CHECK_THAT(found(loop + ", if: '$i', do: [ { y: { set: { n: 1 } } } ]"), Catch::Contains("$i is not defined here"));
    CHECK_THAT(found("for: { each: row, in: '[1]' }, do: [ { y: { set: { n: '${ $item }' } } } ]"), Catch::Contains("$item is not defined here"));
    CHECK(found("try: [ { y: { set: { n: 1 } } } ], catch: { as: e, when: $e.status, retry: { when: $e.status }, do: [ { z: { set: { n: '${ $e }' } } } ] }").empty());
    CHECK_THAT(found("try: [ { y: { set: { n: '${ $error }' } } } ], catch: { do: [ { z: { set: { n: 1 } } } ] }"), Catch::Contains("$error is not defined here"));
    CHECK_THAT(found("try: [ { y: { set: { n: 1 } } } ], catch: { as: e, do: [ { z: { set: { n: '${ $error }' } } } ] }"), Catch::Contains("$error is not defined here"));
    CHECK_THAT(found("try: [ { y: { set: { n: 1 } } } ], catch: {}, output: { as: $error }"), Catch::Contains("$error is not defined here"));
}

TEST_CASE("the names hold what the table says: raw input, transformed input, raw and transformed output", "[workflows][rules]")
{
    const Ran ran = run_flow(R"(
input: { from: '{n: .start}' }
do:
  - x:
      if: '$task.input == {n: 1} and $task.output == null and $workflow.input == {start: 1}'
      input: { from: '{mid: .n, raw: $task.input}' }
      set: { data: '${ . }', input: '${ $input }', taskInput: '${ $task.input }', taskOutput: '${ $task.output }' }
      output: { as: '{body: ., input: $input.mid, taskOutput: $task.output.taskInput}' }
      export: { as: '{data: .input, output: $output.input, raw: $task.output.taskInput, input: $input.mid}' }
  - y: { set: { body: '${ .body }', outputAs: '${ del(.body) }', context: '${ $context }' } }
)", json(R"({"start":1})"));
    CHECK(ran.output == json(R"({"body":{"data":{"mid":1,"raw":{"n":1}},"input":{"mid":1,"raw":{"n":1}},"taskInput":{"n":1},"taskOutput":null},
        "outputAs":{"input":1,"taskOutput":{"n":1}},"context":{"data":1,"output":1,"raw":{"n":1},"input":1}})"));
}

TEST_CASE("$workflow, $task and $runtime have the members of the table", "[workflows][rules]")
{
    workflows::RunOptions options;
    options.run_id = "run-7";
    options.runtime_version = "9.8.7";
    options.variables = json(R"({"url":"u"})");
    const Ran ran = run_flow("do: [ { x: { metadata: { m: 1 }, set: { w: '${ $workflow }', t: '${ $task }', r: '${ $runtime }' } } } ]", json(R"({"n":1})"), {}, options);
    const Json &w = ran.output["w"], &t = ran.output["t"];
    CHECK(w["id"] == Json("run-7"));
    CHECK(w["input"] == json(R"({"n":1})"));
    CHECK(w["definition"]["document"]["name"] == Json("flow"));
    CHECK(w["definition"]["do"].size() == 1);
    CHECK(t["name"] == Json("x"));
    CHECK(t["reference"] == Json("/do/0/x"));
    CHECK(t["definition"]["metadata"]["m"] == Json(1));
    CHECK(t["input"] == json(R"({"n":1})"));
    CHECK(ran.output["r"] == json(R"({"name":"millwright","version":"9.8.7","metadata":{"variables":{"url":"u"}}})"));
    for (const Json* each : {&w, &t}) {
        const Json& at = (*each)["startedAt"];
        CHECK(at["iso8601"].as_string().ends_with("Z"));
        CHECK(at["epoch"]["seconds"].as_integer() == at["epoch"]["milliseconds"].as_integer() / 1000);
    }
}

TEST_CASE("$authorization holds the scheme and the parameter of the request, and null where there was none", "[workflows][rules]")
{
    const auto scheme = [](const std::string& login) {
        return run_flow("use: { secrets: [ erp ] }\ndo: [ { x: { call: http, with: { method: get, endpoint: { uri: http://x.test/" + login + " } }, output: { as: '$authorization' } } } ]", {},
                        flaky(0)).output;
    };
    CHECK(scheme(", authentication: { bearer: { token: '${ $secrets.erp.token }' } }") == Json::object({{"scheme", "Bearer"}, {"parameter", workflows::secret_handle("erp", "token")}}));
    CHECK(scheme(", authentication: { basic: { username: a, password: b } }")["scheme"] == Json("Basic"));
    CHECK(scheme("").is_null());
    CHECK(run_flow("do: [ { x: { set: { a: '${ $authorization }' } } } ]").words() == R"({"a":null})");
}

TEST_CASE("variables of a deployment reach every workflow, function and branch of a run, and may be missing", "[workflows][rules]")
{
    workflows::RunOptions options;
    options.variables = json(R"({"n":5})");
    const std::string read = "'${ $runtime.metadata.variables.n }'";
    const auto package = lone("use: { functions: { f: { set: " + read + " } } }\ndo: [ { a: { fork: { branches: [ { x: { call: f } }, { y: { run: { workflow: { namespace: test, name: c, version: 1.0.0 } } } } ] } } } ]",
                              {{"c.yaml", "document: { dsl: 1.0.3, namespace: test, name: c, version: 1.0.0 }\ndo: [ { z: { set: " + read + " } } ]"}});
    CHECK(drive(package, {}, {}, options).words() == "[5,5]");
    CHECK(run_flow("do: [ { a: { set: { v: '${ $runtime.metadata.variables.none }' } } } ]").words() == R"({"v":null})");
    CHECK(run_flow("input: { from: '{v: $runtime.metadata.variables.n}' }\ndo: [ { a: { set: '${ .v }' } } ]", {}, {}, options).words() == "5");
}
