#include "agent/fetcher.h"

#include "platform/base/log.h"
#include "protocol/secret_fields.h"

namespace mill::agent {
namespace {

constexpr std::chrono::seconds kPatience{45};  // then another agent may have it

}  // namespace

RunSpec spec_of(const protocol::Offer& offer, const protocol::Permissions& grants, const Config& config)
{
    RunSpec spec;
    spec.id = offer.id;
    spec.workflow = offer.workflow;
    spec.input = offer.input;
    spec.masks = protocol::texts_at(offer.input, offer.secret_input);
    spec.variables = offer.variables;
    spec.grants = grants;
    spec.run_as = offer.run_as;
    for (const std::string& name : grants.credentials)  // what is not granted is not asked for
        if (offer.credentials.contains(name)) spec.sealed.push_back(name);
    spec.attempt_token = offer.attempt_token;
    spec.repeatable = offer.repeatable;
    spec.details = offer.trace;
    spec.quota = config.attempt_quota;
    spec.asks = "factory";
    spec.runtime = Json::object({{"job", offer.id.job},
                                 {"attempt", offer.id.attempt},
                                 {"deployment", offer.deployment},
                                 {"environment", offer.environment},
                                 {"trigger", offer.trigger}});
    return spec;
}

void Fetcher::run(std::stop_token stop)
{
    while (auto item = work_.receive(stop)) fetch(std::move(*item), stop);
}

void Fetcher::fetch(Fetch item, std::stop_token stop)
{
    const protocol::AttemptId id = item.offer.id;
    const SteadyTime limit = clock_.steady() + kPatience;
    Backoff backoff;
    Error error;
    while (!stop.stop_requested()) {
        auto path = packages_.get(item.offer, stop);
        if (path) {
            RunSpec spec = spec_of(item.offer, item.grants, config_);
            spec.package_path = std::move(*path);
            spec.snapshot = std::move(item.snapshot);
            spec.last_sequence = item.last_sequence;
            return tell_(command::Start{std::move(spec), item.lease_end});
        }
        error = std::move(path.error());
        if (!is_retryable(error) || clock_.steady() >= limit) break;
        log::warning("job", "{}: {}", id.key(), error.what);
        clock_.sleep(backoff.next(), stop);
    }
    if (error.code == Errc::corrupt || error.code == Errc::not_found || error.code == Errc::invalid)
        return tell_(command::End{id, {protocol::JobState::failed, protocol::Reason::invalid_package, error.what, Json()}});
    tell_(command::GiveBack{id, error.what.empty() ? "the agent is stopping" : error.what});
}

}  // namespace mill::agent
