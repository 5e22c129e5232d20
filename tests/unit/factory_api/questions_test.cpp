#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "platform/base/ids.h"
#include "tests/unit/factory_api/factory.h"

using namespace mill;
using mill::test::Answer;
using mill::test::Factory;
using mill::test::HandAgent;
using mill::test::kFirst;
using Catch::Contains;

namespace {

/// A factory whose trigger asks for approval; anna is an operator, otto too, vera only reads.
struct Asking : Factory {
    std::string anna, otto, vera;
    explicit Asking(std::string_view approval = R"({"by":["operator"],"within":"2h"})", std::string_view more = "")
    {
        deploy();
        anna = token("anna", "operator");
        otto = token("otto", "operator");
        vera = token("vera", "viewer");
        const Answer put = as_admin("PUT", "/v1/triggers/order-status-api", fmt::format(R"({{"deployment":"order-status","input":{{"region":"eu"}},"approval":{}{}}})", approval, more));
        INFO(put.text);
        REQUIRE(put.status == 200);
    }
    std::string token(const std::string& name, const std::string& role)
    {
        const Answer made = as_admin("POST", "/v1/tokens", fmt::format(R"({{"kind":"user","name":"{}","role":"{}"}})", name, role));
        REQUIRE(made.status == 201);
        return made.json["token"].as_string();
    }
    Json run(const std::string& who)
    {
        const Answer started = with_token(who, "POST", "/v1/triggers/order-status-api/runs", R"({"input":{"order":"4711"}})");
        INFO(started.text);
        REQUIRE(started.status == 202);
        return started.json;
    }
    Json open() { return as_admin("GET", "/v1/questions?state=open").json["items"]; }
    Answer answer(const std::string& who, const std::string& id, std::string_view body) { return with_token(who, "POST", fmt::format("/v1/questions/{}/answer", id), body); }
    std::string state(const Json& run) { return as_admin("GET", "/v1/jobs/" + run["jobUid"].as_string()).json["state"].as_string(); }
};

}  // namespace

TEST_CASE("a run of a trigger with approval answers what it waits for, and an answer lets it start", "[factory][api][questions]")
{
    Asking factory;
    HandAgent agent(factory, "srv-1");
    agent.join();
    const auto poll = agent.poll(1);
    const Json run = factory.run(factory.anna);
    CHECK(run["state"] == Json("ready"));
    CHECK_THAT(run["waitingFor"].as_string(), Contains("waits for the approval of role operator until"));
    const Json question = factory.open()[kFirst];
    const std::string id = question["id"].as_string();
    CHECK(question["job"] == run["jobUid"]);
    CHECK(question["kind"] == Json("approval"));
    CHECK_THAT(question["text"].as_string(), Contains("user anna asked for it"));
    CHECK_FALSE(poll.done(std::chrono::milliseconds(50)));
    const Json job = factory.as_admin("GET", "/v1/jobs?state=ready").json["items"][kFirst];
    CHECK(job["waitingFor"] == Json("waits for the approval of role operator"));
    CHECK_THAT(factory.as_admin("GET", "/v1/why").json["text"].as_string(), Contains("waits for the approval of role operator"));

    // Who asked for it, who may not, who is nobody; answers that are none.
    const Answer own = factory.answer(factory.anna, id, R"({"answer":true})");
    CHECK(own.status == 403);
    CHECK_THAT(own.detail(), Contains("user anna asked for job"));
    const Answer viewer = factory.answer(factory.vera, id, R"({"answer":true})");
    CHECK(viewer.status == 403);
    CHECK_THAT(viewer.detail(), Contains("role operator may"));
    CHECK(factory.answer(factory.trigger_token(), id, R"({"answer":true})").status == 403);
    CHECK(factory.call("POST", fmt::format("/v1/questions/{}/answer", id), R"({"answer":true})").status == 401);
    const Answer wrong = factory.answer(factory.otto, id, R"({"answer":"yes"})");
    CHECK(wrong.status == 400);
    CHECK(wrong.json["mistakes"].size() == 1);
    for (const char* body : {"{}", R"({"answer":true,"why":"x"})", R"({"answer":null})", R"([true])"}) CHECK(factory.answer(factory.otto, id, body).status == 400);
    CHECK(factory.answer(factory.otto, id, fmt::format(R"({{"answer":true,"comment":"{}"}})", std::string(1001, 'x'))).status == 400);
    CHECK(factory.answer(factory.otto, new_uid(), R"({"answer":true})").status == 404);
    CHECK(factory.state(run) == "ready");

    const Answer yes = factory.answer(factory.otto, id, R"({"answer":true,"comment":"fine"})");
    INFO(yes.text);
    REQUIRE(yes.status == 200);
    CHECK(yes.json["state"] == Json("answered"));
    CHECK(yes.json["answeredBy"] == Json("user otto"));
    CHECK(yes.json["way"] == Json("api"));
    CHECK(poll.answer().json["offers"][kFirst]["job"] == run["jobUid"]);
    const Answer second = factory.answer(factory.otto, id, R"({"answer":false})");
    CHECK(second.status == 409);
    CHECK_THAT(second.detail(), Contains("user otto was first"));
    CHECK(factory.open().size() == 0);
    CHECK_THAT(factory.as_admin("GET", fmt::format("/v1/jobs/{}/timeline", run["jobUid"].as_string())).text, Contains("user otto approved it: fine"));
    CHECK_THAT(factory.as_admin("GET", "/v1/audit").text, Contains(R"("action":"answer")"));
}

