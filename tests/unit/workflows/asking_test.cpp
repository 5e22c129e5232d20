#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"
#include "workflows/check/check.h"

using namespace mill;
using namespace mill::testing;
using workflows::EffectRequest;
using workflows::Phase;

namespace {

Answers says(Json answer, std::string state = "answered")
{
    return [answer = std::move(answer), state = std::move(state)](const EffectRequest& request) {
        if (request.effect != "ask") return Answer{};
        return Answer{Json::object({{"state", state}, {"answer", answer}, {"by", "user bob"}, {"comment", "so be it"}, {"at", "2026-11-27T10:00:00.000000Z"}}), {}, false, {}};
    };
}

std::string ask(const std::string& more) { return "{ a: { call: ask.user, with: { text: 'Which?', within: 4h" + more + " } } }"; }

Json question_of(const std::string& more)
{
    const Ran ran = run_flow("do: [ " + ask(more) + " ]", Json::object(), says("x"));
    REQUIRE(ran.requests.size() == 1);
    return ran.requests[0].with["question"];
}

std::string mistake_of(const std::string& more)
{
    const Ran ran = run_flow("do: [ " + ask(more) + " ]", Json::object(), says("x"));
    CHECK(ran.phase == Phase::faulted);
    CHECK(ran.fault.status == 400);
    CHECK(ran.requests.empty());
    return ran.fault.detail;
}

std::string warnings(const std::string& tasks)
{
    auto package = lone("do: [ " + tasks + " ]");
    std::string out;
    for (const auto& finding : workflows::check(*package).findings) out += finding.code + " ";
    return out;
}

}  // namespace

TEST_CASE("a question has the schema of its kind, and its answer is the task's output", "[workflows][asking]")
{
    const Json question = question_of("");
    CHECK(question["kind"] == Json("ask"));
    CHECK(question["withinMs"] == Json(4 * 3'600'000));
    CHECK(question["by"].size() == 0);
    CHECK(question["schema"]["type"] == Json("string"));
    CHECK_FALSE(question.contains("otherwise"));
    CHECK(question_of(", kind: number, minimum: 1, maximum: 9")["schema"] == json(R"({"type":"number","minimum":1,"maximum":9,"x-kind":"number"})"));
    CHECK(question_of(", kind: choice, choices: [ a, b ]")["schema"] == json(R"({"type":"string","enum":["a","b"],"x-kind":"choice"})"));
    CHECK(question_of(", kind: several, choices: [ a, b ]")["schema"]["items"]["enum"] == json(R"(["a","b"])"));
    CHECK(question_of(", kind: date")["schema"]["format"] == Json("date"));
    CHECK(question_of(", kind: confirm")["schema"]["type"] == Json("boolean"));
    CHECK(question_of(", kind: file")["schema"]["required"] == json(R"(["name","content"])"));
    CHECK(question_of(", kind: form, form: { type: object, properties: { n: { type: integer } } }")["schema"]["properties"]["n"]["type"] == Json("integer"));
    CHECK(question_of(", to: [ operator, 'user:anna', operator ]")["by"] == json(R"(["role:operator","user:anna"])"));
    CHECK(question_of(", to: conversation, otherwise: null")["otherwise"].is_null());
    const Ran ran = run_flow("do: [ " + ask("") + ", { b: { set: { got: '${ . }' } } } ]", Json::object(), says("north"));
    CHECK(ran.output == json(R"({"got":"north"})"));
    CHECK(ran.count("a", "waiting") == 1);
    CHECK(ran.count("a", "resumed") == 1);
}

