#include "agent/companion/person_client.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/clock.h"
#include "platform/base/log.h"

namespace mill::companion {
namespace {

constexpr std::chrono::seconds kPersonAnswer{10}, kParked{35};
constexpr Milliseconds kFirstPause{250}, kLongestPause{5'000};
/// However often an agent says that something is new: so often we look.
constexpr Milliseconds kBetween{100};

}  // namespace

Result<platform::LocalResponse> PersonClient::forward(const platform::LocalRequest& request, std::chrono::milliseconds wait) const
{
    return platform::call_own_socket(path_, request, wait);
}

Result<Said> PersonClient::ask(const std::string& method, const std::string& target, const Json& body, std::chrono::milliseconds wait) const
{
    return platform::ask_own_socket(path_, method, target, body, wait);
}

void watch_person(const PersonClient& client, const std::function<void(News)>& news, std::stop_token stop)
{
    Milliseconds pause = kFirstPause;
    std::string away = "not asked yet";
    const auto lost = [&](std::string why) {
        if (why != away) {
            log::info("person", "the agent is away: {}", why);
            news({Json(), why});
            away = std::move(why);
        }
        system_clock().sleep(pause, stop);
        pause = std::min(pause * 2, kLongestPause);
    };
    while (!stop.stop_requested()) {
        auto person = client.ask("GET", "/v1/person", Json(), kPersonAnswer);
        if (!person || !person->well()) {
            lost(person ? fmt::format("{} {}", person->status, person->detail()) : person.error().what);
            continue;
        }
        if (!away.empty()) log::info("person", "the agent answers at {}", client.path());
        away.clear();
        pause = kFirstPause;
        const std::int64_t version = person->body["version"].as_integer();
        news({std::move(person->body), ""});
        // The same number again: its wait is over. Another one, be it smaller, is news.
        while (!stop.stop_requested()) {
            auto changes = client.ask("GET", fmt::format("/v1/changes?after={}", version), Json(), kParked);
            if (changes && changes->well() && changes->body["version"].as_integer() == version) {
                system_clock().sleep(kBetween, stop);
                continue;
            }
            if (!changes || !changes->well()) lost(changes ? fmt::format("{} {}", changes->status, changes->detail()) : changes.error().what);
            else system_clock().sleep(kBetween, stop);
            break;
        }
    }
}

}  // namespace mill::companion
