// Notifiers with jq, with an evaluator of the test's.
#include <catch2/catch.hpp>

#include "factory/notify/template.h"
#include "factory/notify/worker.h"
#include "tests/unit/factory_core/world.h"
#include "tests/unit/factory_notify/receiver.h"

using namespace mill;
using namespace mill::factory;
using namespace std::chrono_literals;
using Catch::Contains;
using mill::factory::test::World;
using mill::test::Receiver;

namespace {

/// Knows what its expressions come to; the first that it does not know is a mistake.
struct Fake final : ExpressionEvaluator {
    std::map<std::string, Json> known;
    std::optional<Error> broken;
    std::vector<std::string> asked;
    Expressions compiled;
    void stop() override {}
    bool compile(Expressions expressions, std::function<void(Result<std::vector<ExpressionMistake>>)> done) override
    {
        compiled = expressions;
        std::vector<ExpressionMistake> wrong;
        for (std::size_t i = 0; i < expressions.size(); ++i)
            if (!known.contains(expressions[i])) wrong.push_back({i, "no such function"});
        done(broken ? Result<std::vector<ExpressionMistake>>(fail(*broken)) : wrong);
        return true;
    }
    bool evaluate(Expressions expressions, Json document, std::vector<std::size_t> which, std::function<void(Result<ExpressionValues>)> done) override
    {
        if (broken) return done(fail(*broken)), true;
        CHECK_FALSE(document.contains(kEvaluated));
        ExpressionValues out;
        for (const std::size_t index : which) {
            asked.push_back(expressions.at(index));
            const auto found = known.find(expressions.at(index));
            if (found == known.end()) {
                out.mistake = ExpressionMistake{index, "it fails"};
                break;
            }
            out.values.push_back(found->second);
        }
        done(out);
        return true;
    }
};

const RenderOptions kOptions{"urn:millwright:factory:f-1", "https://factory.example.com"};

Notification notification(std::string_view notifier, std::string event = "success")
{
    return {"d-1", std::move(event), *parse_json(R"({"event":"success","time":"2026-11-22T10:00:00.000000Z","job":{"uid":"u-1","environment":"e"},"input":{"secret":"of the caller"},"output":{"n":1},"timings":{}})"), *parse_json(notifier)};
}

struct Rendering {
    Fake evaluator;
    Result<Rendered> of(const Notification& from)
    {
        auto rendered = render_notification(from, kOptions);
        if (!rendered || !rendered->wanted) return rendered;
        REQUIRE(is_unrendered(rendered->request));
        waiting = rendered->request;
        return make_late_renderer([] { return kOptions; }, evaluator)(from.delivery, waiting);
    }
    Json waiting;
};

}  // namespace

