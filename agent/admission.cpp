#include "agent/admission.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/fingerprint.h"
#include "platform/machine.h"
#include "protocol/identity.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr Milliseconds kSlowest{30'000};
constexpr std::int64_t kLongest = 60LL * 60'000;

Milliseconds interval_of(const Json& answer, Milliseconds before)
{
    const std::int64_t said = answer["intervalMs"].as_integer();
    return said >= 100 && said <= 60'000 ? Milliseconds(said) : before;
}

class Asking {
public:
    Asking(platform::HttpClient& client, const AdmissionWish& wish, std::stop_token stop) : client_(client), wish_(wish), stop_(std::move(stop)) {}

    Result<Json> ask(Refusal& refusal)
    {
        const std::string key = to_base64(wish_.key.public_key), mode(protocol::name(wish_.mode));
        auto signature = platform::sign(wish_.key.private_key, protocol::admission_request(wish_.name, mode, wish_.environment, key));
        if (!signature) return fail(std::move(signature.error()));
        return post(protocol::route::kAdmission,
                    Json::object({{"version", protocol::kVersion}, {"must", Json::array()}, {"name", wish_.name}, {"mode", mode}, {"environment", wish_.environment},
                                  {"publicKey", key}, {"facts", platform::find_facts()}, {"signature", to_base64(*signature)}}),
                    refusal);
    }

    Result<Json> poll(const Json& asked, Refusal& refusal)
    {
        const std::string& id = asked["id"].as_string();
        auto signature = platform::sign(wish_.key.private_key, protocol::admission_poll(id, asked["challenge"].as_string()));
        if (!signature) return fail(std::move(signature.error()));
        return post(protocol::route::kAdmissionPoll, Json::object({{"id", id}, {"signature", to_base64(*signature)}}), refusal);
    }

private:
    Result<Json> post(std::string_view route, const Json& body, Refusal& refusal)
    {
        refusal = {};
        platform::HttpRequest request;
        request.method = "POST";
        request.uri = wish_.factory_url + std::string(route);
        request.headers = {{"Content-Type", "application/json"}};
        request.body = dump_json(body);
        return call(client_, std::move(request), stop_, &refusal);
    }

    platform::HttpClient& client_;
    const AdmissionWish& wish_;
    std::stop_token stop_;
};

}  // namespace

Result<Json> be_admitted(platform::HttpClient& client, const AdmissionWish& wish, const std::function<void(const Waiting&)>& show, const Clock& clock,
                         std::stop_token stop, Refusal& refusal)
{
    Asking asking(client, wish, stop);
    std::string shown;
    std::optional<SteadyTime> end;
    while (true) {
        auto asked = asking.ask(refusal);
        if (!asked || !(*asked)["agentId"].as_string().empty()) return asked;
        const std::string& code = (*asked)["code"].as_string();
        if (code.empty() || code.size() > 40) return fail(Errc::corrupt, "the factory's answer holds no code");
        const Milliseconds life(std::clamp<std::int64_t>((*asked)["expiresInMs"].as_integer(), 1'000, kLongest));
        if (!end) end = clock.steady() + life;
        if (std::exchange(shown, code) != code) show({code, platform::fingerprint(wish.key.public_key), life});
        Milliseconds interval = interval_of(*asked, Milliseconds(5'000));
        for (bool over = false; !over;) {
            if (!clock.sleep(interval, stop))
                return fail(Errc::cancelled, fmt::format("stopped waiting; '{}' can still be admitted, and the same command goes on with the same key", code));
            if (clock.steady() > *end)
                return fail(Errc::timeout, fmt::format("nobody decided about '{}' in time: start the command again for a new code, and ask an administrator of the factory "
                                                       "(role admin) for `millwright agents admit CODE`", code));
            auto answer = asking.poll(*asked, refusal);
            if (answer && !(*answer)["agentId"].as_string().empty()) return answer;
            if (answer) {
                interval = interval_of(*answer, interval);
                continue;
            }
            if (answer.error().code == Errc::cancelled) continue;   // the sleep says it
            if (refusal.name == "slow_down") interval = interval_of(refusal.body, interval + Milliseconds(5'000));
            else if (refusal.name == "admission_over") over = true;   // run out, or the factory was started anew: asked again
            else if (is_retryable(answer.error())) interval = std::min(interval * 2, kSlowest);   // RFC 8628, 3.5
            else return answer;
        }
    }
}

}  // namespace mill::agent