TEST_CASE("wrong arguments of a question are named, and nobody is asked", "[workflows][asking]")
{
    CHECK_THAT(mistake_of(", kind: choice"), Catch::Contains("choices"));
    CHECK_THAT(mistake_of(", kind: choice, choices: [ a, a ]"), Catch::Contains("twice"));
    CHECK_THAT(mistake_of(", minimum: 3"), Catch::Contains("'minimum' does not go with a question of kind text"));
    CHECK_THAT(mistake_of(", kind: form"), Catch::Contains("'form'"));
    CHECK_THAT(mistake_of(", kind: form, form: { type: objct }"), Catch::Contains("form"));
    CHECK_THAT(mistake_of(", to: anybody"), Catch::Contains("'anybody', expected operator"));
    CHECK_THAT(mistake_of(", kind: number, otherwise: many"), Catch::Contains("'otherwise'"));
    const Ran ran = run_flow("do: [ { a: { call: ask.user, with: { text: 'Which?', within: soon } } } ]");
    CHECK_THAT(ran.fault.detail, Catch::Contains("'within' must be a duration"));
    CHECK_THAT(run_flow("do: [ { a: { call: ask.user, with: { text: Which } } } ]").problem, Catch::Contains("within"));
}

TEST_CASE("nobody in time is what `otherwise` says, or a timeout that a try catches", "[workflows][asking]")
{
    CHECK(run_flow("do: [ " + ask(", otherwise: south") + " ]", Json::object(), says({}, "expired")).output == Json("south"));
    CHECK(run_flow("do: [ " + ask(", otherwise: null") + " ]", Json::object(), says({}, "expired")).output.is_null());
    const Ran faulted = run_flow("do: [ " + ask("") + " ]", Json::object(), says({}, "expired"));
    CHECK(faulted.phase == Phase::faulted);
    CHECK(faulted.fault.status == 408);
    CHECK(faulted.fault.type.ends_with("/timeout"));
    CHECK_THAT(faulted.fault.detail, Catch::Contains("nobody answered within 4h: Which?"));
    const Ran caught = run_flow("do: [ { t: { try: [ " + ask("") + " ], catch: { errors: { with: { status: 408 } }, do: [ { c: { set: { late: true } } } ] } } } ]", Json::object(), says({}, "expired"));
    CHECK(caught.output == json(R"({"late":true})"));
    CHECK_THAT(run_flow("do: [ " + ask("") + " ]", Json::object(), says({}, "withdrawn")).fault.detail, Catch::Contains("withdrawn"));
}

TEST_CASE("where nobody else counts the time of a question the run does", "[workflows][asking]")
{
    workflows::RunOptions options;
    options.own_deadlines = true;
    const auto never = [](const EffectRequest&) { return Answer{{}, {}, true, {}}; };
    const Ran ran = run_flow("do: [ " + ask(", otherwise: south") + " ]", Json::object(), never, options);
    CHECK(ran.output == Json("south"));
    CHECK(ran.took == std::chrono::hours(4));
    CHECK(ran.cancelled.size() == 1);
}

TEST_CASE("an approval says who, when and why; tell.user does not wait", "[workflows][asking]")
{
    const std::string approve = "{ a: { call: approve, with: { text: Pay, within: 1h, otherwise: false } } }";
    CHECK(run_flow("do: [ " + approve + " ]", Json::object(), says(true)).output == json(R"({"approved":true,"by":"user bob","comment":"so be it","at":"2026-11-27T10:00:00.000000Z"})"));
    const Ran late = run_flow("do: [ " + approve + " ]", Json::object(), says({}, "expired"));
    CHECK(late.output["approved"] == Json(false));
    CHECK(late.output["by"] == Json("deadline"));
    const Ran told = run_flow("do: [ { t: { call: tell.user, with: { text: Hello } } } ]", json(R"({"n":1})"));
    CHECK(told.output == json(R"({"n":1})"));
    CHECK(told.requests.at(0).effect == "tell");
    CHECK(told.count("t", "waiting") == 0);
}

TEST_CASE("check warns of a question whose deadline nobody handles", "[workflows][asking]")
{
    CHECK_THAT(warnings(ask("")), Catch::Contains("unanswered"));
    CHECK_THAT(warnings(ask(", otherwise: x")), !Catch::Contains("unanswered"));
    CHECK_THAT(warnings("{ t: { try: [ " + ask("") + " ], catch: { errors: { with: { status: 408 } }, do: [ { c: { set: {} } } ] } } }"), !Catch::Contains("unanswered"));
    CHECK_THAT(warnings("{ t: { try: [ " + ask("") + " ], catch: { errors: { with: { status: 500 } }, do: [ { c: { set: {} } } ] } } }"), Catch::Contains("unanswered"));
}

