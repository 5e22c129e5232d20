// factory/store/metric_records.h -- figures as the store keeps them: of each minute what ended, and what others published.
#pragma once

#include <cstdint>
#include <string>

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "protocol/metric.h"

namespace mill::factory {

struct MetricSpan {
    double sum = 0, min = 0, max = 0;   ///< seconds
};

/// Jobs of one kind that ended in one minute.
struct JobMinute {
    WallTime time;                      ///< its beginning
    std::string trigger, deployment, environment, package, version, state, reason;
    std::uint64_t jobs = 0;
    std::uint64_t started = 0;          ///< of them; `delay` and `run` are theirs
    MetricSpan delay;                   ///< from accepted to assigned, by the factory's clock
    MetricSpan run;                     ///< by the agent's
};

struct DeliveryMinute {
    WallTime time;
    std::string notifier, outcome;      ///< delivered, failed (an attempt), dead
    std::uint64_t deliveries = 0;
};

/// A value that somebody published.
using protocol::MetricPoint;

struct PublishedSeries {
    std::int64_t id = 0;
    std::string name, unit;
    Json dimensions;
    WallTime last;
    double value = 0;                   ///< of then
};

struct PublishedPoint {
    WallTime time;
    double value = 0;
};

constexpr std::size_t kMetricNames = 500, kMetricSeries = 10'000, kSeriesOfName = 1'000;   ///< published ones that the store takes

}  // namespace mill::factory
