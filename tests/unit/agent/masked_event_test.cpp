#include <catch2/catch.hpp>

#include <string>

#include "agent/masked_event.h"

using namespace mill;
using protocol::Event;
using protocol::EventKind;

namespace {

Event masked(EventKind kind, Json body, std::string_view secret = "correct horse battery")
{
    Redactor redactor;
    redactor.add(secret);
    Event event{2, {}, kind, std::move(body)};
    agent::mask_event(event, redactor);
    return event;
}

}  // namespace

TEST_CASE("what a job read or ran tells no secret in its log, steps and errors", "[agent][mask]")
{
    CHECK(masked(EventKind::log, Json::object({{"level", "info"}, {"text", "pass: correct horse battery!"}})).body["text"].as_string() == "pass: ***!");
    const Json step = masked(EventKind::step, Json::object({{"task", "/do/0/x"}, {"detail", Json::object({{"output", Json::array({"correct%20horse%20battery", 7})}})}})).body;
    CHECK(step["task"].as_string() == "/do/0/x");
    CHECK(dump_json(step["detail"]["output"]) == R"(["***",7])");
    const Json end = masked(EventKind::state, Json::object({{"state", "faulted"}, {"error", Json::object({{"detail", "said: correct horse battery"}})}, {"output", "correct horse battery"}})).body;
    CHECK(end["error"]["detail"].as_string() == "said: ***");
    CHECK(end["output"].as_string() == "correct horse battery");  // data, which others go on with
}

TEST_CASE("a password that is a word of the contract breaks no event", "[agent][mask]")
{
    const Json step = Json::object({{"task", "/do/0/completed"}, {"name", "completed"}, {"type", "set"}, {"state", "completed"}, {"startedAt", "2026-01-01T00:00:00Z"}});
    CHECK(masked(EventKind::step, step, "completed").body == step);
    const Json end = masked(EventKind::state, Json::object({{"state", "failed"}, {"reason", "error"}, {"error", Json::object({{"detail", "login failed"}})}}), "failed").body;
    CHECK(end["state"].as_string() == "failed");
    CHECK(end["error"]["detail"].as_string() == "login ***");
}

TEST_CASE("a secret that was cut at the bound of a text does not show its first half", "[agent][mask]")
{
    const auto text = [](std::string given) { return masked(EventKind::log, Json::object({{"text", std::move(given)}})).body["text"].as_string(); };
    CHECK(text("starts /bin/x correct hor [cut: 25 of 40 bytes]") == "starts /bin/x *** [cut: 25 of 40 bytes]");
    CHECK(text("starts /bin/x correct%20ho [cut]") == "starts /bin/x *** [cut]");
    CHECK(text("corrected [cut]") == "corrected [cut]");
    CHECK(text("correct hor") == "correct hor");  // whole: no secret
}
