// agent/metric_reader.h -- asks the factory for the metrics that workflows read.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>

#include "agent/factory_client.h"
#include "agent/runs.h"

namespace mill::agent {

/// Thread: its own. One try for each request: a workflow that wants another one says so (`try`, `retry`).
class MetricReader {
public:
    MetricReader(const Identity& identity, const Config& config, Mailbox<ReadRequest>& work, std::function<void(Command)> tell);
    void run(std::stop_token stop);
    /// {answer} or {error {type, status, detail}}, as the runner is told.
    Json read(const ReadRequest& request, std::stop_token stop);

private:
    const Identity& identity_;
    Mailbox<ReadRequest>& work_;
    std::function<void(Command)> tell_;
    std::unique_ptr<platform::HttpClient> client_;
};

}  // namespace mill::agent
