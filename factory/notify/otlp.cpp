#include "factory/notify/otlp.h"

#include <thread>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/log.h"

namespace mill::factory {
namespace {

constexpr std::size_t kMinutesRead = 100'000;

std::string nanoseconds(WallTime time) { return fmt::format("{}000", time.microseconds); }   // 64-bit numbers are texts in JSON of protocol buffers

Json attributes_of(const Json& values)
{
    Json out = Json::array();
    for (const auto& [key, value] : values.as_object()) out.push(Json::object({{"key", key}, {"value", Json::object({{"stringValue", value.as_string()}})}}));
    return out;
}

Json metric(std::string_view name, std::string_view unit, std::string_view text, std::string_view kind, Json data)
{
    return Json::object({{"name", name}, {"unit", unit}, {"description", text}, {std::string(kind), std::move(data)}});
}

Json sum_of(Json points) { return Json::object({{"dataPoints", std::move(points)}, {"aggregationTemporality", 2}, {"isMonotonic", true}}); }
Json gauge_of(Json points) { return Json::object({{"dataPoints", std::move(points)}}); }

void add(MetricSpan& to, const MetricSpan& more, bool first)
{
    to.sum += more.sum;
    to.min = first ? more.min : std::min(to.min, more.min);
    to.max = first ? more.max : std::max(to.max, more.max);
}

class Push final : public OtlpPush {
public:
    Push(OtlpOptions options, Core& core, Egress& egress, CredentialSource credentials, const Clock& clock)
        : options_(std::move(options)), core_(core), egress_(egress), credentials_(std::move(credentials)), clock_(clock), figures_(options_.instance, clock.now()),
          thread_([this](std::stop_token stop) { run(stop); })
    {
    }

private:
    void run(const std::stop_token& stop)
    {
        while (clock_.sleep(options_.every, stop)) {
            std::string problem = push(stop).problem;
            if (stop.stop_requested()) return;
            // Said once for as long as it is the same.
            if (!problem.empty() && problem != problem_) log::warning("otlp", "{}: {}", options_.url, problem);
            if (problem.empty() && !problem_.empty()) log::info("otlp", "{} takes figures again", options_.url);
            problem_ = std::move(problem);
        }
    }

    OtlpAnswer push(const std::stop_token& stop)
    {
        const auto figures = figures_.take(core_, clock_.now());
        if (!figures) return {figures.error().what, true};
        platform::HttpRequest request;
        request.method = "POST";
        request.uri = options_.url;
        request.headers = {{"Content-Type", "application/json"}, {"User-Agent", "millwright-factory"}};
        request.body = dump_json(*figures);
        request.max_response = 1024 * 1024;
        if (auto ok = authenticate(request); !ok) return {ok.error().what, true};
        return read_otlp_answer(egress_.send(request, stop));
    }

    Status authenticate(platform::HttpRequest& request)
    {
        if (options_.credential.empty()) return {};
        const auto uri = platform::parse_uri(options_.url);
        if (!uri) return fail(uri.error());
        const auto credential = credentials_(options_.credential);
        if (!credential) return fail(credential.error());
        if (auto ok = may_go_to(*credential, *uri, {}); !ok) return ok;
        const auto value = [&](const char* member) -> const std::string& { return credential->values[member].as_string(); };
        if (credential->kind == "bearer") request.headers.emplace_back("Authorization", "Bearer " + value("token"));
        else if (credential->kind == "header") request.headers.emplace_back(value("name"), value("value"));
        else if (credential->kind == "basic") request.headers.emplace_back("Authorization", "Basic " + to_base64(value("username") + ":" + value("password")));
        else return fail(Errc::invalid, fmt::format("credential '{}' is of kind {}: bearer, header or basic is needed", credential->name, credential->kind));
        return {};
    }

