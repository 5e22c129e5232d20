// factory/notify/otlp.h -- pushes the factory's figures to an OpenTelemetry receiver: OTLP over HTTP with JSON, through the one way out.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "factory/core.h"
#include "factory/notify/credential.h"
#include "factory/notify/egress.h"

namespace mill::factory {

struct OtlpOptions {
    std::string url;               ///< "https://collector.example.com/v1/metrics"
    std::string credential;        ///< name of one of kind bearer, header or basic; empty: none
    Milliseconds every{60'000};
    std::string instance;          ///< service.instance.id: the factory's id
};

/// What has been counted since it was made, as OTLP sums that only grow and begin with the process. One thread.
class OtlpFigures {
public:
    OtlpFigures(std::string instance, WallTime began) : instance_(std::move(instance)), began_(began), place_{began.microseconds / kMinute * kMinute} {}
    /// Takes in the minutes that are over at `now`, and answers the whole request. Errors: those of the store.
    Result<Json> take(Core& core, WallTime now);

private:
    static constexpr std::int64_t kMinute = 60'000'000;
    struct Total {
        std::uint64_t jobs = 0, started = 0;
        MetricSpan delay, run;
    };
    std::string instance_;
    WallTime began_, place_;                       ///< minutes before are taken in
    std::map<std::string, Total> jobs_;            ///< by attributes as JSON
    std::map<std::string, std::uint64_t> deliveries_;
};

/// What the receiver's answer means: nothing, or why it is none. `again`: the same may go well later.
struct OtlpAnswer {
    std::string problem;
    bool again = false;
};
OtlpAnswer read_otlp_answer(const Result<platform::HttpResponse>& response);

/// Pushes every so often until its end. What could not be pushed is in the next push: sums go on. Thread: any.
class OtlpPush {
public:
    virtual ~OtlpPush() = default;
};
std::unique_ptr<OtlpPush> start_otlp_push(OtlpOptions options, Core& core, Egress& egress, CredentialSource credentials, const Clock& clock);

}  // namespace mill::factory