TEST_CASE("who asked for a job approves it with no other token of theirs, nor when others retry it", "[factory][api][questions]")
{
    Asking factory;
    const Answer made = factory.as_admin("POST", "/v1/tokens", R"({"kind":"admin","name":"anna"})");
    REQUIRE(made.status == 201);
    const std::string other = made.json["token"].as_string();
    Json run = factory.run(factory.anna);
    const auto asked = [&](const Json& of) { return factory.as_admin("GET", "/v1/questions?job=" + of["jobUid"].as_string()).json["items"][kFirst]["id"].as_string(); };
    const Answer own = factory.answer(other, asked(run), R"({"answer":true})");
    CHECK(own.status == 403);
    CHECK(own.json["code"] == Json("own_request"));
    for (int i = 0; i < 2; ++i) {   // a retry of a retry, by somebody else each time
        REQUIRE(factory.as_admin("POST", fmt::format("/v1/jobs/{}/cancel", run["jobUid"].as_string()), "{}").status == 200);
        const Answer again = factory.with_token(factory.otto, "POST", fmt::format("/v1/jobs/{}/retry", run["jobUid"].as_string()), "{}");
        REQUIRE(again.status == 202);
        run = again.json;
        CHECK(factory.answer(factory.anna, asked(run), R"({"answer":true})").status == 403);
        CHECK(factory.answer(other, asked(run), R"({"answer":true})").json["code"] == Json("own_request"));
    }
    CHECK(factory.state(run) == "ready");
}

TEST_CASE("a refusal cancels the job, and an ended one cannot be approved", "[factory][api][questions]")
{
    Asking factory;
    const Json refused = factory.run(factory.anna), gone = factory.run(factory.anna);
    const Json open = factory.open();
    REQUIRE(open.size() == 2);
    CHECK(factory.answer(factory.otto, open[std::size_t{1}]["id"].as_string(), R"({"answer":false,"comment":"too dear"})").status == 200);
    const Json job = factory.as_admin("GET", "/v1/jobs/" + refused["jobUid"].as_string()).json;
    CHECK(job["state"] == Json("cancelled"));
    CHECK(job["evidence"]["why"] == Json("too dear"));
    CHECK(job["cancel"]["by"] == Json("user otto"));
    REQUIRE(factory.as_admin("POST", fmt::format("/v1/jobs/{}/cancel", gone["jobUid"].as_string()), "{}").status == 200);
    const Answer late = factory.answer(factory.otto, open[kFirst]["id"].as_string(), R"({"answer":true})");
    CHECK(late.status == 410);
    CHECK(late.json["question"]["state"] == Json("withdrawn"));
    CHECK(factory.as_admin("GET", "/v1/questions?job=" + gone["jobUid"].as_string()).json["items"].size() == 1);
    CHECK(factory.as_admin("GET", "/v1/questions?state=shut").status == 400);
    CHECK(factory.as_admin("GET", "/v1/questions?job=" + new_uid()).status == 404);
    const Json page = factory.as_admin("GET", "/v1/questions?limit=1").json;
    CHECK(factory.as_admin("GET", "/v1/questions?limit=1&cursor=" + page["next"].as_string()).json["items"][kFirst]["job"] == refused["jobUid"]);
}