namespace {

/// Runs to the end, answering the nth question with n; with `restarts` each time it waits it is thrown away and made anew of its snapshot, as text.
std::string outcome(const std::shared_ptr<workflows::Package>& package, const Json& input, bool restarts, int& asked)
{
    workflows::RunOptions options;
    options.input = input;
    options.run_id = "run-1";
    auto made = workflows::make_interpreter(package, options);
    REQUIRE(made);
    std::unique_ptr<workflows::Interpreter> run = std::move(*made);
    FakeClock clock;
    std::map<std::uint64_t, EffectRequest> open;
    std::string log;
    for (int turn = 0; turn < 2000; ++turn) {
        run->advance(clock.now(), clock.steady());
        for (const auto id : run->take_cancellations()) open.erase(id);
        for (auto& change : run->take_changes())
            if (change.state == "completed" || change.state == "faulted") log += change.name + ":" + change.state + " ";
        for (auto& request : run->take_requests()) {
            if (request.effect == "ask") open.emplace(request.id, std::move(request));
            else run->complete(request.id, Json());
        }
        const Phase phase = run->phase();
        if (phase == Phase::completed) return log + dump_json(run->output());
        if (phase == Phase::faulted) return log + dump_json(workflows::to_json(run->fault()));
        if (phase != Phase::waiting) continue;
        if (restarts) {
            const auto snapshot = run->snapshot();
            REQUIRE(snapshot);
            workflows::RunOptions again;
            again.run_id = "run-1";
            again.snapshot = parse_json(dump_json(*snapshot)).value();
            auto anew = workflows::make_interpreter(package, again);
            if (!anew) FAIL(anew.error().what);
            run = std::move(*anew);
            CHECK(run->phase() == Phase::waiting);
            run->advance(clock.now(), clock.steady());
            CHECK(run->take_requests().empty());
        }
        REQUIRE_FALSE(open.empty());
        const auto first = open.begin();
        ++asked;
        run->complete(first->first, Json::object({{"state", "answered"}, {"answer", first->second.with["question"]["text"].as_string() + "/" + std::to_string(asked)}}));
        open.erase(first);
    }
    return "it does not end";
}

}  // namespace

