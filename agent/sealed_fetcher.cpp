#include "agent/sealed_fetcher.h"

#include "platform/base/encode.h"
#include "platform/crypto.h"
#include "protocol/sealed.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr std::size_t kMaxBox = 16 * 1024 * 1024;

}  // namespace

SealedFetcher::SealedFetcher(const Identity& identity, const Config& config, Mailbox<SealRequest>& work, std::function<void(Command)> tell)
    : identity_(identity), work_(work), tell_(std::move(tell)), client_(platform::make_http_client(http_options(config, identity.factory_url)))
{
}

void SealedFetcher::run(std::stop_token stop)
{
    while (auto request = work_.receive(stop)) {
        auto box = fetch(*request, stop);
        if (stop.stop_requested()) return;
        tell_(command::Sealed{request->id, std::move(request->broker_key), std::move(box)});
    }
}

Result<SealedBox> SealedFetcher::fetch(const SealRequest& request, std::stop_token stop)
{
    const std::string key = identity_.private_key.get();
    auto box = fetch_signed(request, key, stop);
    // The key was changed meanwhile: the factory has the new one a moment before it is here.
    if (!box && box.error().code == Errc::denied && identity_.private_key.get() != key) box = fetch_signed(request, identity_.private_key.get(), stop);
    return box;
}

Result<SealedBox> SealedFetcher::fetch_signed(const SealRequest& request, const std::string& key, std::stop_token stop)
{
    auto signature = platform::sign(key, protocol::sealing_request(request.id, request.broker_key));
    if (!signature) return fail("credentials", std::move(signature.error()));
    Json::Array names;
    for (const std::string& name : request.names) names.emplace_back(name);
    platform::HttpRequest http;
    http.method = "POST";
    http.uri = identity_.factory_url + std::string(protocol::route::kCredentials);
    http.headers = {{"Authorization", "Bearer " + request.attempt_token}, {"Content-Type", "application/json"}};
    http.timeout = std::chrono::seconds(10);
    http.max_response = kMaxBox;
    http.body = dump_json(Json::object({{"names", Json(std::move(names))}, {"key", to_base64(request.broker_key)}, {"signature", to_base64(*signature)}}));
    Refusal refusal;
    auto answer = call(*client_, std::move(http), stop, &refusal);
    if (!answer) {
        Error error = std::move(answer.error());
        if (refusal.status == 401) error.code = Errc::not_found;
        else if (refusal.status == 404) error = {Errc::denied, "the factory does not know how to seal them: it is older than this agent and must be upgraded"};
        else if (refusal.status != 0 && !is_retryable(error)) error.code = Errc::denied;
        return fail("credentials", std::move(error));
    }
    const std::string& box = (*answer)["box"].as_string();
    if (box.empty()) return fail(Errc::unavailable, "credentials: the factory's answer holds no box");
    return SealedBox{request.broker_key, identity_.agent_id, box};
}

}  // namespace mill::agent
