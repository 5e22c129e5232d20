#include "agent/runner/metrics.h"

#include <utility>

#include <fmt/core.h>

#include "protocol/metric.h"

namespace mill::runner {
namespace {

constexpr std::size_t kMostPublished = 10'000;   // of one job
constexpr Milliseconds kReadTime{30'000};

Outcome<Json> refused_metric(std::string_view type, int status, const char* title, const std::string& detail) { return tl::unexpected(fault(type, status, title, detail)); }

}  // namespace

void Metrics::start(const workflows::EffectRequest& request, const protocol::Permissions& grants)
{
    const std::string& name = request.with["name"].as_string();
    const bool read = request.effect == "metric.read";
    if (!protocol::admits_metric(read ? grants.read_metrics : grants.publish_metrics, name))
        return answers_.push_back({request.id, refused_metric("authorization", 403, "Not granted",
                                                              fmt::format("metric '{0}' may not be {1}: package.yaml must ask for permissions: {{ metrics: {{ {2}: [ {0} ] }} }}, and the deployment grant it",
                                                                          name.substr(0, 130), read ? "read" : "published", read ? "read" : "publish"))});
    if (from_outside(request.with) != request.with)   // others read it
        return answers_.push_back({request.id, refused_metric("authorization", 403, "Secret not for this", fmt::format("{} takes no secret", request.effect))});
    if (!read) return publish(request);
    open_[request.id] = clock_.steady() + request.timeout.value_or(kReadTime);
    to_agent_(dump_json(Json::object({{"read", Json::object({{"id", request.id}, {"metric", request.with}})}})));
}

void Metrics::publish(const workflows::EffectRequest& request)
{
    auto point = protocol::parse_metric(request.with, "metric.publish", clock_.now());
    if (!point) return answers_.push_back({request.id, refused_metric("validation", 400, "No metric", point.error().what)});
    if (published_ >= kMostPublished)
        return answers_.push_back({request.id, refused_metric("runtime", 429, "Too many figures", fmt::format("a job publishes at most {} of them", kMostPublished))});
    ++published_;
    reporter_.metric(to_json(*point));
    answers_.push_back({request.id, Json()});
}

void Metrics::cancel(std::uint64_t id)
{
    open_.erase(id);
    std::erase_if(answers_, [&](const Effects::Answer& item) { return item.id == id; });
}

void Metrics::hear(const Json& read)
{
    const auto id = static_cast<std::uint64_t>(read["id"].as_integer());
    if (open_.erase(id) == 0) return;   // cancelled or over
    if (const Json* answer = read.find("answer")) return answers_.push_back({id, from_outside(*answer)});
    const Json& error = read["error"];
    const std::string& type = error["type"].as_string();
    answers_.push_back({id, refused_metric(type.empty() ? "communication" : type, static_cast<int>(error["status"].as_integer()), "Not read", error["detail"].as_string())});
}

void Metrics::expire(SteadyTime now)
{
    for (auto at = open_.begin(); at != open_.end();) {
        if (at->second > now) {
            ++at;
            continue;
        }
        answers_.push_back({at->first, refused_metric("timeout", 408, "No answer in time", "the factory did not say the metric's values in time")});
        at = open_.erase(at);
    }
}

std::optional<SteadyTime> Metrics::next_deadline() const
{
    std::optional<SteadyTime> first;
    for (const auto& [id, until] : open_)
        if (!first || until < *first) first = until;
    return first;
}

std::vector<Effects::Answer> Metrics::take() { return std::exchange(answers_, {}); }

}  // namespace mill::runner