TEST_CASE("a run made anew of its snapshot at each question ends as the one that went straight on", "[workflows][asking][snapshot]")
{
    const std::string question = "call: ask.user, with: { text: ";
    const auto [name, body, more] = GENERATE_REF(table<std::string, std::string, std::map<std::string, std::string>>({
        {"for", "do: [ { f: { for: { each: x, in: '${ .list }', at: i }, do: [ { q: { " + question + "'${ \"q\\($x)\" }', within: 1h }, export: { as: '${ ($context // {}) + {(\"k\\($i)\"): .} }' } } } ] } }, { e: { set: { all: '${ $context }', last: '${ . }' } } } ]", {}},
        {"try", "do: [ { t: { try: [ { q: { " + question + "in, within: 1h } } }, { x: { raise: { error: { type: https://x.test/e, status: 418, title: '${ . }' } } } } ], catch: { as: err, do: [ { r: { " + question + "'${ $err.title }', within: 1h } } }, { s: { set: { r: '${ . }', was: '${ $err.status }' } } } ] } } } ]", {}},
        {"retry", "do: [ { t: { try: [ { q: { " + question + "again, within: 1h } } }, { x: { if: '${ . | endswith(\"3\") | not }', raise: { error: { type: https://x.test/e, status: 503 } } } } ], catch: { retry: { limit: { attempt: { count: 5 } } } } } } ]", {}},
        {"fork", "do: [ { k: { fork: { branches: [ { a: { " + question + "left, within: 1h } } }, { b: { do: [ { c: { " + question + "right, within: 1h } } }, { d: { " + question + "'${ \"more \\(.)\" }', within: 1h } } } ] } } ] } } }, { e: { set: { all: '${ . }' } } } ]", {}},
        {"compete", "do: [ { k: { fork: { compete: true, branches: [ { a: { " + question + "left, within: 1h } } }, { b: { " + question + "right, within: 1h } } } ] } } }, { e: { set: { all: '${ . }' } } } ]", {}},
        {"functions", "use: { functions: { f: { do: [ { q: { " + question + "'${ .n }', within: 1h } } }, { w: { set: { got: '${ . }' } } } ] } } }\ndo: [ { one: { call: f, with: { n: first } } }, { two: { call: f, with: { n: '${ .got }' } } } ]", {}},
        {"run workflow", "do: [ { s: { set: { here: 1 }, export: { as: '${ . }' } } }, { r: { run: { workflow: { namespace: test, name: child, version: 1.0.0, input: { n: '${ .here }' } } } } }, { e: { set: { r: '${ . }', c: '${ $context }' } } } ]",
         {{"child.yaml", "document: { dsl: 1.0.3, namespace: test, name: child, version: 1.0.0 }\ndo: [ { q: { " + question + "'${ \"child \\(.n)\" }', within: 1h }, export: { as: '${ {answer: .} }' } } }, { s: { set: { a: '${ . }', c: '${ $context }', w: '${ $workflow.input }' } } } ]\n"}}},
        {"nested", "do: [ { f: { for: { each: x, in: '${ .list }' }, do: [ { t: { try: [ { k: { fork: { branches: [ { a: { " + question + "'${ \"a\\($x)\" }', within: 1h } } }, { b: { " + question + "'${ \"b\\($x)\" }', within: 1h } } } ] } } }, { x: { if: '${ $x == 2 }', raise: { error: { type: https://x.test/e, status: 418 } } } } ], catch: { do: [ { c: { " + question + "caught, within: 1h } } } ] } } } ] } } ]", {}},
        {"timeouts", "do: [ { d: { do: [ { q: { " + question + "slow, within: 1h } } } ], timeout: { after: { hours: 2 } } } } ]", {}},
        {"beside", "do: [ { r: { run: { workflow: { namespace: test, name: child, version: 1.0.0 }, await: false } } }, { q: { " + question + "main, within: 1h } } } ]",
         {{"child.yaml", "document: { dsl: 1.0.3, namespace: test, name: child, version: 1.0.0 }\ndo: [ { q2: { " + question + "beside, within: 1h } } } ]\n"}}},
    }));
    INFO(name);
    const auto package = lone(body, more);
    INFO(findings(*package));
    REQUIRE(package->valid());
    const Json input = json(R"({"list":[1,2,3]})");
    int straight = 0, anew = 0;
    const std::string expected = outcome(package, input, false, straight);
    CHECK(straight > 0);
    CHECK(outcome(package, input, true, anew) == expected);
    CHECK(anew == straight);
}

TEST_CASE("there is no snapshot of a run that waits for something else, and none of another package is taken", "[workflows][asking][snapshot]")
{
    const auto snapshot_of = [](const std::string& body) {
        workflows::RunOptions options;
        options.run_id = "run-1";
        auto run = workflows::make_interpreter(lone(body), options);
        REQUIRE(run);
        FakeClock clock;
        (*run)->advance(clock.now(), clock.steady());
        return (*run)->snapshot();
    };
    CHECK(snapshot_of("do: [ { k: { fork: { branches: [ " + ask("") + ", { w: { wait: { hours: 1 } } } ] } } } ]").error().code == Errc::conflict);
    CHECK(snapshot_of("do: [ { w: { wait: { hours: 1 } } } ]").error().code == Errc::conflict);
    const auto good = snapshot_of("do: [ { s: { set: {} } }, " + ask("") + " ]");
    REQUIRE(good);
    workflows::RunOptions options;
    options.snapshot = *good;
    CHECK_FALSE(workflows::make_interpreter(lone("do: [ { s: { set: {} } } ]"), options));
    for (const char* spoiled : {"version", "wall", "branches", "workflow"}) {
        INFO(spoiled);
        options.snapshot = *good;
        options.snapshot.set(spoiled, Json());
        CHECK_FALSE(workflows::make_interpreter(lone("do: [ { s: { set: {} } }, " + ask("") + " ]"), options));
    }
}

