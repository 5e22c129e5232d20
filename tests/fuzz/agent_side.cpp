// What an agent says to a factory for people, of files, of questions, metrics and persons' agents: NAME of the route, then the body; several parted by lines of two
// dashes. {job} is a job that it runs. A factory has an answer for each, with words when it refuses, and is never at fault itself; said again it is the same.
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>

#include <fmt/format.h>

#include "platform/base/ids.h"
#include "platform/base/log.h"
#include "tests/fuzz/parts.h"
#include "tests/unit/factory_api/factory.h"

using namespace mill;
using mill::test::Answer;
using mill::test::Factory;
using mill::test::HandAgent;

namespace {

struct World {
    Factory factory;
    std::unique_ptr<HandAgent> agent;
    std::string job, attempt_token;
};
std::unique_ptr<World> made;   // nothing before its test case has made it

constexpr int kOften = 300;    // with one factory, which remembers
constexpr std::size_t kCut = 4096;

}  // namespace

TEST_CASE("a factory whose agent runs a job for anna")
{
    made.reset();
    auto world = std::make_unique<World>();
    world->factory.deploy();
    world->agent = std::make_unique<HandAgent>(world->factory, "srv-1");
    world->agent->join();
    const auto put = [&](const std::string& name, std::string_view spec) {
        const Answer done = world->factory.as_admin("PUT", "/v1/triggers/" + name, spec);
        INFO(done.text);
        REQUIRE(done.status == 201);
    };
    put("mine", R"({"deployment":"order-status","type":"attended","assignedTo":["user:anna"]})");
    put("inbox", R"({"deployment":"order-status","type":"event","event":{"file":{"agent":"srv-*","path":"/srv/in/*.csv","settled":"5s"},"input":{"order":"${ .file.path }"}}})");
    const Answer whose = world->factory.as_admin("PATCH", "/v1/agents/srv-1", R"({"user":"anna","sessions":true})");
    INFO(whose.text);
    REQUIRE(whose.status == 200);
    // Whose it is ends its session.
    const Answer granted = world->agent->ask_token(++world->agent->counter, new_uid());
    REQUIRE(granted.status == 200);
    world->agent->token = granted.json["access_token"].as_string();
    REQUIRE(world->agent->say("session", R"({"version":1,"must":[],"challenge":"Y2hhbGxlbmdl","slots":2,"facts":{"os":"linux"},"held":[]})").status == 200);
    REQUIRE(world->factory.as_admin("POST", "/v1/triggers/order-status-api/runs", R"({"input":{"order":"1"}})").status == 202);
    const Answer polled = world->agent->poll(1).answer();
    INFO(polled.text);
    const Json& offer = polled.json["offers"][test::kFirst];
    world->job = offer["job"].as_string();
    world->attempt_token = offer["attemptToken"].as_string();
    REQUIRE_FALSE(world->job.empty());
    const Answer running = world->agent->say("events", fmt::format(R"({{"attempts":[{{"job":"{}","epoch":{},"attempt":{},"events":[{{"sequence":1,"time":"{}","kind":"state","body":{{"state":"running"}}}}]}}]}})", world->job,
                                                                   offer["epoch"].as_integer(), offer["attempt"].as_integer(), format_time(system_clock().now())));
    INFO(running.text);
    REQUIRE(running.status == 200);
    made = std::move(world);
}

namespace {

/// What came, or fails: nothing that is said here waits for somebody.
Json answer_of(World& world, std::string_view route, const std::string& body, int& status)
{
    const bool of_attempt = route == "metrics/read";
    auto pending = world.factory.start("POST", fmt::format("/agent/v1/{}", route), body, {{"authorization", "Bearer " + (of_attempt ? world.attempt_token : world.agent->token)}});
    const auto answer = pending.given(std::chrono::seconds(10));
    check(answer.has_value(), "an answer comes");
    status = answer->status;
    check(status < 500 || status == 503, answer->text);
    if (status >= 400) check(answer->type == "application/problem+json" && !answer->json["title"].as_string().empty() && !answer->detail().empty() && answer->text.size() < 64 * kCut, "a refusal has words");
    else check(answer->text.empty() || answer->json.is_object(), "an answer is JSON");
    return answer->json;
}

void say(World& world, std::string_view text)
{
    static const std::map<std::string_view, bool> routes{{"ask", true}, {"files", true}, {"watches", false}, {"sessions", false}, {"metrics/read", false}, {"person", false}, {"person/launch", true},
                                                         {"person/answer", false}, {"person/cancel", false}, {"log", false}, {"doctor", false}, {"leases", false}};
    const std::string_view route = text.substr(0, text.find('\n'));
    const auto known = routes.find(route);
    if (known == routes.end()) return;
    std::string body(text.substr(std::min(route.size() + 1, text.size())));
    for (std::size_t at = body.find("{job}"); at != body.npos; at = body.find("{job}", at + 1)) body.replace(at, 5, world.job);
    int status = 0, again = 0;
    const Json said = answer_of(world, route, body, status);
    if (route == "person" && status == 200) check(said["user"] == Json("anna") && said["launchable"].size() == 1 && said["jobs"].size() <= 20 && said["questions"].size() <= 200, "a person sees what is theirs");
    if (!known->second || status >= 300) return;
    const Json more = answer_of(world, route, body, again);
    check(status == again, "said again it is the same");
    for (const char* member : {"job", "question"}) check(more[member] == said[member], "of the same job");
    if (route == "files") check(more["known"] == Json(true), "a file starts one job");
    if (route != "ask") return;
    factory::QuestionQuery query;
    query.job = world.job;
    query.state = factory::QuestionState::open;
    query.limit = 500;
    const auto open = world.factory.core->reader()->questions(query);
    check(open && open->items.size() <= factory::kOpenQuestions, "a job has no more open questions than it may");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size > kCut) return 0;
    static Catch::Session session;
    static int left = 0;
    if (left-- == 0) {
        log::start("fuzz", log::Level::error);
        left = kOften;
        check(session.run() == 0 && made != nullptr, "the factory is there");
    }
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    for (int calls = 0; !rest.empty() && calls < 6; ++calls) {
        const auto [one, more] = fuzz::parts(reinterpret_cast<const std::uint8_t*>(rest.data()), rest.size());
        say(*made, one);
        rest = more;
    }
    return 0;
}