TEST_CASE("a notifier with jq waits with its document, and becomes the request that a plain one would", "[notify][evaluated]")
{
    Rendering late;
    late.evaluator.known = {{".output.n + 1", 2}, {"[.job.uid] | .[0]", "u-1"}, {".output.none | .", Json()}};
    const auto made = late.of(notification(R"({"name":"n","type":"api","api":{"url":"https://r.example.com/${ [.job.uid] | .[0] }","headers":{"X":"${ .job.uid }"},"body":{"n":"${ .output.n + 1 }","none":"${ .output.none | . }","all":"${ . }"},"credentials":"c"}})"));
    if (!made) FAIL(made.error().what);
    CHECK(late.waiting["url"].as_string() == "https://r.example.com");   // the lane of its receiver
    CHECK(made->request["url"].as_string() == "https://r.example.com/u-1");
    CHECK(made->request["headers"]["X"].as_string() == "u-1");
    const Json body = *parse_json(made->request["body"].as_string());
    CHECK(body["n"] == Json(2));
    CHECK(body["none"].is_null());
    CHECK(body["all"]["job"]["uid"].as_string() == "u-1");
    CHECK_FALSE(body["all"].contains(kEvaluated));
    CHECK(made->request["environment"].as_string() == "e");
    const auto event = late.of(notification(R"({"name":"n","type":"api","api":{"url":"https://r/","headers":{"X":"${ .output.n + 1 }"}}})"));
    REQUIRE(event);
    CHECK_THAT(event->request["body"].as_string(), !Contains("evaluated") && !Contains("of the caller"));
    // null in an address is missing, as it is with a plain path.
    const auto missing = late.of(notification(R"({"name":"n","type":"api","api":{"url":"https://r/${ .output.none | . }"}})"));
    REQUIRE_FALSE(missing);
    CHECK_THAT(missing.error().what, Contains(".output.none | . has no value"));
}

TEST_CASE("a plain condition is decided at once, one of jq before anything else is asked", "[notify][evaluated]")
{
    Rendering late;
    const auto now = render_notification(notification(R"({"name":"n","when":"${ .output.n == 2 }","type":"api","api":{"url":"https://r/","body":"${ .output | length }"}})"), kOptions);
    REQUIRE(now);
    CHECK_FALSE(now->wanted);
    late.evaluator.known = {{".output.n > 1", false}};
    const auto no = late.of(notification(R"({"name":"n","when":"${ .output.n > 1 }","type":"api","api":{"url":"https://r/","body":"${ .output | nothing }"}})"));
    REQUIRE(no);
    CHECK_FALSE(no->wanted);
    CHECK(late.evaluator.asked == std::vector<std::string>{".output.n > 1"});
}

TEST_CASE("a message needs its own expressions only, and an event without one needs no delivery", "[notify][evaluated]")
{
    Rendering late;
    late.evaluator.known = {{".output | length", 1}};
    const char* chat = R"({"name":"n","type":"chat","chat":{"platform":"webhook","reaction":"message","conversation":"c","baseUrl":"https://r","messages":{"success":"${ .output | length } things","failure":"${ .error.detail | fromjson }"}}})";
    const auto told = late.of(notification(chat));
    if (!told) FAIL(told.error().what);
    CHECK((*parse_json(told->request["body"].as_string()))["text"].as_string() == "1 things");
    const auto failed = late.of(notification(chat, "failure"));
    REQUIRE_FALSE(failed);
    CHECK_THAT(failed.error().what, Contains("chat.messages.failure") && Contains("`.error.detail | fromjson`") && Contains("it fails"));
    const auto none = render_notification(notification(chat, "start"), kOptions);
    REQUIRE(none);
    CHECK_FALSE(none->wanted);
}

TEST_CASE("what does not compile is said with its places, all of it", "[notify][evaluated]")
{
    Fake evaluator;
    evaluator.known = {{".output | length", 1}};
    Status said;
    const auto compile = [&](std::string_view text) { REQUIRE(compile_notifier(evaluator, *parse_json(text), [&](Status status) { said = std::move(status); })); };
    compile(R"({"name":"n","when":"${ .event | foo }","type":"api","api":{"url":"https://r/","headers":{"A":"${ .output | length }"},"body":["${ .output | bar }"]}})");
    REQUIRE_FALSE(said);
    CHECK(said.error().what == "when: `.event | foo`: jq says: no such function; api.body: `.output | bar`: jq says: no such function");
    CHECK(evaluator.compiled.size() == 3);
    evaluator.compiled.clear();
    compile(R"({"name":"n","type":"api","api":{"url":"https://r/","body":"${ .output.n }"}})");   // nothing to compile
    CHECK(said);
    CHECK(evaluator.compiled.empty());
    compile(std::string(R"({"name":"n","type":"api","api":{"url":"https://r/","body":"${ .output | )") + std::string(9000, ' ') + R"(x }"}})");
    REQUIRE_FALSE(said);
    CHECK_THAT(said.error().what, Contains("longer than"));
}

TEST_CASE("the worker stores the request before it sends it, and what cannot be rendered is dead, dropped or put off", "[notify][evaluated][worker]")
{
    World world;
    Receiver receiver;
    Egress egress(*EgressRules::parse({"http://127.0.0.1:*"}));
    Deliverer deliverer(egress, [](const std::string&) -> Result<Credential> { return fail(Errc::not_found, "none"); }, world.clock(), {.timeout = 5000ms});
    Fake evaluator;
    const std::string notifier = R"({"name":"n","type":"api","api":{"url":")" + receiver.url("/hook") + R"(","body":"${ .output.n + 1 }"}})";
    auto from = notification(notifier);
    from.notifier.set("when", "${ .output.n > 0 }");
    const auto waiting = render_notification(from, kOptions);
    REQUIRE(waiting);
    std::string stored;
    const auto add = [&] {
        const auto made = await<DeliveryRecord>([&](auto done) { world.core().add_test_delivery("n", waiting->request, {"test", ""}, done); });
        REQUIRE(made);
        return made->id;
    };
    const auto record = [&](const std::string& id) { return world.core().reader()->delivery(id); };
    const auto until = [&](const std::string& id, const std::function<bool(const Result<DeliveryRecord>&)>& is) {
        std::mutex mutex;
        std::condition_variable never;
        std::unique_lock lock(mutex);
        for (int i = 0; i < 1600 && !is(record(id)); ++i) never.wait_for(lock, 5ms);
        return is(record(id));
    };
    const auto start = [&] { return start_delivery_worker({}, world.core(), deliverer, make_late_renderer([] { return kOptions; }, evaluator)); };
    SECTION("stored, then sent")
    {
        evaluator.known = {{".output.n > 0", true}, {".output.n + 1", 2}};
        std::string id;
        std::optional<Json> seen;   // by the time that the receiver has it
        receiver.on("/hook", [&](const HttpCall&, const Responder& responder) {
            if (const auto now = world.core().reader()->delivery(id)) seen = now->request;
            responder.reply({.status = 200, .headers = {}, .body = ""});
        });
        id = add();
        const auto worker = start();
        CHECK(until(id, [](const auto& each) { return each && each->state == DeliveryState::delivered; }));
        REQUIRE(seen);
        CHECK((*seen)["kind"].as_string() == "api");
        CHECK(receiver.calls().at(0).body == "2");
    }
    SECTION("an expression that fails: dead, with its words, and no mark against the receiver")
    {
        evaluator.known = {{".output.n > 0", true}};
        const std::string id = add();
        const auto worker = start();
        CHECK(until(id, [](const auto& each) { return each && each->state == DeliveryState::dead; }));
        CHECK_THAT(record(id)->error, Contains("api.body: `.output.n + 1`: jq says: it fails"));
        CHECK(record(id)->attempts == 0);
        CHECK(world.core().reader()->notifier_state("n")->failures == 0);
        CHECK(receiver.calls().empty());
    }
    SECTION("a condition that says no: gone")
    {
        evaluator.known = {{".output.n > 0", false}};
        const std::string id = add();
        const auto worker = start();
        CHECK(until(id, [](const auto& each) { return !each && each.error().code == Errc::not_found; }));
        CHECK(receiver.calls().empty());
    }
    SECTION("a machine that cannot evaluate: it waits, and says why")
    {
        evaluator.broken = Error{Errc::unavailable, "no sandbox"};
        const std::string id = add();
        const auto worker = start();
        CHECK(until(id, [](const auto& each) { return each && !each->error.empty(); }));
        CHECK(record(id)->state == DeliveryState::pending);
        CHECK(record(id)->next_try > world.clock().now());
    }
}
