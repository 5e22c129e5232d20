// cli/api.h -- the factory's public API (design.md 8) as a person's program calls it.
#pragma once

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/http_client.h"

namespace mill::cli {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Call {
    std::string method = "GET";
    std::string path;  ///< "/v1/jobs"; each segment already encoded
    Pairs query{};     ///< encoded here; empty values are left out
    Pairs headers{};
    Json body{};       ///< sent as JSON unless null
    std::string bytes{}, bytes_type{};  ///< sent as they are when bytes_type is given
    std::chrono::milliseconds timeout{30'000};
};

/// Thread: one.
class Api {
public:
    Api(std::string factory, std::string token, const std::string& ca_file, std::stop_token stop);

    /// The answer's JSON. Errors: what a problem document says, with the code of its status; unavailable (not reached).
    Result<Json> send(const Call& call);
    Result<Json> get(const std::string& path, Pairs query = {});
    Result<Json> post(const std::string& path, Json body = Json::object(), Pairs query = {});
    Result<Json> put(const std::string& path, Json body, Pairs query = {});
    /// Any status is an answer.
    Result<platform::HttpResponse> raw(const Call& call);

    const std::string& factory() const { return factory_; }

private:
    std::string factory_, token_;
    std::stop_token stop_;
    std::unique_ptr<platform::HttpClient> client_;
};

/// The error that an answer of status 400 and above means: the problem document's detail, or the status.
Error error_of(int status, std::string_view body, std::string_view what);
/// The items of a list answer ({"items": […]}).
const Json::Array& items(const Json& list);
/// "/v1/jobs" + "a b" → "/v1/jobs/a%20b".
std::string join_path(std::string_view base, std::string_view segment, std::string_view rest = {});

}  // namespace mill::cli