TEST_CASE("a question in a chat's conversation is answered there", "[factory][api][questions][chat]")
{
    Asking factory(R"({"by":["conversation","operator"]})", R"(,"chat":{"platform":"webhook","input":{"order":"${ .text }"}})");
    const std::string token = factory.trigger_token();
    int events = 0;
    const auto say = [&](std::string_view user, std::string_view text, std::string_view conversation = "room-1", std::string id = {}) {
        if (id.empty()) id = fmt::format("e-{}", ++events);
        return factory.with_token(token, "POST", "/v1/chat/order-status-api", fmt::format(R"({{"conversation":"{}","id":"{}","text":"{}","user":"{}"}})", conversation, id, text, user));
    };
    const auto jobs = [&] { return factory.as_admin("GET", "/v1/jobs").json["items"].size(); };
    const Answer started = say("ada", "4711");
    REQUIRE(started.status == 200);
    CHECK_THAT(started.json["text"].as_string(), Contains("anybody in the conversation"));
    CHECK(jobs() == 1);

    const Answer own = say("ada", "yes");
    CHECK(own.status == 403);
    CHECK_THAT(own.json["text"].as_string(), Contains("somebody else has to answer"));
    const Answer nonsense = say("bob", "what is this");
    CHECK(nonsense.status == 400);
    CHECK_THAT(nonsense.json["text"].as_string(), Contains("I expected yes or no") && Contains("May job"));
    CHECK(jobs() == 1);
    // Another conversation is another matter.
    CHECK(say("bob", "4712", "room-2").status == 200);
    CHECK(jobs() == 2);
    const Answer yes = say("bob", "Yes!", "room-1", "again");
    CHECK(yes.status == 200);
    CHECK_THAT(yes.json["text"].as_string(), Contains("Approved: job " + started.json["jobUid"].as_string()));
    CHECK(yes.json["jobUid"] == started.json["jobUid"]);
    const Json answered = factory.as_admin("GET", "/v1/questions?job=" + started.json["jobUid"].as_string()).json["items"][kFirst];
    CHECK(answered["answeredBy"] == Json("webhook user bob"));
    CHECK(answered["way"] == Json("chat webhook"));
    // The platform sends its event again: nothing new starts, also when another question is open by then.
    CHECK(say("bob", "Yes!", "room-1", "again").json["jobUid"] == started.json["jobUid"]);
    CHECK(jobs() == 2);
    const Answer next = say("ada", "4713");
    CHECK(say("bob", "Yes!", "room-1", "again").status == 200);
    CHECK(factory.state(next.json) == "ready");
    CHECK(factory.open().size() == 2);

    SECTION("several open ones are told apart by their marks")
    {
        // A message in a conversation with an open question answers it: the second job comes from elsewhere.
        const Answer other = factory.as_admin("POST", "/v1/triggers/order-status-api/runs", R"({"invocationContext":{"conversationId":"room-1","platform":"webhook"},"input":{"order":"1"}})");
        REQUIRE(other.status == 202);
        const Answer which = say("bob", "no");
        CHECK(which.status == 400);
        CHECK_THAT(which.json["text"].as_string(), Contains("Several questions are open here"));
        const std::string id = factory.as_admin("GET", "/v1/questions?job=" + next.json["jobUid"].as_string()).json["items"][kFirst]["id"].as_string();
        CHECK_THAT(which.json["text"].as_string(), Contains("#" + id.substr(id.size() - 4) + " May job"));
        CHECK(say("bob", "#0000 no").status == 400);
        const Answer no = say("bob", "#" + id.substr(id.size() - 4) + " no: not today");
        CHECK(no.status == 200);
        CHECK(factory.state(next.json) == "cancelled");
        CHECK(factory.state(other.json) == "ready");
        CHECK(factory.as_admin("GET", "/v1/questions/" + id).json["comment"] == Json("not today"));
    }
    SECTION("answered on another way first, it is no question any more")
    {
        const std::string id = factory.as_admin("GET", "/v1/questions?job=" + next.json["jobUid"].as_string()).json["items"][kFirst]["id"].as_string();
        CHECK(factory.answer(factory.otto, id, R"({"answer":true})").status == 200);
        CHECK(say("bob", "4714").status == 200);
        CHECK(jobs() == 4);
    }
}

