#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"
#include "workflows/match.h"
#include "workflows/preview.h"
#include "workflows/stand_ins.h"

using namespace mill;
using namespace mill::workflows;
using mill::testing::json;

namespace {

std::string complaints(std::string_view list)
{
    std::string out;
    (void)read_stand_ins(json(list), "/standIns", [&](const std::string& pointer, const std::string& text) { out += pointer + ": " + text + "\n"; });
    return out;
}

std::unique_ptr<StandIns> make(std::string_view list, std::vector<std::string> real = {})
{
    auto made = StandIns::make(read_stand_ins(json(list), "", [](const std::string& pointer, const std::string& text) { FAIL(pointer << " " << text); }), std::move(real));
    REQUIRE(made);
    return std::move(*made);
}

Called http(std::string_view with) { return {"/do/0/look-up", "look-up", "http", json(with)}; }

}  // namespace

TEST_CASE("differences name the path of what is missing, more, and other", "[workflows][match]")
{
    const auto all = differences(json(R"({"a":1,"b":{"c":[1,2]},"gone":true})"), json(R"({"a":1.0,"b":{"c":[1,3,4]},"more":0})"), Match::exact);
    REQUIRE(all.size() == 4);
    CHECK(all[0].path == "/b/c/1");
    CHECK(*all[0].expected == Json(2));
    CHECK(*all[0].actual == Json(3));
    CHECK(all[1].path == "/b/c/2");
    CHECK_FALSE(all[1].expected);
    CHECK(all[2].path == "/gone");
    CHECK_FALSE(all[2].actual);
    CHECK(all[3].path == "/more");
}

TEST_CASE("a partial match lets an object have more, but not an array", "[workflows][match]")
{
    CHECK(fits(json(R"({"a":{"b":1}})"), json(R"({"a":{"b":1,"c":2},"d":3})"), Match::partial));
    CHECK_FALSE(fits(json("[1]"), json("[1,2]"), Match::partial));
    CHECK_FALSE(fits(json("{}"), json("[]"), Match::partial));
    CHECK(fits(json(R"({"a/b":[{"x":1}]})"), json(R"({"a/b":[{"x":1,"y":2}]})"), Match::partial));
    CHECK(differences(json(R"({"a/b":1})"), json("{}"), Match::partial)[0].path == "/a~1b");
}

TEST_CASE("a preview says what it left out", "[workflows][preview]")
{
    bool cut = false;
    CHECK(preview(json(R"({"a":[1,2]})"), {}, &cut) == json(R"({"a":[1,2]})"));
    CHECK_FALSE(cut);
    CHECK(dump_json(preview(json("[1,2,3,4,5,6,7]"), {}, &cut)) == R"([1,2,3,4,5,"… 2 more"])");
    CHECK(cut);
    CHECK(preview(Json(std::string(200, 'x') + "end"), {.text = 3}).as_string() == "xxx… (203 bytes)");
    CHECK(preview(Json("äää"), {.text = 3}).as_string() == "ä… (6 bytes)");
    CHECK(dump_json(preview(json(R"({"a":{"b":{"c":1}}})"), {.depth = 2})) == R"({"a":{"b":"… 1 members"}})");
}

TEST_CASE("what is wrong with a stand-in is said with its place", "[workflows][stand-ins]")
{
    CHECK(complaints(R"([{"call":"http","result":1}])").empty());
    CHECK(complaints("{}") == "/standIns: 'standIns' is a list, each with a call or a task and what it answers\n");
    CHECK(complaints(R"([{"call":"http","task":"x","result":1}])") == "/standIns/0: a stand-in names either a call or a task\n");
    CHECK_THAT(complaints(R"([{"call":"http"}])"), Catch::Contains("exactly one of result, response, error"));
    CHECK_THAT(complaints(R"([{"call":"http","result":1,"error":{"type":"timeout"}}])"), Catch::Contains("exactly one"));
    CHECK(complaints(R"([{"call":"http","rseult":1,"result":1}])") == "/standIns/0/rseult: 'rseult' is not known here; did you mean 'result'?\n");
    CHECK_THAT(complaints(R"([{"call":"http","error":{"status":1}}])"), Catch::Contains("needs a type"));
    CHECK_THAT(complaints(R"([{"call":"http","response":{"status":99}}])"), Catch::Contains("from 100 to 599"));
    CHECK_THAT(complaints(R"([{"call":"http","result":1,"after":"soon"}])"), Catch::Contains("/standIns/0/after"));
    CHECK_THAT(complaints(R"([{"call":"http","answers":[],"after":"1s"}])"), Catch::Contains("does not go together"));
    CHECK_THAT(complaints(R"([{"call":"http","when":"${ .a | $secrets }","result":1}])"), Catch::Contains("/standIns/0/when: $secrets is not available here"));
}

