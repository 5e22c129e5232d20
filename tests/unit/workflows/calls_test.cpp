#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"
#include <algorithm>
#include <set>

#include "workflows/activities/registry.h"
#include "workflows/schema.h"

using namespace mill;
using namespace mill::testing;
using workflows::EffectRequest;
using workflows::Phase;

namespace {

Answers http(int status, std::string text, std::string type = "application/json")
{
    return [=](const EffectRequest&) {
        return Answer{.result = Json::object({{"status", status}, {"headers", Json::object({{"Content-Type", type}})}, {"text", text}, {"uri", "http://x.test/"}}), .fault = {}};
    };
}
std::string get(const std::string& more) { return "do: [ { get: { call: http, with: { method: get, endpoint: http://x.test/a" + more + " } } } ]"; }

}  // namespace

TEST_CASE("call: http asks for one request with everything filled in", "[workflows][http]")
{
    const Ran ran = run_flow(R"(
do:
  - post:
      call: http
      with:
        method: post
        endpoint: { uri: 'http://x.test/orders/{id}', authentication: { basic: { username: '${ .user }', password: p } } }
        headers: { X-N: '${ .id }', X-None: null }
        query: { a: '${ .id + 1 }', b: [ 1, x ] }
        body: { order: '${ .id }' }
)", json(R"({"id":7,"user":"ada"})"), http(200, "{}"));
    REQUIRE(ran.requests.size() == 1);
    CHECK(ran.requests[0].effect == "http.request");
    CHECK(ran.requests[0].task == "/do/0/post");
    CHECK(ran.requests[0].with == json(R"({"method":"POST","uri":"http://x.test/orders/7","headers":{"X-N":"7"},"query":{"a":"8","b":["1","x"]},"redirect":false,
        "body":{"order":7},"authentication":{"basic":{"username":"ada","password":"p"}}})"));
}

TEST_CASE("the three outputs of call: http", "[workflows][http]")
{
    const auto answer = http(200, R"({"n":1})");
    CHECK(run_flow(get(""), {}, answer).words() == R"({"n":1})");
    CHECK(run_flow(get(", output: raw"), {}, answer).words() == R"("eyJuIjoxfQ==")");
    const Json response = run_flow(get(", output: response"), {}, answer).output;
    CHECK(response["statusCode"] == Json(200));
    CHECK(response["content"] == json(R"({"n":1})"));
    CHECK(response["request"]["method"] == Json("GET"));
    CHECK(response["request"]["uri"] == Json("http://x.test/a"));
    CHECK(response["request"].contains("headers"));
    CHECK(response["headers"]["Content-Type"] == Json("application/json"));
}

TEST_CASE("content follows the media type", "[workflows][http]")
{
    CHECK(run_flow(get(""), {}, http(200, "plain", "text/plain")).words() == R"("plain")");
    CHECK(run_flow(get(""), {}, http(200, "{\"a\":1}", "application/problem+json; charset=utf-8")).words() == R"({"a":1})");
    CHECK(run_flow(get(""), {}, http(204, "")).words() == "null");
    const Ran broken = run_flow(get(""), {}, http(200, "{broken"));
    CHECK(broken.fault.type == "https://serverlessworkflow.io/spec/1.0.0/errors/communication");
}

TEST_CASE("a status that is none of success is a communication error with that status", "[workflows][http]")
{
    for (const int status : {199, 301, 404, 503}) {
        const Ran ran = run_flow(get(""), {}, http(status, "gone"));
        REQUIRE(ran.phase == Phase::faulted);
        CHECK(ran.fault.status == status);
        CHECK(ran.fault.type == "https://serverlessworkflow.io/spec/1.0.0/errors/communication");
        CHECK(ran.fault.instance == "/do/0/get");
    }
    CHECK(run_flow(get(", redirect: true, output: response"), {}, http(302, "")).output["statusCode"] == Json(302));
    CHECK(run_flow(get(", redirect: true"), {}, http(400, "")).fault.status == 400);
}

