#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "platform/base/fields.h"

namespace mill::factory::handler {
namespace {

void set_paused(Service& service, const CallPtr& call, bool paused)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    Fields fields(*json, paused ? "pause" : "resume");
    const std::string why = fields.text("why", "");
    if (why.size() > 500) fields.mistake("why", "is longer than 500 bytes");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    auto trigger = service.core.reader()->document("Trigger", (*call)["name"]);
    if (!passed(*call, trigger)) return;
    Json spec = trigger->spec;
    spec.set("paused", Json(paused));
    spec.erase("pausedWhy");
    if (paused) spec.set("pausedWhy", Json(why.empty() ? fmt::format("by {}", call->who().name) : fmt::format("{} (by {})", why, call->who().name)));
    service.core.put_document("Trigger", trigger->name, std::move(spec), trigger->generation, call->who(), [call](const Result<Document>& stored) {
        if (passed(*call, stored)) reply(*call, 200, resource_json(*stored));
    });
}

}  // namespace

void pause_trigger(Service& service, const CallPtr& call) { set_paused(service, call, true); }
void resume_trigger(Service& service, const CallPtr& call) { set_paused(service, call, false); }

void trigger_calls(Service& service, const CallPtr& call)
{
    auto trigger = service.core.reader()->document("Trigger", (*call)["name"]);
    if (!passed(*call, trigger)) return;
    const std::string base = service.base_url(call->http);
    const std::string v1 = fmt::format("{}/v1/triggers/{}/runs", base, trigger->name);
    const std::string runtime = fmt::format("{}/runtime/v1/apiTriggers/{}/runs", base, trigger->uid);
    const std::string apitrigger = fmt::format("{}/apitrigger/v1/triggers/{}/run", base, trigger->uid);
    // Runnable as they stand once the variable is set: nothing in them is a placeholder that could be sent by mistake.
    const std::string body = R"('{"invocationContext":{"conversationId":"example-1"},"input":{}}')";
    Json examples = Json::array();
    examples.push(Json(fmt::format("curl -sS -X POST {} -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -d {}", v1, body)));
    examples.push(Json(fmt::format("curl -sS -X POST {} -H \"irpa-trigger-token: $TOKEN\" -H 'Content-Type: application/json' -d {}", apitrigger, body)));
    examples.push(Json(fmt::format("curl -sS -X POST {} -H \"irpa-api-key: $KEY\" -H 'Content-Type: application/json' -d {}", runtime, body)));
    Json out = Json::object({{"name", Json(trigger->name)}, {"uid", Json(trigger->uid)},
                             {"urls", Json::object({{"v1", Json(v1)}, {"runtime", Json(runtime)}, {"apitrigger", Json(apitrigger)}})}, {"examples", std::move(examples)}});
    service.core.why_trigger(trigger->name, [call, out](const Result<Why>& why) {
        Json whole = out;
        if (why) whole.set("ready", why_json(*why));
        reply(*call, 200, whole);
    });
}

}  // namespace mill::factory::handler