    OtlpOptions options_;
    Core& core_;
    Egress& egress_;
    CredentialSource credentials_;
    const Clock& clock_;
    OtlpFigures figures_;
    std::string problem_;
    std::jthread thread_;   // last: ended first
};

}  // namespace

Result<Json> OtlpFigures::take(Core& core, WallTime now)
{
    const auto reader = core.reader();
    const WallTime until{now.microseconds / kMinute * kMinute};   // a minute that goes on would be counted again
    if (until > place_) {
        const auto jobs = reader->job_minutes(place_, until, kMinutesRead);
        if (!jobs) return fail(jobs.error());
        const auto deliveries = reader->delivery_minutes(place_, until, kMinutesRead);
        if (!deliveries) return fail(deliveries.error());
        for (const JobMinute& m : *jobs) {
            Total& total = jobs_[dump_json(Json::object({{"state", m.state}, {"reason", m.reason}, {"trigger", m.trigger}, {"deployment", m.deployment}, {"environment", m.environment},
                                                         {"package", m.package}, {"version", m.version}}))];
            total.jobs += m.jobs;
            if (m.started == 0) continue;
            add(total.delay, m.delay, total.started == 0);
            add(total.run, m.run, total.started == 0);
            total.started += m.started;
        }
        for (const DeliveryMinute& m : *deliveries) deliveries_[dump_json(Json::object({{"notifier", m.notifier}, {"outcome", m.outcome}}))] += m.deliveries;
        place_ = until;
    }
    const auto totals = reader->totals();
    if (!totals) return fail(totals.error());
    const auto published = reader->published("");
    if (!published) return fail(published.error());

    const Json at = nanoseconds(until), begun = nanoseconds(began_);
    const auto point = [&](const std::string& attributes) {
        return Json::object({{"attributes", attributes_of(parse_json(attributes).value_or(Json::object()))}, {"startTimeUnixNano", begun}, {"timeUnixNano", at}});
    };
    const auto histogram = [&](MetricSpan Total::*which) {
        Json points = Json::array();
        for (const auto& [attributes, total] : jobs_)
            if (const MetricSpan& span = total.*which; total.started > 0)
                points.push(point(attributes).set("count", std::to_string(total.started)).set("sum", span.sum).set("min", span.min).set("max", span.max)
                                .set("bucketCounts", Json::array()).set("explicitBounds", Json::array()));
        return Json::object({{"dataPoints", std::move(points)}, {"aggregationTemporality", 2}});
    };
    Json ended = Json::array(), told = Json::array(), open = Json::array(), metrics = Json::array();
    for (const auto& [attributes, total] : jobs_) ended.push(point(attributes).set("asInt", std::to_string(total.jobs)));
    for (const auto& [attributes, count] : deliveries_) told.push(point(attributes).set("asInt", std::to_string(count)));
    const std::pair<const char*, std::uint64_t> states[] = {{"ready", totals->ready}, {"assigned", totals->assigned}, {"running", totals->running}, {"waiting", totals->waiting}};
    for (const auto& [state, count] : states)
        open.push(Json::object({{"attributes", attributes_of(Json::object({{"state", state}}))}, {"timeUnixNano", nanoseconds(now)}, {"asInt", std::to_string(count)}}));
    if (!jobs_.empty()) {
        metrics.push(metric("millwright.jobs.ended", "{job}", "Jobs that ended", "sum", sum_of(std::move(ended))));
        for (const auto& [name, text, which] : {std::tuple{"millwright.jobs.start_delay", "From accepted to assigned to an agent", &Total::delay},
                                                std::tuple{"millwright.jobs.run_time", "From started to ended", &Total::run}})
            if (Json data = histogram(which); !data["dataPoints"].as_array().empty()) metrics.push(metric(name, "s", text, "histogram", std::move(data)));
    }
    if (!deliveries_.empty()) metrics.push(metric("millwright.deliveries", "{delivery}", "Notifications: delivered, dead, and attempts that failed", "sum", sum_of(std::move(told))));
    metrics.push(metric("millwright.jobs.open", "{job}", "Jobs that have not ended", "gauge", gauge_of(std::move(open))));
    for (std::size_t i = 0; i < published->size();) {
        const PublishedSeries& first = (*published)[i];
        Json points = Json::array();
        for (; i < published->size() && (*published)[i].name == first.name; ++i)
            points.push(Json::object({{"attributes", attributes_of((*published)[i].dimensions)}, {"timeUnixNano", nanoseconds((*published)[i].last)}, {"asDouble", (*published)[i].value}}));
        metrics.push(metric(first.name, first.unit, "Published by others", "gauge", gauge_of(std::move(points))));
    }
    const Json resource = Json::object({{"attributes", attributes_of(Json::object({{"service.name", "millwright-factory"}, {"service.version", MILL_VERSION}, {"service.instance.id", instance_}}))}});
    const Json scope = Json::object({{"scope", Json::object({{"name", "millwright"}, {"version", MILL_VERSION}})}, {"metrics", std::move(metrics)}});
    return Json::object({{"resourceMetrics", Json::array({Json::object({{"resource", resource}, {"scopeMetrics", Json::array({scope})}})})}});
}

OtlpAnswer read_otlp_answer(const Result<platform::HttpResponse>& response)
{
    if (!response) return {response.error().what, true};
    const int status = response->status;
    const auto body = parse_json(response->body, {.bytes = 1024 * 1024, .depth = 32});
    if (status == 200) {
        if (!body) return {};
        const Json& partial = (*body)["partialSuccess"];
        const Json& rejected = partial["rejectedDataPoints"];
        const std::string count = rejected.is_string() ? rejected.as_string() : rejected.is_number() ? dump_json(rejected) : "0";
        const std::string& words = partial["errorMessage"].as_string();
        if (count == "0") return {words.empty() ? std::string() : "it warns: " + words.substr(0, 300), false};
        return {fmt::format("it refused {} values: {}", count, words.substr(0, 300)), false};
    }
    std::string text = fmt::format("it answered {}", status);
    if (body && (*body)["message"].is_string()) text += ": " + (*body)["message"].as_string().substr(0, 300);
    return {std::move(text), status == 429 || status == 502 || status == 503 || status == 504};
}

std::unique_ptr<OtlpPush> start_otlp_push(OtlpOptions options, Core& core, Egress& egress, CredentialSource credentials, const Clock& clock)
{
    return std::make_unique<Push>(std::move(options), core, egress, std::move(credentials), clock);
}

}  // namespace mill::factory
