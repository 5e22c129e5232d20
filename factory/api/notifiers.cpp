// Notifiers: how it goes with their receivers, and a real try-out.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "factory/resources/named_credentials.h"
#include "factory/resources/notifier_parts.h"
#include "platform/base/fields.h"
#include "platform/base/ids.h"

namespace mill::factory::handler {
namespace {

std::string hold_text(const NotifierState& state)
{
    return fmt::format("held since {}, because {} attempts in a row failed, the last: {}; next probe {}", format_time(*state.held_since), state.failures, state.why,
                       state.next_probe ? format_time(*state.next_probe) : std::string("now"));
}

/// What a notifier of each source hears, made up.
Json sample_document(const Document& notifier, const std::string& event, const Json& context, const Json& output, const std::string& now)
{
    const std::string source = notifier_source(notifier.spec);
    Json sample = Json::object({{"event", Json(event)}, {"time", Json(now)}});
    if (source == "agents")
        return sample.set("agent", Json::object({{"name", "test"}, {"environment", "test"}, {"mode", "unattended"}, {"labels", Json::object()}, {"online", Json(event == "online")}, {"paused", false},
                                                 {"frozen", Json(event == "frozen")}, {"offlineSince", Json(now)}, {"offlineFor", "5m"}, {"jobs", Json::array()}}));
    if (source == "deliveries" && event == "held") return sample.set("notifier", Json::object({{"name", "test"}, {"why", "a test of the notifier"}, {"heldSince", Json(now)}}));
    if (source == "deliveries")
        return sample.set("delivery", Json::object({{"id", Json(new_uid())}, {"notifier", "test"}, {"event", "success"}, {"error", "a test of the notifier"}, {"tries", 1}, {"createdAt", Json(now)}}));
    if (source == "credentials")
        return sample.set("credential", Json::object({{"name", "test"}, {"kind", "bearer"}, {"environment", ""}, {"expires", Json(now)}, {"left", "14d"}}));
    const bool ready = event == "waiting", ended = event != "start" && !ready, failed = event == "failure" || event == "expired";
    const std::string_view state = ready ? "ready" : event == "start" ? "running" : event == "success" ? "successful" : event == "cancel" ? "cancelled" : event == "failure" ? "failed" : "expired";
    const Json trigger = source == "trigger" ? notifier.spec["trigger"] : Json("test");
    Json timings = Json::object({{"created", Json(now)}});
    if (!ready) timings.set("started", Json(now));
    if (ended) timings.set("ended", Json(now));
    sample.set("job", Json::object({{"uid", Json(new_uid())}, {"state", Json(state)}, {"trigger", trigger}, {"deployment", source == "deployment" ? notifier.spec["deployment"] : Json("test")},
                                    {"environment", source == "environment" ? notifier.spec["environment"] : Json("test")}, {"workflow", "main"}, {"attempt", 1}, {"priority", 50}, {"test", true}}))
        .set("trigger", Json::object({{"name", trigger}}))
        .set("invocationContext", context)
        .set("input", Json::object())
        .set("output", output)
        .set("timings", std::move(timings));
    if (ready) sample.set("why", Json::object({{"text", "a test of the notifier"}, {"summary", "a test of the notifier"}, {"reasons", Json::array({Json("a test of the notifier")})}, {"since", Json(now)}, {"waited", "5m"}}));
    if (failed) sample.set("error", Json::object({{"type", "about:blank"}, {"title", "Test"}, {"status", 500}, {"detail", "a test of the notifier"}, {"details", "a test of the notifier"}}));
    return sample;
}

}  // namespace

void test_notifier(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    auto notifier = service.core.reader()->document("Notifier", (*call)["name"]);
    if (!passed(*call, notifier)) return;
    Fields fields(*json, "test");
    const Json context = fields.object("invocationContext", Json::object({{"conversationId", "millwright-test"}}));
    const Json output = fields.any("output", Json::object({{"reply", "A test of the notifier"}}));
    const auto known = notifier_events(notifier_source(notifier->spec));
    // What it listens to, before what it would never send.
    const Json& on = notifier->spec["on"];
    std::string usual = "success";
    if (!on.empty()) usual = on.as_array().front().is_object() ? on.as_array().front().as_object().begin()->first : on.as_array().front().as_string();
    for (const Json& each : on.as_array())
        if (each.as_string() == "success") usual = "success";
    const std::string event = fields.text("on", usual);
    if (std::find(known.begin(), known.end(), event) == known.end()) fields.mistake("on", fmt::format("must be one of {}", fmt::join(known, ", ")));
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    if (!service.options.test_notifier) return reply_problem(*call, 501, "this factory cannot try notifiers out");
    const Json sample = sample_document(*notifier, event, context, output, format_time(service.clock.now()));
    const bool posted = service.worker.post([&service, call, document = std::move(*notifier), sample] {
        auto outcome = service.options.test_notifier(document, sample);
        if (passed(*call, outcome)) reply(*call, 200, *outcome);
    });
    if (!posted) reply_problem(*call, 503, "too much waits already: try again", {}, {}, {{"Retry-After", "2"}});
}

void why_notifier(Service& service, const CallPtr& call)
{
    const auto reader = service.core.reader();
    auto notifier = reader->document("Notifier", (*call)["name"]);
    if (!notifier && notifier.error().code == Errc::not_found) return reply_problem(*call, 404, fmt::format("Notifier '{}' is not there; GET /v1/notifiers lists those there are", (*call)["name"]));
    auto state = reader->notifier_state((*call)["name"]);
    if (!passed(*call, notifier) || !passed(*call, state)) return;
    const std::string& name = notifier->name;
    Json reasons = Json::array();
    const auto add = [&](std::string_view code, std::string text, std::string hint) {
        reasons.push(Json::object({{"code", Json(code)}, {"subject", Json(name)}, {"text", Json(std::move(text))}, {"hint", Json(std::move(hint))}}));
    };
    if (state->held_since) add("held", fmt::format("{} (`millwright notifiers resume {}` sends them now)", hold_text(*state), name), fmt::format("millwright notifiers resume {}", name));
    else if (state->failures > 0) add("failing", fmt::format("its last {} attempts failed, the last: {}", state->failures, state->why), fmt::format("millwright deliveries --notifier {}", name));
    for (const auto& [place, credential] : credentials_named_in(notifier->spec)) {
        const auto stored = reader->credential(credential);
        if (!stored) {
            add("credential_missing", fmt::format("credential '{}' is not there", credential), fmt::format("millwright credentials set {}", credential));
        } else if (const auto end = parse_time(stored->about["expires"].as_string()); end && *end <= service.clock.now()) {
            add("credential_expired", fmt::format("credential '{}' has expired on {}", credential, stored->about["expires"].as_string()), fmt::format("millwright credentials set {}", credential));
        }
    }
    if (state->pending > 0) add("pending", fmt::format("{} of its deliveries are on their way", state->pending), fmt::format("millwright deliveries --notifier {} --state pending", name));
    if (state->dead > 0) add("dead", fmt::format("{} of its deliveries are dead", state->dead), fmt::format("millwright deliveries resend --notifier {} --state dead", name));
    std::string text = reasons.empty() ? "it has nothing to deliver, and its last delivery arrived" : reasons.as_array().front()["text"].as_string();
    reply(*call, 200, Json::object({{"notifier", Json(name)}, {"text", Json(std::move(text))}, {"reasons", std::move(reasons)}}));
}

void resume_notifier(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    Fields fields(*json, "resume");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    service.core.resume_notifier((*call)["name"], call->who(), [call](const Result<NotifierState>& state) {
        if (passed(*call, state)) reply(*call, 200, notifier_state_json(*state));
    });
}

}  // namespace mill::factory::handler
