// The lifecycle CloudEvents: which, in which order, with which data; steps and their trace.
#include "tests/unit/workflows/rules.h"

using namespace mill;
using namespace mill::testing;
using workflows::EffectRequest;
using workflows::Phase;

namespace {

const Json* event(const Ran& ran, const std::string& type, const std::string& task = "")
{
    for (const Json& each : ran.events)
        if (each["type"] == Json("io.serverlessworkflow." + type + ".v1") && each["data"]["task"].as_string() == task) return &each;
    return nullptr;
}

Json names(const Json& object)
{
    Json out = Json::array();
    for (const auto& [key, value] : object.as_object()) out.push(key);
    return out;
}

Json detail(const Ran& ran, const std::string& task, const std::string& state = "completed")
{
    for (const auto& change : ran.changes)
        if (change.name == task && change.state == state) return change.detail;
    return Json("none");
}

workflows::RunOptions traced()
{
    workflows::RunOptions out;
    out.trace = true;
    return out;
}

}  // namespace

TEST_CASE("every lifecycle event is a CloudEvent of the run", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { a: { set: { n: 1 } } }, { f: { fork: { branches: [ { b: { wait: PT1S } } ] } } } ]");
    std::set<std::string> ids;
    for (const Json& each : ran.events) {
        CHECK(each["specversion"] == Json("1.0"));
        CHECK(each["source"].as_string().ends_with("/runs/run-1"));
        CHECK(each["datacontenttype"] == Json("application/json"));
        CHECK(parse_time(each["time"].as_string()).has_value());
        ids.insert(each["id"].as_string());
    }
    CHECK(ids.size() == ran.events.size());
}

TEST_CASE("completed: the events of each phase and their data", "[workflows][rules]")
{
    const Ran ran = run_flow("output: { as: '{out: .n}' }\ndo: [ { a: { set: { n: 1 }, output: { as: '{n: (.n + 1)}' } } } ]");
    CHECK(lifecycle(ran) == "workflow.started task.created(/do/0/a) task.started(/do/0/a) task.completed(/do/0/a) workflow.completed");
    const Json &started = (*event(ran, "workflow.started"))["data"], &done = (*event(ran, "workflow.completed"))["data"];
    CHECK(names(started) == json(R"(["name","definition","startedAt"])"));
    CHECK(started["definition"] == json(R"({"namespace":"test","name":"flow","version":"1.0.0"})"));
    CHECK(started["name"] == Json("flow-run-1.test"));
    CHECK(names(done) == json(R"(["name","completedAt","output"])"));
    CHECK(done["output"] == json(R"({"out":2})"));
    CHECK(names((*event(ran, "task.created", "/do/0/a"))["data"]) == json(R"(["workflow","task","createdAt"])"));
    CHECK(names((*event(ran, "task.started", "/do/0/a"))["data"]) == json(R"(["workflow","task","startedAt"])"));
    const Json& task = (*event(ran, "task.completed", "/do/0/a"))["data"];
    CHECK(names(task) == json(R"(["workflow","task","completedAt","output"])"));
    CHECK(task["workflow"] == Json("flow-run-1.test"));
    CHECK(task["output"] == json(R"({"n":2})"));
}