TEST_CASE("the first stand-in whose name and arguments fit answers", "[workflows][stand-ins]")
{
    const auto all = make(R"([{"task":"other","result":0},
                              {"call":"http","with":{"method":"POST"},"result":1},
                              {"task":"/do/0/look-up","when":"${ .uri | endswith(\"/7\") }","result":2},
                              {"task":"look-up","result":3}])");
    CHECK(all->choose(http(R"({"method":"POST","uri":"https://x/7"})")).answer->value == Json(1));
    CHECK(all->choose(http(R"({"method":"GET","uri":"https://x/7"})")).answer->value == Json(2));
    CHECK(all->choose(http(R"({"method":"GET","uri":"https://x/8"})")).answer->value == Json(3));
    const auto broken = make(R"x([{"call":"http","when":".uri | error(\"no\")","result":1}])x");
    CHECK_THAT(broken->choose(http("{}")).why_none, Catch::Contains("no"));
}

TEST_CASE("a sequence gives each answer once and then says that it is used up", "[workflows][stand-ins]")
{
    const auto all = make(R"([{"call":"http","answers":[{"error":{"type":"communication","status":503}},{"result":"ok"}]}])");
    CHECK(all->choose(http("{}")).answer->kind == StandInAnswer::Kind::error);
    CHECK(all->choose(http("{}")).answer->value == Json("ok"));
    const auto none = all->choose(http(R"({"method":"GET"})"));
    CHECK(none.answer == nullptr);
    CHECK_FALSE(none.real);
    CHECK_THAT(none.why_none, Catch::Contains("has given its 2 answers") && Catch::Contains("task 'look-up' (/do/0/look-up) calls http"));
}

TEST_CASE("nobody stands in: it is real when the case says so, else the text says what to write", "[workflows][stand-ins]")
{
    CHECK(make("[]", {"http"})->choose(http("{}")).real);
    CHECK(make("[]", {"/do/0/look-up"})->choose(http("{}")).real);
    CHECK_THAT(make("[]", {"file.read"})->choose(http("{}")).why_none, Catch::Contains("add one to standIns with 'call: http' or 'task: look-up'"));
}

TEST_CASE("an answer becomes what the effect gives", "[workflows][stand-ins]")
{
    EffectRequest get;
    get.effect = "http.request";
    const auto of = [](std::string_view answer) {
        auto list = read_stand_ins(Json::array({json(answer).set("call", "x")}), "", [](const std::string&, const std::string&) {});
        return list.at(0).answers.at(0);
    };
    CHECK(*outcome_of(of(R"({"result":{"a":1}})"), get) == json(R"({"status":200,"headers":{"content-type":"application/json"},"text":"{\"a\":1}"})"));
    CHECK(*outcome_of(of(R"({"response":{"status":404,"headers":{"Content-Type":"text/html"},"body":"no"}})"), get) ==
          json(R"({"status":404,"headers":{"Content-Type":"text/html"},"text":"no"})"));
    const auto fault = outcome_of(of(R"({"error":{"type":"timeout"}})"), get);
    REQUIRE_FALSE(fault);
    CHECK(fault.error().status == 408);
    CHECK(fault.error().type == "https://serverlessworkflow.io/spec/1.0.0/errors/timeout");
    EffectRequest shell;
    shell.effect = "shell";
    CHECK(*outcome_of(of(R"({"result":"a\n"})"), shell) == json(R"({"stdout":"a\n","stderr":"","code":0})"));
    CHECK((*outcome_of(of(R"({"result":{"code":3}})"), shell))["code"] == Json(3));
    EffectRequest inner;
    inner.effect = "stand-in";
    CHECK(*outcome_of(of(R"({"result":[1]})"), inner) == json("[1]"));
    CHECK_FALSE(outcome_of(of(R"({"response":{"status":500}})"), inner));
}

TEST_CASE("a secret's handle is shown by its name", "[workflows][stand-ins]")
{
    EffectRequest request;
    request.with = Json::object({{"headers", Json::object({{"authorization", "Basic " + secret_handle("erp", "password") + "!"}})}});
    CHECK(called(request).with == json(R"({"headers":{"authorization":"Basic [secret erp.password]!"}})"));
}

TEST_CASE("a task that the interpreter does itself is asked when somebody stands in for it", "[workflows][stand-ins]")
{
    const auto names = [](const Task& task) { return task.name == "ask"; };
    RunOptions options;
    options.stands_in = names;
    const auto ran = testing::run_flow("use: { functions: { rate: { set: { r: 2 } } } }\ndo:\n  - ask: { call: rate, with: { a: 1 } }\n", Json::object(),
                                       [](const EffectRequest& request) {
                                           CHECK(request.effect == "stand-in");
                                           CHECK(request.call == "rate");
                                           CHECK(request.with == json(R"({"a":1})"));
                                           testing::Answer answer;
                                           answer.result = Json(9);
                                           return answer;
                                       }, options);
    CHECK(ran.words() == "9");
    options.stands_in = [](const Task&) { return false; };
    CHECK(testing::run_flow("use: { functions: { rate: { set: { r: 2 } } } }\ndo:\n  - ask: { call: rate, with: { a: 1 } }\n", Json::object(), {}, options).words() == R"({"r":2})");
}