TEST_CASE("what a trigger may say of its approval", "[factory][api][questions]")
{
    Factory factory;
    factory.deploy();
    const auto put = [&](std::string_view approval, std::string_view more = "") {
        return factory.as_admin("PUT", "/v1/triggers/order-status-api?dryRun=true", fmt::format(R"({{"deployment":"order-status","approval":{}{}}})", approval, more));
    };
    const auto wrong = [&](std::string_view approval) {
        const Answer answer = put(approval);
        CHECK(answer.status == 400);
        return answer.detail();
    };
    CHECK_THAT(wrong("{}"), Contains("'by'") && Contains("user:NAME"));
    CHECK_THAT(wrong(R"({"by":["boss"]})"), Contains("'boss'"));
    CHECK_THAT(wrong(R"({"by":["role:boss","user:"]})"), Contains("'role:boss'") && Contains("'user:'"));
    CHECK_THAT(wrong(R"({"by":["conversation"]})"), Contains("takes no calls of a chat"));
    CHECK_THAT(wrong(R"({"by":["admin"],"within":"soon"})"), Contains("'within'"));
    CHECK_THAT(wrong(R"({"by":["admin"],"within":"1h","unless":"x"})"), Contains("unless"));
    CHECK_THAT(wrong(R"("admin")"), Contains("approval"));
    CHECK(put(R"({"by":["conversation"]})", R"(,"chat":{"platform":"webhook","input":{"order":"${ .text }"}})").status == 200);

    const auto apply = [&](std::string_view by) {
        return factory.as_admin("POST", "/v1/apply", fmt::format(R"({{"dryRun":true,"documents":[{{"kind":"Trigger","name":"order-status-api","deployment":"order-status","approval":{{"by":["{}"]}}}}]}})", by))
            .json["results"][kFirst];
    };
    CHECK(apply("operator")["approval"] == *parse_json(R"({"by":"role operator","within":"1d","could":["admin"]})"));
    CHECK_FALSE(apply("operator").contains("warnings"));
    CHECK_THAT(dump_json(apply("user:anna")["warnings"]), Contains("nobody could approve the jobs of trigger 'order-status-api': there is no token of user anna"));
    REQUIRE(factory.as_admin("PUT", "/v1/triggers/order-status-api", R"({"deployment":"order-status","approval":{"by":["user:anna"]}})").status == 200);
    const Json problems = factory.as_admin("GET", "/v1/deployments/order-status/preflight").json["problems"];
    CHECK_THAT(dump_json(problems), Contains("no_approver"));
    CHECK_THAT(factory.as_admin("GET", "/v1/deployments/order-status/why").text, Contains("no_approver"));
    REQUIRE(factory.as_admin("POST", "/v1/tokens", R"({"kind":"user","name":"anna","role":"viewer"})").status == 201);
    CHECK_THAT(factory.as_admin("GET", "/v1/deployments/order-status/preflight").text, !Contains("no_approver"));
    CHECK_THAT(factory.as_admin("GET", "/v1/triggers/order-status-api/why").text, Contains("each of its jobs waits first for the approval of user anna"));
}