TEST_CASE("a named authentication is put in; a secret stays a name", "[workflows][http]")
{
    const Ran ran = run_flow(R"(
use: { secrets: [ erp ], authentications: { login: { basic: { use: erp } }, key: { bearer: { token: '${ $secrets.erp.token }' } } } }
do:
  - one: { call: http, with: { method: get, endpoint: { uri: http://x.test/, authentication: { use: login } } } }
  - two: { call: http, with: { method: get, endpoint: { uri: http://x.test/, authentication: { use: key } } } }
)", {}, http(200, "{}"));
    REQUIRE(ran.requests.size() == 2);
    CHECK(ran.requests[0].with["authentication"] == json(R"({"basic":{"use":"erp"}})"));
    CHECK(ran.requests[1].with["authentication"]["bearer"]["token"] == Json(workflows::secret_handle("erp", "token")));
}

TEST_CASE("a secret is a handle: it can be handed on and joined, and holds nothing", "[workflows]")
{
    const Ran ran = run_flow("use: { secrets: [ erp ] }\ndo: [ { s: { set: { a: '${ $secrets.erp.password }', b: '${ \"Bearer \" + $secrets.erp.token }' } } } ]");
    CHECK(ran.output["a"] == Json(workflows::secret_handle("erp", "password")));
    CHECK(ran.output["b"] == Json("Bearer " + workflows::secret_handle("erp", "token")));
    CHECK_THAT(findings(*lone("do: [ { s: { set: { a: '${ $secrets.erp.password }' } } } ]")), Catch::Contains("'erp' is not declared in use.secrets"));
    CHECK_THAT(findings(*lone("use: { secrets: [ erp ] }\ndo: [ { s: { set: { a: '${ $secrets.erp }' } } } ]")), Catch::Contains("$secrets.NAME.FIELD"));
}

TEST_CASE("an endpoint that cannot be filled in, or is no web address, faults before anything is sent", "[workflows][http]")
{
    const Ran missing = run_flow("do: [ { g: { call: http, with: { method: get, endpoint: 'http://x.test/{id}' } } } ]", {}, http(200, "{}"));
    CHECK(missing.fault.type == "https://serverlessworkflow.io/spec/1.0.0/errors/expression");
    CHECK(missing.requests.empty());
    CHECK(run_flow("do: [ { g: { call: http, with: { method: get, endpoint: 'file:///etc/passwd' } } } ]", {}, http(200, "{}")).requests.empty());
}

TEST_CASE("an activity becomes its effect; its answer is the output", "[workflows][activities]")
{
    const Ran ran = run_flow("do: [ { u: { call: system.usage, with: { disks: [ / ] }, output: { as: .load.one } } } ]", {},
                             [](const EffectRequest&) { return Answer{.result = json(R"({"load":{"one":0.5}})"), .fault = {}}; });
    CHECK(ran.words() == "0.5");
    REQUIRE(ran.requests.size() == 1);
    CHECK(ran.requests[0].effect == "system.usage");
    CHECK(ran.requests[0].with == json(R"({"disks":["/"]})"));
}

TEST_CASE("an activity without a result hands its input on", "[workflows][activities]")
{
    const Ran ran = run_flow("do: [ { l: { call: log, with: { text: '${ .a }' } } } ]", json(R"({"a":"hello"})"));
    CHECK(ran.words() == R"({"a":"hello"})");
    CHECK(ran.requests[0].effect == "log");
    CHECK(ran.requests[0].with == json(R"({"text":"hello"})"));
}

TEST_CASE("calls are checked against their contracts when loaded, and again when they run", "[workflows][activities]")
{
    const auto words = [](const std::string& task) { return findings(*lone("do: [ { x: { " + task + " } } ]")); };
    CHECK_THAT(words("call: file.raed, with: { path: a }"), Catch::Contains("did you mean 'file.read'"));
    CHECK_THAT(words("call: file.read, with: { pth: a }"), Catch::Contains("no argument 'pth'; did you mean 'path'") && Catch::Contains("needs the argument 'path'"));
    CHECK_THAT(words("call: file.read, with: { path: 5 }"), Catch::Contains("'path' of 'file.read' is wrong"));
    CHECK_THAT(words("call: log, with: { text: a, level: loud }"), Catch::Contains("'level'"));
    CHECK(words("call: file.read, with: { path: '${ .p }' }").empty());
    const Ran ran = run_flow("do: [ { x: { call: file.read, with: { path: '${ .p }' } } } ]", json(R"({"p":5})"));
    CHECK(ran.fault.type == "https://serverlessworkflow.io/spec/1.0.0/errors/validation");
    CHECK(ran.requests.empty());
}

TEST_CASE("every contract's example fits its own schema and names an effect or does it itself", "[workflows][activities]")
{
    CHECK(workflows::activities().size() >= 9);
    for (const auto& activity : workflows::activities()) {
        INFO(activity.name);
        CHECK((activity.effect.empty() == static_cast<bool>(activity.native)));
        Json task = Json::object({{"do", Json::array({Json::object({{"x", activity.example}})})}});
        CHECK(findings(*lone(dump_yaml(task))).empty());
        CHECK(workflows::compile_schema(activity.with).has_value());
    }
}

TEST_CASE("date.parse reads dates and times the same everywhere", "[workflows][activities]")
{
    CHECK(run_flow("do: [ { d: { call: date.parse, with: { text: '2026-11-22T13:40:00+01:00' }, output: { as: .epoch.seconds } } } ]").words() == "1795351200");
    CHECK(run_flow("do: [ { d: { call: date.parse, with: { text: '1970-01-02' }, output: { as: .epoch.seconds } } } ]").words() == "86400");
    CHECK(run_flow("do: [ { d: { call: date.parse, with: { text: 'tomorrow' } } } ]").phase == Phase::faulted);
}

TEST_CASE("run: shell asks with everything, and 'return' picks what comes back", "[workflows][run]")
{
    const auto answer = [](int code) {
        return [code](const EffectRequest&) { return Answer{.result = Json::object({{"stdout", "out"}, {"stderr", "err"}, {"code", code}}), .fault = {}}; };
    };
    const auto flow = [](const std::string& back) {
        return "do: [ { s: { run: { shell: { command: 'echo ${HOME}', arguments: [ '${ .a }' ], environment: { N: '${ .n }' }, stdin: x }" + back + " } } } ]";
    };
    const Ran ran = run_flow(flow(""), json(R"({"a":"arg","n":5})"), answer(0));
    CHECK(ran.words() == R"("out")");
    CHECK(ran.requests[0].with == json(R"({"command":"echo ${HOME}","arguments":["arg"],"environment":{"N":"5"},"stdin":"x","return":"all"})"));
    CHECK(run_flow(flow(", return: stderr"), {}, answer(0)).words() == R"("err")");
    CHECK(run_flow(flow(", return: code"), {}, answer(3)).words() == "3");
    CHECK(run_flow(flow(", return: all"), {}, answer(3)).output["code"] == Json(3));
    CHECK(run_flow(flow(", return: none"), json(R"({"k":1})"), answer(0)).words() == R"({"k":1})");
    const Ran failed = run_flow(flow(""), {}, answer(3));
    CHECK(failed.fault.type == "https://serverlessworkflow.io/spec/1.0.0/errors/runtime");
    CHECK_THAT(failed.fault.detail, Catch::Contains("exit status 3") && Catch::Contains("err"));
}

TEST_CASE("run: script hands its code on, written in place or kept in the package", "[workflows][run]")
{
    const Answers done = [](const EffectRequest&) { return Answer{.result = json(R"({"stdout":"7","stderr":"","code":0})"), .fault = {}}; };
    const Ran ran = run_flow("do: [ { s: { run: { script: { language: python, code: 'print(\"${x}\")', arguments: { n: '${ .n }' } } } } } ]", json(R"({"n":2})"), done);
    CHECK(ran.words() == R"("7")");
    CHECK(ran.requests[0].effect == "script");
    CHECK(ran.requests[0].with == json(R"j({"language":"python","code":"print(\"${x}\")","arguments":{"n":2},"environment":{},"return":"all"})j"));
    const auto package = lone("do: [ { s: { run: { script: { language: js, source: { endpoint: 'package:///s.js' } } } } } ]", {{"s.js", "1+1"}});
    CHECK(drive(package, {}, done).requests[0].with["code"] == Json("1+1"));
    CHECK_THAT(findings(*lone("do: [ { s: { run: { script: { language: js, source: { endpoint: 'package:///no.js' } } } } } ]")), Catch::Contains("file of the package"));
}

TEST_CASE("emit makes an event, hands it on and lets it out", "[workflows]")
{
    const Ran ran = run_flow("do: [ { e: { emit: { event: { with: { source: 'https://x.test', type: a.b, data: { n: '${ .n }' } } } } } } ]", json(R"({"n":2})"));
    CHECK(ran.output["data"] == json(R"({"n":2})"));
    CHECK(ran.output["specversion"] == Json("1.0"));
    CHECK_FALSE(ran.output["id"].as_string().empty());
    CHECK_FALSE(ran.output["time"].as_string().empty());
    int out = 0;
    for (const Json& event : ran.events) out += event["type"] == Json("a.b") ? 1 : 0;
    CHECK(out == 1);
}

TEST_CASE("the lifecycle events say what happened, in order", "[workflows][lifecycle]")
{
    const Ran ran = run_flow("do: [ { a: { set: { n: 1 } } }, { b: { do: [ { c: { set: { n: 2 } } } ] } } ]");
    std::string order;
    for (const Json& event : ran.events) {
        CHECK(event["specversion"] == Json("1.0"));
        const std::string& type = event["type"].as_string();
        order += type.substr(std::string("io.serverlessworkflow.").size()) + (event["data"].contains("task") ? "(" + event["data"]["task"].as_string() + ") " : " ");
    }
    CHECK(order == "workflow.started.v1 task.created.v1(/do/0/a) task.started.v1(/do/0/a) task.completed.v1(/do/0/a) "
                   "task.created.v1(/do/1/b) task.started.v1(/do/1/b) task.created.v1(/do/1/b/do/0/c) task.started.v1(/do/1/b/do/0/c) "
                   "task.completed.v1(/do/1/b/do/0/c) task.completed.v1(/do/1/b) workflow.completed.v1 ");
    CHECK(ran.events.back()["data"]["output"] == json(R"({"n":2})"));
    CHECK(ran.events.front()["data"]["name"] == Json("flow-run-1.test"));
}

TEST_CASE("a fault's events carry the error, for the task and for the workflow", "[workflows][lifecycle]")
{
    const Ran ran = run_flow("do: [ { a: { raise: { error: { type: https://x.test/e, status: 418 } } } } ]");
    CHECK(ran.events.back()["type"] == Json("io.serverlessworkflow.workflow.faulted.v1"));
    CHECK(ran.events.back()["data"]["error"]["status"] == Json(418));
    CHECK(ran.events[ran.events.size() - 2]["type"] == Json("io.serverlessworkflow.task.faulted.v1"));
    CHECK(ran.events[ran.events.size() - 2]["data"]["error"]["instance"] == Json("/do/0/a"));
}

TEST_CASE("an instant task is one record with both times; others are two, and a wait says when it goes on", "[workflows][lifecycle]")
{
    const Ran ran = run_flow("do: [ { a: { set: { n: 1 } } }, { b: { wait: PT1S } } ]");
    std::string states;
    for (const auto& change : ran.changes) states += change.name + ":" + change.state + " ";
    CHECK(states == "a:completed b:started b:waiting b:resumed b:completed ");
    CHECK(ran.changes[0].started.has_value());
    CHECK_FALSE(ran.changes.back().started.has_value());
}

TEST_CASE("a wait suspends its task, and the workflow when nothing else goes on", "[workflows][lifecycle]")
{
    const auto types = [](const Ran& ran) {
        std::string out;
        for (const Json& event : ran.events)
            if (const std::string& type = event["type"].as_string(); type.find("suspended") != std::string::npos || type.find("resumed") != std::string::npos)
                out += type.substr(std::string("io.serverlessworkflow.").size()) + " ";
        return out;
    };
    CHECK(types(run_flow("do: [ { b: { wait: PT1S } } ]")) == "task.suspended.v1 workflow.suspended.v1 workflow.resumed.v1 task.resumed.v1 ");
    CHECK(types(run_flow("do: [ { f: { fork: { branches: [ { b: { wait: PT1S } } ] } } } ]")) == "task.suspended.v1 task.resumed.v1 ");
    CHECK(types(run_flow("do: [ { b: { wait: PT0S } } ]")).empty());
}

TEST_CASE("each kind of lifecycle event has its data, and a job's record gives the same", "[workflows][lifecycle]")
{
    const Ran ran = run_flow(R"(
do:
  - a: { set: { n: 1 } }
  - t: { try: [ { r: { raise: { error: { type: https://x.test/e, status: 503 } } } } ], catch: { retry: { delay: PT1S, limit: { attempt: { count: 1 } } }, do: [ { h: { set: { n: 2 } } } ] } }
  - f: { fork: { compete: true, branches: [ { slow: { wait: PT1H } }, { quick: { wait: PT1S } } ] } }
)");
    REQUIRE(ran.phase == Phase::completed);
    std::vector<std::pair<std::string, Json>> shown, recorded;
    std::set<std::string> types;
    for (const Json& event : ran.events) {
        types.insert(event["type"].as_string().substr(std::string("io.serverlessworkflow.").size()));
        if (!event["data"].contains("task")) continue;
        Json data = event["data"];
        data.erase("output");
        shown.emplace_back(event["type"].as_string(), std::move(data));
    }
    for (const auto& change : ran.changes)
        for (auto& [type, data] : workflows::lifecycle_of(change, "flow-run-1.test")) {
            data.erase("output");
            recorded.emplace_back(type, data);
        }
    const auto sorted = [](auto list) {
        std::vector<std::string> out;
        for (const auto& [type, data] : list) out.push_back(type + dump_json(data));
        std::sort(out.begin(), out.end());
        return out;
    };
    CHECK(sorted(shown) == sorted(recorded));
    for (const char* type : {"workflow.started.v1", "workflow.completed.v1", "task.created.v1", "task.started.v1", "task.completed.v1", "task.faulted.v1", "task.retried.v1", "task.cancelled.v1",
                             "task.suspended.v1", "task.resumed.v1"})
        CHECK(types.contains(type));
    for (const auto& [type, data] : shown) {
        INFO(type);
        CHECK(data["workflow"] == Json("flow-run-1.test"));
        const std::string state = type.substr(std::string("io.serverlessworkflow.task.").size(), type.size() - std::string("io.serverlessworkflow.task..v1").size());
        CHECK(data.contains(state + "At"));
        CHECK(data.contains("error") == (state == "faulted" || state == "retried"));
    }
}
