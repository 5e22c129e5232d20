#include "agent/door.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/log.h"
#include "platform/files.h"

namespace mill::agent {
namespace {

constexpr std::size_t kOfOne = 5, kOfAll = 60;   // in a minute
constexpr std::chrono::minutes kWindow{1};

platform::LocalResponse refuse(int status, const std::string& detail)
{
    return {status, dump_json(Json::object({{"detail", detail}})), "application/json"};
}

bool is_number(std::string_view text) { return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos; }

}  // namespace

bool Door::too_often(const std::string& user)
{
    const SteadyTime now = clock_.steady();
    for (auto at = asked_.begin(); at != asked_.end();) {
        while (!at->second.empty() && now - at->second.front() > kWindow) at->second.pop_front();
        at = at->second.empty() ? asked_.erase(at) : std::next(at);
    }
    if (asked_[user].size() >= kOfOne || asked_[""].size() >= kOfAll) return true;
    asked_[user].push_back(now);
    asked_[""].push_back(now);
    return false;
}

platform::LocalResponse Door::answer(const platform::LocalRequest& request)
{
    if (request.method == "GET" && request.target == "/v1/factories") {
        Json list = Json::array();
        for (const Factory& factory : factories_) {
            Json one = Json::object({{"url", factory.url}});
            if (!factory.ca_file.empty()) one.set("caFile", factory.ca_file);
            list.push(std::move(one));
        }
        return {200, dump_json(Json::object({{"factories", std::move(list)}})), "application/json"};
    }
    if (request.target != "/v1/sessions") return refuse(404, "there are /v1/factories and /v1/sessions");
    if (request.method != "POST") return refuse(405, "POST joins");
    if (request.user == "root") return refuse(403, "root is no person: its agent is enrolled with a code (`millwright agents invite`)");
    if (request.user.empty() || is_number(request.user)) return refuse(403, fmt::format("this machine has no name for user {}", request.user.empty() ? "?" : request.user));
    const auto json = parse_json(request.body);
    if (!json || !(*json)["publicKey"].is_string()) return refuse(400, "expected {publicKey, factory, facts}");
    const std::string& url = (*json)["factory"].as_string();
    const auto factory = std::find_if(factories_.begin(), factories_.end(), [&](const Factory& one) { return one.url == url; });
    if (factory == factories_.end()) return refuse(404, fmt::format("this machine's agent serves no factory {}", url.substr(0, 200)));
    if (too_often(request.user)) return refuse(429, "too often: try again in a minute");
    // Who it is says the kernel, and nothing in the request does.
    Json ask = Json::object({{"version", 1}, {"user", request.user}, {"publicKey", (*json)["publicKey"]}});
    if ((*json)["facts"].is_object()) ask.set("facts", (*json)["facts"]);
    int status = 0;
    const auto said = factory->vouch(ask, status);
    if (said) {
        log::info("sessions", "{} of this machine has an agent of their own: {}", request.user, (*said)["name"].as_string());
        return {200, dump_json(*said), "application/json"};
    }
    log::warning("sessions", "{} of this machine does not join at {}: {}", request.user, url, said.error().what);
    return refuse(status >= 400 ? status : 503, said.error().what);
}

Result<std::unique_ptr<platform::LocalServer>> open_door(const std::string& path, std::shared_ptr<Door> door)
{
    // A socket that a program left behind is replaced, one that is served is not.
    if (const auto other = platform::call_local_socket(path, {"GET", "/v1/factories", {}, {}}, std::chrono::seconds(1)); other || other.error().code == Errc::timeout)
        return fail(Errc::conflict, fmt::format("{}: another agent of this machine serves there", path));
    return platform::serve_local_socket(path, [door = std::move(door)](const platform::LocalRequest& request) { return door->answer(request); }, 0666);
}

}  // namespace mill::agent
