// protocol/metric.h -- a value that somebody publishes: what a job says (`metric.publish`) and what POST /v1/metrics takes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/json.h"

namespace mill::protocol {

struct MetricPoint {
    std::string name, unit;
    Json dimensions;                    ///< {NAME: text}, names in order
    WallTime time;
    double value = 0;
};

/// {name, value, unit?, dimensions?, time?}; unknown keys are mistakes. Errors: invalid, every mistake named, `where` before each; the time
/// is `now` when none is said, else within thirty days before and five minutes behind it.
Result<MetricPoint> parse_metric(const Json& json, std::string_view where, WallTime now);
Json to_json(const MetricPoint& point);

/// What is wrong with a name that somebody wants to publish; empty: nothing.
std::string metric_name_mistake(std::string_view name);
/// A rule of `permissions.metrics`: a name, or the beginning of names and a '*'. What is wrong with it; empty: nothing.
std::string metric_rule_mistake(std::string_view rule);
/// True when one of the rules covers the name, or the narrower rule.
bool admits_metric(const std::vector<std::string>& rules, std::string_view name);

}  // namespace mill::protocol
