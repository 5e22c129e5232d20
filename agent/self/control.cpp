#include "agent/self/control.h"

#include <fmt/format.h>

#include "agent/self/status.h"
#include "platform/base/fields.h"
#include "platform/base/log.h"

namespace mill::agent {
namespace {

using platform::LocalRequest;
using platform::LocalResponse;

constexpr std::size_t kMostWhy = 500;

LocalResponse say_no(int status, const std::string& detail) { return {status, dump_json(Json::object({{"detail", detail}})) + "\n"}; }
LocalResponse say(const Json& value) { return {200, dump_json(value) + "\n"}; }

LocalResponse health(const Json& status)
{
    const bool well = status["problems"].empty();
    return {well ? 200 : 503, dump_json(Json::object({{"status", well ? "ok" : "problems"}, {"problems", status["problems"]}})) + "\n"};
}

LocalResponse metrics(const Json& status) { return {200, metrics_of(status), "text/plain; version=0.0.4"}; }

Result<Json> body_of(const LocalRequest& request)
{
    if (request.body.empty()) return Json::object({});
    auto json = parse_json(request.body);
    if (!json) return fail(Errc::invalid, "the body is no JSON: " + json.error().what);
    return json;
}

LocalResponse on_reload(const ControlPorts& ports, const LocalRequest& request)
{
    if (auto ok = ports.check_settings(); !ok) {
        log::warning("control", "not reloaded, the settings of before stay: {}", ok.error().what);
        return say_no(409, "not reloaded, the settings of before stay: " + ok.error().what);
    }
    log::info("control", "reload, asked for by {}", request.user);
    ports.leave({.again = true, .why = "reload"});
    return say(Json::object({{"reloading", true}}));
}

LocalResponse on_renew(const ControlPorts& ports, const LocalRequest& request)
{
    if (auto ok = ports.check_settings(); !ok) return say_no(409, "not renewed, the settings are wrong: " + ok.error().what);
    if (auto ok = ports.check_programs(); !ok) return say_no(409, "not renewed, the programs of before go on: " + ok.error().what);
    log::info("control", "new programs take over, asked for by {}", request.user);
    ports.renew();
    ports.leave({.again = true, .why = "upgrade"});
    return say(Json::object({{"renewing", true}}));
}

LocalResponse on_pause(const ControlPorts& ports, const LocalRequest& request)
{
    auto json = body_of(request);
    if (!json) return say_no(400, json.error().what);
    Fields fields(*json, "pause");
    Pause pause{request.user, fields.text("why", "").substr(0, kMostWhy), ports.clock->now(), std::nullopt};
    if (fields.has("for") && fields.has("until")) fields.mistake("until", "say either for or until");
    if (fields.has("for")) {
        auto time = parse_duration(fields.text("for"));
        if (time) pause.until = pause.since + *time;
        else fields.mistake("for", time.error().what);
    }
    if (fields.has("until")) {
        auto time = parse_time(fields.text("until"));
        if (!time) fields.mistake("until", time.error().what);
        else if (*time <= pause.since) fields.mistake("until", "is over already");
        else pause.until = *time;
    }
    if (auto ok = fields.done(); !ok) return say_no(400, ok.error().what);
    const Json said = to_json(pause);
    log::info("control", "{}", words_of(pause));
    if (auto ok = ports.pause(std::move(pause)); !ok) return say_no(500, ok.error().what);
    return say(said);
}

LocalResponse on_resume(const ControlPorts& ports, const LocalRequest& request)
{
    log::info("control", "resumed by {}", request.user);
    if (auto ok = ports.pause(std::nullopt); !ok) return say_no(500, ok.error().what);
    return say(Json::object({{"resumed", true}}));
}

LocalResponse on_stop(const ControlPorts& ports, const LocalRequest& request)
{
    auto json = body_of(request);
    if (!json) return say_no(400, json.error().what);
    Fields fields(*json, "stop");
    Leave leave;
    leave.finish_jobs = fields.one_of("after", {"job", "now"}, "now") == "job";
    leave.within = leave.finish_jobs ? std::chrono::hours(24) : std::chrono::seconds(10);
    if (fields.has("within")) {
        auto time = parse_duration(fields.text("within"));
        if (time) leave.within = *time;
        else fields.mistake("within", time.error().what);
    }
    const std::string why = fields.text("why", "").substr(0, kMostWhy);
    leave.why = "stopped by " + request.user + (why.empty() ? "" : ": " + why);
    if (auto ok = fields.done(); !ok) return say_no(400, ok.error().what);
    log::info("control", "{}", leave.why);
    ports.leave(std::move(leave));
    return say(Json::object({{"stopping", true}}));
}

}  // namespace

std::string control_path(const std::string& data_folder) { return data_folder + "/control"; }

platform::LocalHandler control_routes(ControlPorts ports)
{
    return [ports = std::move(ports)](const LocalRequest& request) -> LocalResponse {
        using Action = LocalResponse (*)(const ControlPorts&, const LocalRequest&);
        struct Route {
            std::string_view path;
            Action action;
        };
        constexpr Route kActions[] = {{"/reload", on_reload}, {"/renew", on_renew}, {"/pause", on_pause}, {"/resume", on_resume}, {"/stop", on_stop}};
        if (request.method == "GET" && request.target == "/status") return say(ports.status());
        if (request.method == "GET" && request.target == "/healthz") return health(ports.status());
        if (request.method == "GET" && request.target == "/metrics") return metrics(ports.status());
        for (const Route& route : kActions)
            if (request.target == route.path) return request.method == "POST" ? route.action(ports, request) : say_no(405, request.target + " wants POST");
        return say_no(404, "there are /status, /healthz, /metrics, and by POST /reload, /renew, /pause, /resume, /stop");
    };
}

platform::LocalHandler metrics_routes(std::function<Json()> status)
{
    return [status = std::move(status)](const LocalRequest& request) -> LocalResponse {
        if (request.method != "GET") return say_no(405, "only GET is known here");
        if (request.target == "/metrics") return metrics(status());
        if (request.target == "/healthz") return health(status());
        return say_no(404, "there are /metrics and /healthz");
    };
}

}  // namespace mill::agent