TEST_CASE("faulted: from the task outwards, each with the error", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { a: { do: [ { b: { raise: { error: { type: https://x.test/e, status: 418 } } } } ] } } ]");
    CHECK(lifecycle(ran) == "workflow.started task.created(/do/0/a) task.started(/do/0/a) task.created(/do/0/a/do/0/b) task.started(/do/0/a/do/0/b) "
                            "task.faulted(/do/0/a/do/0/b) task.faulted(/do/0/a) workflow.faulted");
    for (const auto& [type, task] : {std::pair{"task.faulted", "/do/0/a/do/0/b"}, std::pair{"task.faulted", "/do/0/a"}, std::pair{"workflow.faulted", ""}}) {
        const Json& data = (*event(ran, type, task))["data"];
        CHECK(data["error"] == json(R"({"type":"https://x.test/e","status":418,"instance":"/do/0/a/do/0/b"})"));
        CHECK(data.contains("faultedAt"));
        CHECK_FALSE(data.contains("output"));
    }
}

TEST_CASE("a fault inside a fork: the task, its branch, the cancelled siblings, the fork, the workflow", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { f: { fork: { branches: [ { w: { do: [ { i: { wait: PT1H } } ] } }, { b: { do: [ { s: { wait: PT1S } }, { no: { raise: { error: { type: t, status: 418 } } } } ] } } ] } } } ]");
    const std::string f = "/do/0/f", w = f + "/fork/branches/0/w", b = f + "/fork/branches/1/b";
    CHECK_THAT(lifecycle(ran), Catch::EndsWith("task.created(" + b + "/do/1/no) task.started(" + b + "/do/1/no) task.faulted(" + b + "/do/1/no) task.faulted(" + b + ") task.cancelled(" + w +
                                               "/do/0/i) task.cancelled(" + w + ") task.faulted(" + f + ") workflow.faulted"));
    CHECK((*event(ran, "task.cancelled", w))["data"].contains("cancelledAt"));
    CHECK_FALSE((*event(ran, "task.cancelled", w))["data"].contains("error"));
    CHECK((*event(ran, "task.faulted", f))["data"]["error"]["instance"] == Json(b + "/do/1/no"));
}

TEST_CASE("cancelled: tasks from within outwards, then the workflow", "[workflows][rules]")
{
    const Ran ran = drive(lone("do: [ { a: { do: [ { b: { wait: P1D } } ] } } ]"), {}, {}, {}, Milliseconds(1'000));
    CHECK(ran.phase == Phase::cancelled);
    CHECK_THAT(lifecycle(ran), Catch::EndsWith("task.cancelled(/do/0/a/do/0/b) task.cancelled(/do/0/a) workflow.cancelled"));
    CHECK(names((*event(ran, "workflow.cancelled"))["data"]) == json(R"(["name","cancelledAt"])"));
}

TEST_CASE("retried: each time with the error, between the attempts; what is caught does not fault the try", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { t: { try: [ { g: " + get() + " } ], catch: { retry: { limit: { attempt: { count: 1 } } }, do: [ { h: { set: { n: 1 } } } ] } } } ]", {}, flaky(9));
    const std::string g = "(/do/0/t/try/0/g)", one = "task.created" + g + " task.started" + g + " task.faulted" + g;
    CHECK(lifecycle(ran) == "workflow.started task.created(/do/0/t) task.started(/do/0/t) " + one + " task.retried(/do/0/t) " + one +
                                " task.created(/do/0/t/catch/do/0/h) task.started(/do/0/t/catch/do/0/h) task.completed(/do/0/t/catch/do/0/h) task.completed(/do/0/t) workflow.completed");
    const Json& data = (*event(ran, "task.retried", "/do/0/t"))["data"];
    CHECK(data.contains("retriedAt"));
    CHECK(data["error"]["status"] == Json(503));
}

TEST_CASE("a skipped task has a step and no event", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { a: { if: 'false', do: [ { b: { set: { n: 1 } } } ] } } ]");
    CHECK(lifecycle(ran) == "workflow.started workflow.completed");
    REQUIRE(ran.changes.size() == 1);
    CHECK(ran.changes[0].state == "skipped");
    CHECK(ran.changes[0].task == "/do/0/a");
}

TEST_CASE("a sub-workflow has its own events, under its own name", "[workflows][rules]")
{
    const auto named = [](const std::string& body) {
        return drive(lone("do: [ { r: { run: { workflow: { namespace: other, name: child, version: 2.0.0 } } } } ]",
                          {{"child.yaml", "document: { dsl: 1.0.3, namespace: other, name: child, version: 2.0.0 }\ndo: [ { c: { " + body + " } } ]"}}));
    };
    const Ran fine = named("set: { n: 1 }");
    CHECK(lifecycle(fine) == "workflow.started task.created(/do/0/r) task.started(/do/0/r) workflow.started task.created(/do/0/c) task.started(/do/0/c) task.completed(/do/0/c) workflow.completed "
                             "task.completed(/do/0/r) workflow.completed");
    CHECK(fine.events[3]["data"]["name"] == Json("child-run-1.other"));
    CHECK(fine.events[3]["data"]["definition"] == json(R"({"namespace":"other","name":"child","version":"2.0.0"})"));
    CHECK(fine.events[4]["data"]["workflow"] == Json("child-run-1.other"));
    CHECK(fine.events[7]["data"]["output"] == json(R"({"n":1})"));
    CHECK_THAT(lifecycle(named("raise: { error: { type: t, status: 1 } }")), Catch::EndsWith("task.faulted(/do/0/c) workflow.faulted task.faulted(/do/0/r) workflow.faulted"));
}

TEST_CASE("events can be left out, and what 'emit' sends stays", "[workflows][rules]")
{
    workflows::RunOptions options;
    options.cloud_events = false;
    const std::string flow = "do: [ { a: { set: { n: 1 } } }, { e: { emit: { event: { with: { source: s, type: mine } } } } } ]";
    const Ran quiet = run_flow(flow, {}, {}, options);
    REQUIRE(quiet.events.size() == 1);
    CHECK(quiet.events[0]["type"] == Json("mine"));
    CHECK(quiet.changes.size() == 2);
    options.cloud_events = true;
    options.steps = false;
    const Ran events = run_flow(flow, {}, {}, options);
    CHECK(events.changes.empty());
    CHECK(lifecycle(events).starts_with("workflow.started task.created(/do/0/a)"));
}

TEST_CASE("emit: what is written stands, what is missing is filled in, the output is the event", "[workflows][rules]")
{
    const Ran given = run_flow("do: [ { e: { emit: { event: { with: { id: mine, source: s, type: t, time: '2026-01-01T00:00:00Z', subject: '${ .n | tostring }', datacontenttype: text/plain, dataschema: d,"
                               " data: '${ .n }', extension: x } } } } } ]", json(R"({"n":5})"));
    CHECK(given.output == json(R"({"specversion":"1.0","id":"mine","time":"2026-01-01T00:00:00Z","source":"s","type":"t","subject":"5","datacontenttype":"text/plain","dataschema":"d","data":5,"extension":"x"})"));
    bool seen = false;
    for (const Json& each : given.events) seen = seen || each == given.output;
    CHECK(seen);
    const Ran filled = run_flow("do: [ { e: { emit: { event: { with: { source: s, type: t } } }, output: { as: '{id, time}' } } } ]");
    CHECK(filled.output["id"].as_string().size() > 10);
    CHECK(parse_time(filled.output["time"].as_string()).has_value());
    CHECK_FALSE(filled.output.contains("data"));
    CHECK_THAT(findings(*lone("do: [ { e: { emit: { event: { with: { type: t } } } } } ]")), Catch::Contains("an event needs 'source'"));
    CHECK_THAT(findings(*lone("do: [ { e: { emit: { event: { with: { source: s } } } } } ]")), Catch::Contains("an event needs 'type'"));
    for (const std::string wrong : {"source: '${ .n }', type: t", "source: s, type: '${ \"\" }'"})
        CHECK(kind_of(run_flow("do: [ { e: { emit: { event: { with: { " + wrong + " } } } } } ]", json(R"({"n":5})")).fault) == "validation");
}

TEST_CASE("the emitted event stands between its task's start and end", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { e: { emit: { event: { with: { source: s, type: mine } } } } } ]");
    std::string order;
    for (const Json& each : ran.events) order += each["type"].as_string().substr(each["type"].as_string().find('.') == std::string::npos ? 0 : 22) + " ";
    CHECK(order == "workflow.started.v1 task.created.v1 task.started.v1 mine task.completed.v1 workflow.completed.v1 ");
}

TEST_CASE("a trace has each task's raw input and output, and nothing has them without", "[workflows][rules]")
{
    const std::string flow = "do: [ { a: { input: { from: .n }, do: [ { b: { set: { m: '${ . }' } } } ], output: { as: '.m + 1' } } } ]";
    const Ran ran = run_flow(flow, json(R"({"n":1})"), {}, traced());
    CHECK(detail(ran, "a", "started") == json(R"({"input":{"n":1}})"));
    CHECK(detail(ran, "a") == json(R"({"input":{"n":1},"output":2})"));
    CHECK(detail(ran, "b") == json(R"({"input":1,"output":{"m":1}})"));
    for (const auto& change : run_flow(flow, json(R"({"n":1})")).changes) CHECK(change.detail.is_null());
}

TEST_CASE("a step knows its task, kind, times and error", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { w: { wait: PT5S } }, { no: { raise: { error: { type: t, status: 418 } } } } ]");
    std::string states;
    for (const auto& change : ran.changes) states += change.name + ":" + change.type + ":" + change.state + " ";
    CHECK(states == "w:wait:started w:wait:waiting w:wait:resumed w:wait:completed no:raise:faulted ");
    REQUIRE(ran.changes.size() == 5);
    CHECK(ran.changes[3].time - ran.changes[0].time == Milliseconds(5'000));
    CHECK(ran.changes[0].error.is_null());
    CHECK(ran.changes[4].error["status"] == Json(418));
    std::string kinds;
    const Ran all = run_flow("use: { functions: { f: { set: { n: 1 } } } }\ndo: [ { a: { do: [ { b: { for: { in: '[1]' }, do: [ { c: { switch: [ { d: { then: continue } } ] } } ] } } ] } },"
                             " { e: { try: [ { f: { call: f } } ], catch: {} } }, { g: { fork: { branches: [ { h: { emit: { event: { with: { source: s, type: t } } } } } ] } } } ]");
    for (const auto& change : all.changes)
        if (change.state == "completed") kinds += change.type + " ";
    CHECK(kinds == "switch for do set call try emit fork ");
}

TEST_CASE("secrets show up as handles in traces, events and errors", "[workflows][rules]")
{
    const std::string handle = workflows::secret_handle("erp", "token");
    const Ran ran = run_flow("use: { secrets: [ erp ] }\ndo: [ { a: { set: { t: '${ \"Bearer \" + $secrets.erp.token }' } } }, { b: { set: { n: '${ .t + 1 }' } } } ]", {}, {}, traced());
    CHECK(detail(ran, "a")["output"]["t"] == Json("Bearer " + handle));
    CHECK((*event(ran, "task.completed", "/do/0/a"))["data"]["output"]["t"] == Json("Bearer " + handle));
    CHECK_THAT(ran.fault.detail, Catch::Contains("cannot be added") && !Catch::Contains("Bearer "));
}
