// Figures for others: published ones and those that the factory makes of its jobs; and what retention does.
#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/api/attempt_side.h"
#include "factory/api/render.h"
#include "platform/base/fields.h"
#include "protocol/permissions.h"

namespace mill::factory::handler {
namespace {

constexpr std::size_t kPointsOfCall = 1'000, kPointsOfAnswer = 10'000, kRowsRead = 500'000, kDimensions = 16;

/// What the factory counts itself. `by`: what its series are told apart by when nobody says.
struct OwnMetric {
    std::string_view name, unit, text, aggregation, by;
    enum class From { jobs, delay, run, deliveries } from;
};
constexpr OwnMetric kOwn[] = {
    {"millwright.jobs.ended", "{job}", "Jobs that ended", "sum", "state", OwnMetric::From::jobs},
    {"millwright.jobs.start_delay", "s", "From accepted to assigned to an agent, of jobs that ended", "avg", "", OwnMetric::From::delay},
    {"millwright.jobs.run_time", "s", "From started to ended, of jobs that ended", "avg", "", OwnMetric::From::run},
    {"millwright.deliveries", "{delivery}", "Notifications: delivered, dead, and attempts that failed", "sum", "outcome", OwnMetric::From::deliveries},
};
const std::vector<std::string_view> kOfJobs = {"state", "reason", "trigger", "deployment", "environment", "package", "version"}, kOfDeliveries = {"notifier", "outcome"};

const OwnMetric* own(std::string_view name)
{
    for (const OwnMetric& one : kOwn)
        if (one.name == name) return &one;
    return nullptr;
}

const std::vector<std::string_view>& dimensions_of(const OwnMetric& metric) { return metric.from == OwnMetric::From::deliveries ? kOfDeliveries : kOfJobs; }

// --- reading ----------------------------------------------------------------------------------------------------------

/// What falls into one step of one series.
struct Cell {
    double sum = 0, min = 0, max = 0, last = 0;
    std::uint64_t count = 0;
    void add(double total, double least, double most, std::uint64_t values)
    {
        if (values == 0) return;
        min = count == 0 ? least : std::min(min, least);
        max = count == 0 ? most : std::max(max, most);
        sum += total;
        count += values;
        last = total / static_cast<double>(values);
    }
    double value(std::string_view aggregation) const
    {
        if (aggregation == "sum") return sum;
        if (aggregation == "count") return static_cast<double>(count);
        if (aggregation == "min") return min;
        if (aggregation == "max") return max;
        if (aggregation == "last") return last;
        return sum / static_cast<double>(count);
    }
};

struct Question {
    std::string name, aggregation;
    WallTime since, until;
    std::int64_t step = 60'000'000;               // microseconds
    std::vector<std::string> by;
    bool whole = false;                           // published: every series for itself
    std::map<std::string, std::map<std::int64_t, Cell>> series;   // by dimensions as text, then time
    std::size_t cells = 0;

