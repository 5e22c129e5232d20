#include <catch2/catch.hpp>

#include "factory/notify/render.h"
#include "factory/notify/worker.h"
#include "tests/unit/factory_core/world.h"
#include "tests/unit/factory_notify/receiver.h"

using namespace mill;
using namespace mill::factory;
using namespace std::chrono_literals;
using mill::test::Receiver;
using mill::test::SapCai;
using mill::factory::test::World;

namespace {

/// A core, a deliverer that may call loopback, and a worker between them.
struct Office {
    Office() : egress(*EgressRules::parse({"http://127.0.0.1:*"})),
               deliverer(egress, [this](const std::string&) -> Result<Credential> { return credential; }, world.clock(), {.timeout = 5000ms})
    {
    }
    void start() { worker = start_delivery_worker({}, world.core(), deliverer); }
    std::string add(const std::string& url)
    {
        return add(Json::object({{"kind", "api"}, {"notifier", "n"}, {"method", "POST"}, {"url", url}, {"headers", Json::object()}, {"body", "hello"}, {"authentication", "none"}}));
    }
    std::string add(Json request)
    {
        const auto made = await<DeliveryRecord>([&](auto done) { world.core().add_test_delivery("n", request, {"test", ""}, done); });
        REQUIRE(made);
        return made->id;
    }
    DeliveryRecord record(const std::string& id)
    {
        const auto found = world.core().reader()->delivery(id);
        REQUIRE(found);
        return *found;
    }
    /// Waits until `id` has had `attempts` and is in `state`.
    bool becomes(const std::string& id, DeliveryState state, std::uint32_t attempts = 1)
    {
        std::mutex mutex;
        std::condition_variable changed;
        std::unique_lock lock(mutex);
        const auto end = std::chrono::steady_clock::now() + 8s;
        while (std::chrono::steady_clock::now() < end) {
            if (const auto now = record(id); now.state == state && now.attempts >= attempts) return true;
            changed.wait_for(lock, 5ms);
        }
        return false;
    }
    World world;
    Credential credential;
    Egress egress;
    Deliverer deliverer;
    std::unique_ptr<DeliveryWorker> worker;
};

}  // namespace

TEST_CASE("a delivery goes out as soon as it is in the outbox", "[notify][worker]")
{
    Office office;
    Receiver receiver;
    receiver.answer("/hook", 200, "ok");
    const std::string before = office.add(receiver.url("/hook"));
    office.start();
    CHECK(office.becomes(before, DeliveryState::delivered));
    const std::string after = office.add(receiver.url("/hook"));
    REQUIRE(office.becomes(after, DeliveryState::delivered));
    const auto record = office.record(after);
    REQUIRE(record.history.size() == 1);
    CHECK(record.history[0].status == 200);
    CHECK(record.history[0].response == "ok");
    CHECK(receiver.calls().back().header("webhook-id") == after);
}

TEST_CASE("a receiver that is slow holds up nobody else", "[notify][worker]")
{
    Office office;
    Receiver slow, quick;
    slow.on("/hook", [](const HttpCall&, const Responder&) {});  // never answers
    quick.answer("/hook", 200, "");
    office.start();
    for (int i = 0; i < 40; ++i) office.add(slow.url("/hook"));
    REQUIRE(slow.wait_calls("/hook", 4));
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::string> ids;
    for (int i = 0; i < 10; ++i) ids.push_back(office.add(quick.url("/hook")));
    for (const std::string& id : ids) CHECK(office.becomes(id, DeliveryState::delivered));
    CHECK(std::chrono::steady_clock::now() - begin < 4s);  // less than one time-out of the slow one
    CHECK(slow.calls().size() <= 4);
}

