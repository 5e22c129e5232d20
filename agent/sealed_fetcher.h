// agent/sealed_fetcher.h -- gets the credentials of attempts, each in a box that the broker alone can open.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/factory_client.h"
#include "agent/runs.h"

namespace mill::agent {

/// Thread: its own. One try for each request; the attempt decides about another one.
class SealedFetcher {
public:
    SealedFetcher(const Identity& identity, const Config& config, Mailbox<SealRequest>& work, std::function<void(Command)> tell);
    void run(std::stop_token stop);
    /// Errors: not_found (the attempt is over), denied (the factory will not: says which credential and why),
    /// unavailable, timeout, cancelled, internal.
    Result<SealedBox> fetch(const SealRequest& request, std::stop_token stop);

private:
    Result<SealedBox> fetch_signed(const SealRequest& request, const std::string& key, std::stop_token stop);
    const Identity& identity_;
    Mailbox<SealRequest>& work_;
    std::function<void(Command)> tell_;
    std::unique_ptr<platform::HttpClient> client_;
};

}  // namespace mill::agent
