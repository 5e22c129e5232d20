#include "platform/own_socket.h"

#include <fmt/format.h>

#include "platform/own_user.h"

namespace mill::platform {

Result<LocalResponse> call_own_socket(const std::string& path, const LocalRequest& request, std::chrono::milliseconds wait)
{
    if (auto ours = is_ours_or_roots(path); !ours) return fail(std::move(ours.error()));
    return call_local_socket(path, request, wait);
}

Result<Said> ask_own_socket(const std::string& path, const std::string& method, const std::string& target, const Json& body, std::chrono::milliseconds wait)
{
    LocalRequest request;
    request.method = method;
    request.target = target;
    if (!body.is_null()) request.body = dump_json(body);
    auto answer = call_own_socket(path, request, wait);
    if (!answer) return fail(std::move(answer.error()));
    auto json = parse_json(answer->body);
    if (!json) return fail(Errc::corrupt, fmt::format("{}: the answer is no JSON: {}", path, json.error().what));
    return Said{answer->status, std::move(*json)};
}

}  // namespace mill::platform
