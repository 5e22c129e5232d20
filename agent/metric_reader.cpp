#include "agent/metric_reader.h"

#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr std::size_t kMaxAnswer = 4 * 1024 * 1024;
constexpr std::chrono::seconds kReadPatience{10};

std::string_view type_of(int status)
{
    if (status == 400 || status == 404) return "validation";
    return status == 403 ? "authorization" : "communication";
}

}  // namespace

MetricReader::MetricReader(const Identity& identity, const Config& config, Mailbox<ReadRequest>& work, std::function<void(Command)> tell)
    : identity_(identity), work_(work), tell_(std::move(tell)), client_(platform::make_http_client(http_options(config, identity.factory_url)))
{
}

void MetricReader::run(std::stop_token stop)
{
    while (auto request = work_.receive(stop)) {
        Json answer = read(*request, stop);
        if (stop.stop_requested()) return;
        tell_(command::Read{request->id, request->number, std::move(answer)});
    }
}

Json MetricReader::read(const ReadRequest& request, std::stop_token stop)
{
    platform::HttpRequest http;
    http.method = "POST";
    http.uri = identity_.factory_url + std::string(protocol::route::kReadMetric);
    http.headers = {{"Authorization", "Bearer " + request.attempt_token}, {"Content-Type", "application/json"}};
    http.timeout = kReadPatience;
    http.max_response = kMaxAnswer;
    http.body = dump_json(request.metric);
    Refusal refusal;
    auto answer = call(*client_, std::move(http), std::move(stop), &refusal);
    if (answer) return Json::object({{"answer", std::move(*answer)}});
    const bool older = refusal.status == 404 && !refusal.problem;
    return Json::object({{"error", Json::object({{"type", older ? "configuration" : type_of(refusal.status)},
                                                 {"status", older ? 501 : refusal.status != 0 ? refusal.status : 503},
                                                 {"detail", older ? std::string("the factory does not let workflows read metrics: it is older than this agent and must be upgraded") : answer.error().what}})}});
}

}  // namespace mill::agent
