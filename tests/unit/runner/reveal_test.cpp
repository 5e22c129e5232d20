#include <catch2/catch.hpp>

#include <filesystem>
#include <string>
#include <vector>

#include "agent/runner/effects.h"
#include "agent/runner/reveal.h"
#include "platform/base/encode.h"
#include "tests/unit/broker/temp_folder.h"

using namespace mill;
using namespace mill::runner;

namespace {

constexpr const char* kPassword = "pass-of-erp-7781";

std::string secret(const std::string& name) { return "\xEE\x80\x80" + name + "\xEE\x80\x81"; }

Json with(const char* member, Json value, Json reveal = Json::array({"erp"}))
{
    return Json::object({{"command", "tool"}, {member, std::move(value)}, {"reveal", std::move(reveal)}, {"return", "all"}});
}

Json environment(const std::string& value) { return Json::object({{"PASSWORD", value}}); }

/// Real commands, a broker that the test plays.
struct Bench {
    TempFolder folder;
    std::vector<Json> events, to_broker;
    Reporter reporter{system_clock(), [this](std::string text) { events.push_back((*parse_json(text))["event"]); }, [](auto) {}};
    Commands commands{folder.path(), 65'536, [] {}};
    Effects effects{system_clock(), reporter, commands, folder.path(), [this](std::string text) { to_broker.push_back(*parse_json(text)); }};

    void start(Json what) { effects.start({1, "shell", std::move(what), "/do/0/x", {}}); }
    void granted(const char* path = "/bin/sh") { result(Json::object({{"path", path}})); }
    void result(Json what) { effects.hear(dump_json(Json::object({{"id", to_broker.back()["id"].as_integer()}, {"result", std::move(what)}}))); }
    Outcome<Json> ended()
    {
        std::vector<Effects::Answer> answers;
        while (answers.empty()) answers = effects.take();
        REQUIRE(answers.size() == 1);
        return std::move(answers.front().outcome);
    }
    std::string told() const
    {
        std::string out;
        for (const Json& event : events) out += dump_json(event);
        return out;
    }
};

Json shell(const std::string& command) { return with("environment", environment(secret("erp.password"))).set("command", command); }
Json values() { return Json::object({{"values", Json::object({{"erp.password", kPassword}})}}); }

}  // namespace

TEST_CASE("a command names the secrets that it is to be given, each once", "[runner][reveal]")
{
    const auto names = [](const Json& what) { return secrets_of_command(what).value_or(std::vector<std::string>{"refused"}); };
    CHECK(names(with("environment", environment("x"))).empty());
    CHECK(names(with("environment", environment(secret("erp.user") + ":" + secret("erp.password")))) == std::vector<std::string>{"erp.user", "erp.password"});
    CHECK(names(with("environment", environment(secret("erp.password"))).set("stdin", "pw=" + secret("erp.password"))) == std::vector<std::string>{"erp.password"});
}

TEST_CASE("a secret that its task does not reveal, or that stands where others see it, is refused and never handed on as it is", "[runner][reveal]")
{
    const auto refusal = [](const Json& what) {
        const auto outcome = secrets_of_command(what);
        REQUIRE_FALSE(outcome);
        CHECK(outcome.error().status == 403);
        CHECK_THAT(outcome.error().type, Catch::EndsWith("/authorization"));
        return outcome.error().detail;
    };
    CHECK_THAT(refusal(with("environment", environment(secret("erp.password")), Json())), Catch::Contains("'erp'") && Catch::Contains("metadata: { reveal: [ erp ] }"));
    CHECK_THAT(refusal(with("environment", environment(secret("erp.password")), Json::array({"crm"}))), Catch::Contains("'erp'"));
    CHECK_THAT(refusal(with("stdin", secret("erp.password"), Json::array())), Catch::Contains("'erp'"));
    CHECK_THAT(refusal(with("arguments", Json::array({"-p", secret("erp.password")}))), Catch::Contains("'arguments'") && Catch::Contains("list of processes") && Catch::Contains("'environment' or 'stdin'"));
    CHECK_THAT(refusal(with("arguments", Json::object({{"p", Json::array({secret("erp.password")})}}))), Catch::Contains("'arguments'"));
    CHECK_THAT(refusal(with("command", "tool " + secret("erp.password"))), Catch::Contains("'command'"));
    CHECK_THAT(refusal(with("code", secret("erp.password"))), Catch::Contains("'code'"));
    CHECK_THAT(refusal(with("environment", Json::object({{secret("erp.password"), "x"}}))), Catch::Contains("name of a variable"));
    CHECK_THAT(refusal(with("environment", Json::object({{"A", Json::array({secret("erp.password")})}}))), Catch::Contains("in a text"));
    const auto cut = secrets_of_command(with("stdin", secret("erp.password").substr(0, 8)));
    REQUIRE_FALSE(cut);
    CHECK(cut.error().status == 400);
}

TEST_CASE("values come after the verdict on the command, go into environment and standard input, and are masked in what it says", "[runner][reveal]")
{
    Bench bench;
    bench.start(shell("printf %s \"$PASSWORD\"; printf ' %s' \"$PASSWORD\" | base64 >&2; cat").set("stdin", "in:" + secret("erp.password")));
    REQUIRE(bench.to_broker.size() == 1);
    CHECK(dump_json(bench.to_broker[0]).find("erp") == std::string::npos);
    bench.granted();
    REQUIRE(bench.to_broker.size() == 2);
    CHECK(bench.to_broker[1]["effect"].as_string() == "credential.reveal");
    CHECK(bench.to_broker[1]["with"] == Json::object({{"handles", Json::array({"erp.password"})}}));
    bench.result(values());
    const auto outcome = bench.ended();
    REQUIRE(outcome);
    CHECK((*outcome)["code"].as_integer() == 0);
    CHECK((*outcome)["stdout"].as_string() == "***in:***");
    CHECK((*outcome)["stderr"].as_string().find(to_base64(std::string(kPassword).substr(2, 9))) == std::string::npos);
    CHECK_THAT(bench.told(), Catch::Contains("and gives it erp.password") && Catch::Contains("secrets were masked") && !Catch::Contains(kPassword));
}

TEST_CASE("the value that a command gets is the value", "[runner][reveal]")
{
    Bench bench;
    bench.start(shell("printf %s \"$PASSWORD\" | sha256sum | cut -c1-16; test \"$(cat)\" = \"in:$PASSWORD\" && echo same").set("stdin", "in:" + secret("erp.password")));
    bench.granted();
    bench.result(values());
    CHECK((*bench.ended())["stdout"].as_string() == "a8da804fb7ea299b\nsame\n");
}

TEST_CASE("what one command left in the workspace is masked for those that come later", "[runner][reveal]")
{
    Bench bench;
    bench.start(shell("printf %s \"$PASSWORD\" > kept"));
    bench.granted();
    bench.result(values());
    REQUIRE(bench.ended());
    bench.start(Json::object({{"command", "cat kept"}, {"return", "all"}}));
    bench.granted("/bin/cat");
    CHECK((*bench.ended())["stdout"].as_string() == "***");
    bench.effects.start({2, "file.read", Json::object({{"path", "kept"}}), "/do/1/y", {}});
    CHECK((*bench.ended())["content"].as_string() == "***");
}

TEST_CASE("a refusal to reveal ends the task, and nothing was started", "[runner][reveal]")
{
    Bench bench;
    bench.start(shell("touch started"));
    bench.granted();
    bench.effects.hear(R"({"id":2,"error":{"type":"authorization","status":403,"title":"Not granted","detail":"permissions: { reveal }"}})");
    const auto outcome = bench.ended();
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().detail == "permissions: { reveal }");
    CHECK(bench.to_broker.size() == 2);
    bench.start(shell("touch started"));
    bench.granted();
    bench.result(Json::object({{"values", Json::object()}}));  // a broker that forgets one
    CHECK(bench.ended().error().status == 500);
    CHECK_FALSE(std::filesystem::exists(bench.folder.path() + "/started"));
}

TEST_CASE("a value with a zero byte goes through standard input only", "[runner][reveal]")
{
    CommandRequest request;
    request.input = secret("erp.password");
    Redactor masks;
    const Json zero = Json::object({{"erp.password", std::string("ab\0cdef", 7)}});
    CHECK(put_in(request, zero, masks));
    CHECK(request.input == std::string("ab\0cdef", 7));
    request.environment["P"] = secret("erp.password");
    const auto refused = put_in(request, zero, masks);
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().detail, Catch::Contains("stdin"));
}

TEST_CASE("names of users are given like other values, and not masked", "[runner][reveal]")
{
    Redactor masks;
    CommandRequest request;
    request.environment["U"] = secret("erp.username");
    REQUIRE(put_in(request, Json::object({{"erp.username", "anna-of-sales"}}), masks));
    CHECK(request.environment["U"] == "anna-of-sales");
    CHECK(masks.empty());
}

TEST_CASE("a file in the workspace takes no secret", "[runner][reveal]")
{
    Bench bench;
    bench.effects.start({3, "file.write", Json::object({{"path", "x"}, {"content", secret("erp.password")}}), "/do/0/x", {}});
    CHECK(bench.ended().error().status == 403);
}