TEST_CASE("a receiver that answers 500, then is down, then is well gets it in the end, each attempt on record", "[notify][worker]")
{
    Office office;
    auto receiver = std::make_unique<Receiver>();
    receiver->answer("/hook", 500, R"({"message":"database is away"})");
    const std::string id = office.add(receiver->url("/hook"));
    const std::uint16_t port = receiver->port();
    office.start();
    REQUIRE(office.becomes(id, DeliveryState::pending, 1));
    CHECK(office.record(id).next_try > office.world.clock().now());
    receiver.reset();
    office.world.pass(20min);
    REQUIRE(office.becomes(id, DeliveryState::pending, 2));
    HttpServerOptions same;
    same.port = port;
    receiver = std::make_unique<Receiver>(same);
    receiver->answer("/hook", 200, "at last");
    office.world.pass(20min);
    REQUIRE(office.becomes(id, DeliveryState::delivered, 3));
    const auto record = office.record(id);
    REQUIRE(record.history.size() == 3);
    CHECK(record.history[0].status == 500);
    CHECK_THAT(record.history[0].error, Catch::Contains("database is away"));
    CHECK(record.history[1].status == 0);
    CHECK_THAT(record.history[1].error, Catch::Contains("connect"));
    CHECK(record.history[2].response == "at last");
    CHECK(receiver->calls().at(0).header("webhook-id") == id);
}

TEST_CASE("what the worker had in hand when its notifier was held waits with the rest", "[notify][worker]")
{
    Office office;
    Receiver receiver;
    receiver.answer("/hook", 500, "no");
    std::vector<std::string> ids;
    for (int i = 0; i < 60; ++i) ids.push_back(office.add(receiver.url("/hook")));
    office.start();
    const auto held = [&] {
        return std::count_if(ids.begin(), ids.end(), [&](const std::string& id) { return office.record(id).held; });
    };
    std::mutex mutex;
    std::condition_variable changed;
    std::unique_lock lock(mutex);
    for (const auto end = std::chrono::steady_clock::now() + 8s; held() < 60 && std::chrono::steady_clock::now() < end;) changed.wait_for(lock, 5ms);
    REQUIRE(held() == 60);
    // Five in a row hold it; beside the last of them those were under way that one destination may have.
    CHECK(receiver.calls("/hook").size() >= 5);
    CHECK(receiver.calls("/hook").size() <= 5 + WorkerOptions{}.per_destination);

    receiver.answer("/hook", 200, "ok");
    const auto resumed = await<NotifierState>([&](auto done) { office.world.core().resume_notifier("n", {"test", ""}, done); });
    REQUIRE(resumed);
    for (const std::string& id : ids) CHECK(office.becomes(id, DeliveryState::delivered));
}

TEST_CASE("a 4xx is final; a resend by command delivers it", "[notify][worker]")
{
    Office office;
    Receiver receiver;
    receiver.answer("/hook", 403, "not you");
    office.start();
    const std::string id = office.add(receiver.url("/hook"));
    REQUIRE(office.becomes(id, DeliveryState::dead));
    CHECK_THAT(office.record(id).error, Catch::Contains("403"));
    receiver.answer("/hook", 200, "");
    const auto resent = await<DeliveryRecord>([&](auto done) { office.world.core().resend(id, {"admin", ""}, done); });
    REQUIRE(resent);
    CHECK(office.becomes(id, DeliveryState::delivered, 2));
}

TEST_CASE("after a day without success a delivery is dead", "[notify][worker]")
{
    Office office;
    Receiver receiver;
    receiver.answer("/hook", 503, "");
    office.start();
    const std::string id = office.add(receiver.url("/hook"));
    REQUIRE(office.becomes(id, DeliveryState::pending, 1));
    office.world.pass(25h);
    CHECK(office.becomes(id, DeliveryState::dead, 2));
}

TEST_CASE("a token endpoint that refuses is retried and delivered in the end", "[notify][worker][sap-cai]")
{
    Office office;
    SapCai bot;
    bot.refuse_token = true;
    office.credential = {"bot", "sap-cai", Json::object({{"tokenUrl", bot.url("/oauth/token")}, {"clientId", "client-id"}, {"clientSecret", "client-secret"}, {"botToken", "bot-token-secret"}}), {}};
    office.start();
    const std::string id = office.add(Json::object({{"kind", "sap-cai"}, {"notifier", "n"}, {"method", "POST"}, {"url", bot.url("/connect/v1/conversations/conversation-1/messages")},
                                                    {"body", R"({"messages":[{"type":"text","content":"hi"}]})"}, {"credentials", "bot"}}));
    REQUIRE(office.becomes(id, DeliveryState::pending, 1));
    CHECK_THAT(office.record(id).error, Catch::Contains("Bad credentials"));
    bot.refuse_token = false;
    office.world.pass(20min);
    CHECK(office.becomes(id, DeliveryState::delivered, 2));
}