    Cell& cell(const Json& dimensions, WallTime time)
    {
        Json told = Json::object();
        if (whole) told = dimensions;
        else
            for (const std::string& one : by) told.set(one, dimensions[one]);
        auto& line = series[dump_json(told)];
        const std::int64_t from = time.microseconds / step * step;
        const auto [at, fresh] = line.try_emplace(from);
        cells += fresh ? 1 : 0;
        return at->second;
    }
    bool too_many() const { return cells > kPointsOfAnswer; }
};

/// `environment`: of those in it alone; empty: of all.
Status gather_jobs(Reader& reader, OwnMetric::From from, const std::string& environment, Question& question)
{
    const auto minutes = reader.job_minutes(question.since, question.until, kRowsRead);
    if (!minutes) return fail(minutes.error());
    if (minutes->size() == kRowsRead) return fail(Errc::too_large, "that are too many minutes to read at once: ask for a shorter time");
    for (const JobMinute& m : *minutes) {
        if (!environment.empty() && m.environment != environment) continue;
        const Json dimensions = Json::object({{"state", m.state}, {"reason", m.reason}, {"trigger", m.trigger}, {"deployment", m.deployment}, {"environment", m.environment},
                                              {"package", m.package}, {"version", m.version}});
        if (from == OwnMetric::From::jobs) {
            const auto jobs = static_cast<double>(m.jobs);
            question.cell(dimensions, m.time).add(jobs, jobs, jobs, 1);
        } else if (m.started > 0) {
            const MetricSpan& span = from == OwnMetric::From::delay ? m.delay : m.run;
            question.cell(dimensions, m.time).add(span.sum, span.min, span.max, m.started);
        }
        if (question.too_many()) break;
    }
    return {};
}

Status gather_deliveries(Reader& reader, Question& question)
{
    const auto minutes = reader.delivery_minutes(question.since, question.until, kRowsRead);
    if (!minutes) return fail(minutes.error());
    for (const DeliveryMinute& m : *minutes) {
        const auto count = static_cast<double>(m.deliveries);
        question.cell(Json::object({{"notifier", m.notifier}, {"outcome", m.outcome}}), m.time).add(count, count, count, 1);
        if (question.too_many()) break;
    }
    return {};
}

Status gather_published(Reader& reader, const std::vector<PublishedSeries>& all, Question& question)
{
    for (const PublishedSeries& one : all) {
        const auto points = reader.points(one.id, question.since, question.until, kRowsRead);
        if (!points) return fail(points.error());
        for (const PublishedPoint& point : *points) {
            question.cell(one.dimensions, point.time).add(point.value, point.value, point.value, 1);
            if (question.too_many()) return {};
        }
    }
    return {};
}

/// "1h" ago or a time; empty: `fallback`.
Result<WallTime> time_of(std::string_view key, const std::string& text, WallTime now, WallTime fallback)
{
    if (text.empty()) return fallback;
    if (const auto ago = parse_duration(text)) return now - *ago;
    const auto time = parse_time(text);
    if (!time) return fail(Errc::invalid, fmt::format("{}: '{}' is neither a time such as 2026-11-27T10:00:00Z nor a span such as 24h", key, text.substr(0, 60)));
    return *time;
}

/// What is asked for, as texts; empty: not said.
struct Asked {
    std::string name, since, until, step, aggregation;
    std::optional<std::vector<std::string>> by;
};

Asked asked_by_query(const Call& call)
{
    Asked out{std::string(call["name"]), {}, {}, {}, {}, {}};
    out.since = call.http.query_value("since");
    out.until = call.http.query_value("until");
    out.step = call.http.query_value("step");
    out.aggregation = call.http.query_value("aggregation");
    const std::string by(call.http.query_value("by"));
    if (by.empty()) return out;
    out.by.emplace();
    for (std::size_t at = 0; by != "none" && at < by.size();) {
        const std::size_t comma = std::min(by.find(',', at), by.size());
        out.by->push_back(by.substr(at, comma - at));
        at = comma + 1;
    }
    return out;
}

Result<Question> read_question(const Asked& asked, WallTime now, const OwnMetric* known)
{
    Question out;
    out.name = asked.name;
    const auto until = time_of("until", asked.until, now, now + std::chrono::minutes(1));
    if (!until) return fail(until.error());
    const auto since = time_of("since", asked.since, now, *until - std::chrono::hours(24));
    if (!since) return fail(since.error());
    if (*since >= *until) return fail(Errc::invalid, "since must lie before until");
    out.since = *since;
    out.until = *until;
    const auto span = parse_duration(asked.step.empty() ? "1h" : asked.step);
    if (!span || *span < Milliseconds(1'000)) return fail(Errc::invalid, fmt::format("step: '{}' is no span of at least 1s such as 5m", asked.step.substr(0, 60)));
    out.step = std::max<std::int64_t>(Microseconds(*span).count(), known ? 60'000'000 : 1'000'000);
    out.aggregation = asked.aggregation;
    if (out.aggregation.empty()) out.aggregation = known ? known->aggregation : "avg";
    constexpr std::string_view kAll[] = {"avg", "sum", "count", "min", "max", "last"};
    if (std::find(std::begin(kAll), std::end(kAll), out.aggregation) == std::end(kAll))
        return fail(Errc::invalid, fmt::format("aggregation: '{}' is none of avg, sum, count, min, max, last", out.aggregation.substr(0, 60)));
    out.whole = !asked.by && !known;
    if (asked.by) out.by = *asked.by;
    else if (known && !known->by.empty()) out.by.emplace_back(known->by);
    if (out.by.size() > kDimensions) return fail(Errc::invalid, "by names too many dimensions");
    if (known)
        for (const std::string& one : out.by)
            if (const auto& all = dimensions_of(*known); std::find(all.begin(), all.end(), one) == all.end())
                return fail(Errc::invalid, fmt::format("by: '{}' is no dimension of {}; it has {}", one.substr(0, 60), known->name, fmt::join(all, ", ")));
    return out;
}

/// `environment`: a job's, which sees the jobs of that one alone, and nothing yet as an empty answer; empty: whoever may read all.
void answer_metric(Service& service, const Call& call, const Asked& asked, const std::string& environment)
{
    const OwnMetric* known = own(asked.name);
    auto question = read_question(asked, service.clock.now(), known);
    if (!passed(call, question)) return;
    const auto reader = service.core.reader();
    std::string unit;
    Status gathered;
    if (known) {
        unit = known->unit;
        gathered = known->from == OwnMetric::From::deliveries ? gather_deliveries(*reader, *question) : gather_jobs(*reader, known->from, environment, *question);
    } else {
        const auto all = reader->published(question->name);
        if (!passed(call, all)) return;
        if (all->empty() && environment.empty())
            return reply_problem(call, 404, fmt::format("there is no metric '{}': `millwright metrics` lists them", question->name.substr(0, 80)), "unknown_metric");
        if (!all->empty()) unit = all->front().unit;
        gathered = gather_published(*reader, *all, *question);
    }
    if (!gathered) return reply_error(call, gathered.error());
    if (question->too_many())
        return reply_problem(call, 400, fmt::format("the answer would have more than {} points: ask for a longer step, a shorter time or fewer dimensions (by)", kPointsOfAnswer));
    Json series = Json::array();
    for (const auto& [dimensions, cells] : question->series) {
        Json points = Json::array();
        for (const auto& [time, cell] : cells) points.push(Json::object({{"time", format_time({time})}, {"value", cell.value(question->aggregation)}, {"count", cell.count}}));
        series.push(Json::object({{"dimensions", parse_json(dimensions).value_or(Json::object())}, {"points", std::move(points)}}));
    }
    reply(call, 200, Json::object({{"name", question->name}, {"unit", unit}, {"aggregation", question->aggregation}, {"step", format_duration(Milliseconds(question->step / 1000))},
                                   {"since", format_time(question->since)}, {"until", format_time(question->until)}, {"series", std::move(series)}}));
}

}  // namespace

void publish_metrics(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "metrics");
    const Json list = fields.array("metrics");
    std::vector<std::string> mistakes;
    std::vector<MetricPoint> points;
    if (list.as_array().empty() || list.as_array().size() > kPointsOfCall) fields.mistake("metrics", fmt::format("must be a list of 1 to {} values", kPointsOfCall));
    else
        for (const Json& one : list.as_array()) {
            auto point = protocol::parse_metric(one, fmt::format("metrics[{}]", points.size()), service.clock.now());
            if (!point) mistakes.push_back(point.error().what);
            points.push_back(std::move(point).value_or(MetricPoint{}));
        }
    if (auto done = fields.done(); !done) mistakes.push_back(done.error().what);
    if (!mistakes.empty()) return reply_problem(*call, 400, fmt::format("{}", fmt::join(mistakes.begin(), mistakes.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(20, mistakes.size())), "; ")));
    service.core.publish(std::move(points), [call, count = list.as_array().size()](const Result<Nothing>& done) {
        if (!done && done.error().code == Errc::too_large) return reply_problem(*call, 409, done.error().what, "too_many_series");
        if (passed(*call, done)) reply(*call, 200, Json::object({{"accepted", count}}));
    });
}

void list_metrics(Service& service, const CallPtr& call)
{
    const auto all = service.core.reader()->published("");
    if (!passed(*call, all)) return;
    Json items = Json::array();
    for (const OwnMetric& one : kOwn) {
        Json dimensions = Json::array();
        for (const std::string_view each : dimensions_of(one)) dimensions.push(each);
        items.push(Json::object({{"name", one.name}, {"unit", one.unit}, {"source", "factory"}, {"text", one.text}, {"aggregation", one.aggregation}, {"dimensions", std::move(dimensions)}}));
    }
    for (std::size_t i = 0; i < all->size();) {
        const std::string& name = (*all)[i].name;
        std::map<std::string, bool> keys;
        WallTime last;
        std::size_t series = 0;
        double value = 0;
        for (; i < all->size() && (*all)[i].name == name; ++i, ++series) {
            for (const auto& [key, text] : (*all)[i].dimensions.as_object()) keys[key] = true;
            if ((*all)[i].last >= last) {
                last = (*all)[i].last;
                value = (*all)[i].value;
            }
        }
        Json dimensions = Json::array();
        for (const auto& [key, is] : keys) dimensions.push(key);
        items.push(Json::object({{"name", name}, {"unit", (*all)[i - 1].unit}, {"source", "published"}, {"dimensions", std::move(dimensions)}, {"series", series},
                                 {"lastAt", format_time(last)}, {"last", value}}));
    }
    reply(*call, 200, Json::object({{"items", std::move(items)}}));
}

void get_metric(Service& service, const CallPtr& call) { answer_metric(service, *call, asked_by_query(*call), {}); }

/// For a workflow (`metric.read`): what its deployment may read, of the jobs of its environment.
void agent_read_metric(Service& service, const CallPtr& call)
{
    const auto access = attempt_of(service, *call);
    if (!access) return;
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "metric.read");
    Asked asked{fields.text("name"), fields.text("since", ""), fields.text("until", ""), fields.text("step", ""), fields.text("aggregation", ""), {}};
    if (fields.has("by")) asked.by = fields.texts("by");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    const auto granted = protocol::parse_permissions(access->permissions, "permissions");
    if (!granted || !protocol::admits_metric(granted->read_metrics, asked.name))
        return reply_problem(*call, 403, fmt::format("deployment '{}' grants no reading of metric '{}'", access->deployment, asked.name.substr(0, 130)), "forbidden");
    if (const OwnMetric* known = own(asked.name); known != nullptr && known->from == OwnMetric::From::deliveries)
        return reply_problem(*call, 403, fmt::format("{} is of the whole factory: a workflow reads what is of its environment, '{}'", asked.name, access->environment), "forbidden");
    answer_metric(service, *call, asked, access->environment);
}

void retention(Service& service, const CallPtr& call)
{
    service.core.retention([call](const Result<RetentionState>& state) {
        if (!passed(*call, state)) return;
        const auto rule = [](const std::optional<Milliseconds>& age) { return Json::object({{"age", age ? Json(format_duration(*age)) : Json("never")}}); };
        const RetentionRules& rules = state->rules;
        Json removed = Json::object();
        for (const RemovedCount& one : state->removed) removed.set(one.kind, one.ever);
        reply(*call, 200,
              Json::object({{"rules", Json::object({{"jobs", rule(rules.jobs).set("count", rules.jobs_most)}, {"logs", rule(rules.logs)}, {"deliveries", rule(rules.deliveries)},
                                                    {"audit", rule(rules.audit)}, {"events", rule(rules.events)}, {"metrics", rule(rules.metrics)},
                                                    {"every", format_duration(rules.every)}})},
                            {"running", state->running}, {"last", state->last}, {"removed", std::move(removed)},
                            {"due", Json::object({{"jobs", state->due.jobs}, {"deliveries", state->due.deliveries}, {"audit", state->due.audit}})}, {"dueCountedUpTo", kDueCounted}}));
    });
}

}  // namespace mill::factory::handler