TEST_CASE("a snapshot in which a run stands as none of its package can is refused in words", "[workflows][asking][snapshot]")
{
    const auto package = lone("do: [ { f: { for: { each: x, in: '${ [1, 2] }' }, do: [ { t: { try: [ " + ask("") + " ], catch: { do: [ { c: { set: {} } } ] } } } ] } } ]");
    REQUIRE(package->valid());
    workflows::RunOptions options;
    options.run_id = "run-1";
    const auto made = [&] { return workflows::make_interpreter(package, options); };
    const FakeClock clock;
    auto run = made();
    REQUIRE(run);
    (*run)->advance(clock.now(), clock.steady());
    const Json good = (*run)->snapshot().value();
    options.snapshot = good;
    CHECK(made());
    // Frames: 0 the workflow, 1 its list, 2 `for`, 3 its list, 4 `try`, 5 its list, 6 the question.
    const auto with = [&](std::size_t number, const char* member, Json value) {
        Json branch = good["branches"][std::size_t{0}];
        Json stack = branch["stack"];
        REQUIRE(stack.size() == 7);
        Json frame = stack[number];
        if (value.is_null()) frame.erase(member);
        else frame.set(member, std::move(value));
        stack.mutable_array()[number] = std::move(frame);
        Json out = good;
        return out.set("branches", Json::array({branch.set("stack", std::move(stack))}));
    };
    const auto [number, member, value] = GENERATE_REF(table<std::size_t, const char*, Json>({
        {1, "number", 1}, {2, "loop", Json()}, {2, "loop", Json::object({{"items", Json::array()}, {"index", 0}, {"count", 1}})}, {2, "stage", 2}, {3, "sessions", Json()},
        {4, "trying", Json()}, {4, "trying", Json::object({{"retries", 0}, {"first", 0}, {"catching", true}, {"sessions", 0}})}, {4, "effect", 1}, {4, "beside", true}, {5, "number", 1},
        {6, "effect", 0}, {6, "effect", 99}, {6, "asking", false}, {6, "number", 1}, {6, "stage", 0}, {6, "locals", 0}, {6, "locals", 9}, {6, "deadline", INT64_MAX},
        {6, "request", Json::object({{"withinMs", INT64_MAX}})}, {6, "children", Json::array({0})},
    }));
    INFO(number << " " << member << " " << dump_json(value));
    options.snapshot = with(number, member, value);
    const auto refused = made();
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().what, Catch::Contains("does not fit the package"));
}

TEST_CASE("a timeout around a question counts through a restart", "[workflows][asking][snapshot]")
{
    const auto package = lone("do: [ { d: { do: [ " + ask("") + " ], timeout: { after: { hours: 2 } } } } ]");
    workflows::RunOptions options;
    options.run_id = "run-1";
    auto run = workflows::make_interpreter(package, options);
    REQUIRE(run);
    FakeClock clock;
    (*run)->advance(clock.now(), clock.steady());
    options.snapshot = (*run)->snapshot().value();
    for (const auto& [hours, phase] : {std::pair{1, Phase::waiting}, std::pair{3, Phase::faulted}}) {
        FakeClock later;   // the steady clock of another boot
        later.advance(std::chrono::hours(hours));
        auto again = workflows::make_interpreter(package, options);
        REQUIRE(again);
        (*again)->advance(clock.now() + Microseconds(std::chrono::hours(hours)), SteadyTime{5});
        CHECK((*again)->phase() == phase);
    }
}
