#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/api/chat_calls.h"
#include "factory/api/checks.h"
#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "factory/api/rights.h"
#include "factory/api/run_call.h"
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
    if (!passed(*call, trigger) || !may_change(service, *call, *service.core.reader(), *trigger, fmt::format("{} trigger '{}'", paused ? "pausing" : "resuming", trigger->name))) return;
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

namespace {

std::string shell_quoted(std::string_view text)
{
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'') out += "'\\''";
        else out += c;
    }
    return out + "'";
}

/// Calls that run as they stand once the variable with the token is set: nothing in them is a placeholder that could be sent by mistake.
void show_calls(Service& service, const CallPtr& call, const Document& trigger, const InputSchemas* schemas)
{
    Json sample = Json::object();
    const auto schema = schemas == nullptr ? InputSchemas::const_iterator() : schemas->find(trigger.spec["workflow"].as_string());
    if (schemas != nullptr && schema != schemas->end())
        if (const Json made = sample_of(schema->second.document); made.is_object())
            for (const auto& [name, value] : made.as_object())
                if (!trigger.spec["input"].contains(name)) sample.set(name, value);   // what the trigger gives need not be sent
    const std::string base = service.base_url(call->http);
    const std::string v1 = fmt::format("{}/v1/triggers/{}/runs", base, trigger.name);
    const std::string runtime = fmt::format("{}/runtime/v1/apiTriggers/{}/runs", base, trigger.uid);
    const std::string apitrigger = fmt::format("{}/apitrigger/v1/triggers/{}/run", base, trigger.uid);
    const Json body = Json::object({{"invocationContext", Json::object({{"conversationId", "example-1"}})}, {"input", sample}});
    const auto curl = [&](const std::string& url, std::string_view header) {
        return Json(fmt::format("curl -sS -X POST {} -H \"{}\" -H 'Content-Type: application/json' -d {}", url, header, shell_quoted(dump_json(body))));
    };
    Json out = Json::object({{"name", Json(trigger.name)}, {"uid", Json(trigger.uid)},
                             {"urls", Json::object({{"v1", Json(v1)}, {"runtime", Json(runtime)}, {"apitrigger", Json(apitrigger)}})}, {"sample", body},
                             {"examples", Json::array({curl(v1, "Authorization: Bearer $TOKEN"), curl(apitrigger, "irpa-trigger-token: $TOKEN"),
                                                       curl(runtime, "irpa-api-key: $KEY")})}});
    if (const Json chat = chat_calls(service, call->http, trigger); !chat.is_null()) out.set("chat", chat);
    if (const Json hook = hook_calls(service, call->http, trigger, shell_quoted(dump_json(sample))); !hook.is_null()) out.set("hook", hook);
    if (const Json& job = trigger.spec["event"]["job"]; job.is_object()) {
        std::vector<std::string> ends;
        for (const Json& one : job["on"].as_array()) ends.push_back(one.as_string());
        const std::string_view source = job["trigger"].is_string() ? "trigger" : "deployment";
        out.set("starts", Json(fmt::format("when a job of {} '{}' ends: {}", source, job[source].as_string(), fmt::join(ends, ", "))));
    }
    const bool files = trigger.spec["event"]["file"].is_object();
    if (files) out.set("watches", Json::object({{"path", trigger.spec["event"]["file"]["path"]}}));
    service.core.why_trigger(trigger.name, [&service, call, out, files, name = trigger.name](const Result<Why>& why) {
        Json whole = out;
        if (why) whole.set("ready", why_json(*why));
        if (!files) return reply(*call, 200, whole);
        service.core.trigger_files(name, [call, whole](const Result<std::vector<FileStanding>>& standing) {
            Json shown = whole;
            if (standing) {
                Json about = whole["watches"];
                shown.set("watches", about.set("agents", files_json(*standing)));
            }
            reply(*call, 200, shown);
        });
    });
}

}  // namespace

void trigger_calls(Service& service, const CallPtr& call)
{
    std::string digest;
    Result<Document> trigger = fail(Errc::internal, "");
    {
        const auto reader = service.core.reader();
        trigger = reader->document("Trigger", (*call)["name"]);
        if (!passed(*call, trigger)) return;
        if (const auto deployment = reader->document("Deployment", trigger->spec["deployment"].as_string())) {
            const std::string& package = deployment->spec["package"].as_string();
            if (const auto record = reader->package(package.substr(0, package.find('@')), package.substr(package.find('@') + 1))) digest = record->digest;
        }
    }
    const bool taken = !digest.empty() && with_input_schemas(service, digest, [&service, call, document = *trigger](const Result<InputSchemaCache::Entry>& schemas) {
        show_calls(service, call, document, schemas ? schemas->get() : nullptr);
    });
    if (!taken) show_calls(service, call, *trigger, nullptr);
}

}  // namespace mill::factory::handler