TEST_CASE("what is under way when the worker stops is delivered after the next start", "[notify][worker]")
{
    Office office;
    Receiver receiver;
    receiver.on("/hook", [](const HttpCall&, const Responder&) {});
    office.start();
    const std::string id = office.add(receiver.url("/hook"));
    REQUIRE(receiver.wait_calls("/hook", 1));
    const auto begin = std::chrono::steady_clock::now();
    office.worker->stop();
    CHECK(std::chrono::steady_clock::now() - begin < 3s);
    office.worker.reset();
    office.world.restart();
    receiver.answer("/hook", 200, "");
    office.start();
    CHECK(office.becomes(id, DeliveryState::delivered));
    CHECK(receiver.calls().size() == 2);
}

TEST_CASE("a try-out shows the receiver's real answer", "[notify][worker]")
{
    Office office;
    Receiver receiver;
    receiver.answer("/hook", 418, "a teapot");
    Document notifier{.kind = "Notifier", .name = "n", .uid = {}, .spec = Json::object({{"name", "n"}, {"type", "api"}, {"api", Json::object({{"url", receiver.url("/hook")}, {"body", "${ .job.uid }"}})}}),
                      .generation = 1, .created = {}, .changed = {}, .changed_by = {}};
    const Json sample = *parse_json(R"({"event":"success","job":{"uid":"u-9"},"output":null})");
    const auto renderer = make_renderer({"urn:x", ""});
    const auto refused = try_notifier(notifier, sample, renderer, office.deliverer);
    REQUIRE(refused);
    CHECK_FALSE((*refused)["ok"].as_bool());
    CHECK((*refused)["response"]["status"].as_integer() == 418);
    CHECK((*refused)["response"]["body"].as_string() == "a teapot");
    CHECK(receiver.calls().at(0).body == "u-9");
    notifier.spec.set("when", "${ .output != null }");
    CHECK_THAT((*try_notifier(notifier, sample, renderer, office.deliverer))["error"].as_string(), Catch::Contains("`when` says no"));
    notifier.spec.erase("when");
    receiver.answer("/hook", 200, "");
    CHECK((*try_notifier(notifier, sample, renderer, office.deliverer))["ok"].as_bool());
}

TEST_CASE("a signing secret in the document of an earlier version becomes a credential", "[notify][worker]")
{
    World world;
    const auto spec = [](std::string_view secret) {
        return *parse_json(R"({"type":"api","api":{"url":"https://r.example.com","headers":{"Authorization":"Bearer old"},"secret":")" + std::string(secret) + "\"}}");
    };
    world.put("Notifier", "plain", *parse_json(R"({"type":"api","api":{"url":"https://r.example.com"}})"));
    world.put("Notifier", "told", spec("a-literal-one"));
    world.put("Notifier", "new", spec("new-hmac"));
    for (const char* name : {"new-hmac", "told-signing"})   // the second is taken by something else
        REQUIRE(await<CredentialRecord>([&](auto done) { world.core().put_credential(name, Json::object({{"kind", "hmac"}}), "sealed", world.who, done); }));

    std::vector<std::pair<std::string, std::string>> sealed;
    const auto seal = [&](const std::string& name, const Json& values) {
        sealed.emplace_back(name, values["secret"].as_string());
        return std::string("sealed");
    };
    REQUIRE(move_stored_secrets(world.core(), seal));
    CHECK(sealed == std::vector<std::pair<std::string, std::string>>{{"told-signing-2", "a-literal-one"}});
    const auto reader = world.core().reader();
    CHECK(reader->document("Notifier", "told")->spec["api"]["secret"] == Json("told-signing-2"));
    CHECK(reader->document("Notifier", "told")->spec["api"]["url"] == Json("https://r.example.com"));
    CHECK(reader->credential("told-signing-2")->about["kind"] == Json("hmac"));
    CHECK(reader->document("Notifier", "new")->spec["api"]["secret"] == Json("new-hmac"));
    CHECK_FALSE(reader->document("Notifier", "plain")->spec["api"].contains("secret"));
    REQUIRE(move_stored_secrets(world.core(), seal));   // as at the next start
    CHECK(sealed.size() == 1);
}
