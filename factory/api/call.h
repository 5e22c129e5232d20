// factory/api/call.h -- one call on its way through a handler, and the ways to answer it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "factory/agents/identity.h"
#include "factory/http/server.h"
#include "platform/base/json.h"

namespace mill::factory {

struct Route;
struct Service;

struct Call {
    HttpCall http;
    Responder responder;
    std::map<std::string, std::string, std::less<>> path;   ///< {name} of the pattern → decoded segment
    Identity identity;
    std::string agent;            ///< id, on the agents' side
    bool sap = false;             ///< errors also in SAP's shape
    std::string correlation;      ///< of SAP's errors
    /// How a caller is told what could not be done, instead of a problem document: a chat platform has forms of its own. Empty: none.
    std::function<HttpReply(int status, const std::string& shown, std::string_view name)> told;
    Service* service = nullptr;   ///< counts who could not say who they are; null in tests of this file alone
    Who who() const { return identity.who(http.remote); }
    const std::string& operator[](std::string_view name) const;   ///< of `path`
};
using CallPtr = std::shared_ptr<Call>;   // shared: the answer often comes from the writer thread

void reply(const Call& call, int status, const Json& body, std::vector<std::pair<std::string, std::string>> headers = {});
void reply_empty(const Call& call);   ///< 204
void reply_unchanged(const Call& call, const std::string& etag);   ///< 304
/// `more`: further members of the problem document.
void reply_problem(const Call& call, int status, std::string_view detail, std::string_view name = {}, const Json& more = {},
                   std::vector<std::pair<std::string, std::string>> headers = {});
void reply_error(const Call& call, const Error& error);
/// 429 with Retry-After.
void reply_too_many(const Call& call, std::string_view what, Milliseconds wait);

/// The body as JSON, an empty one as {} when that is allowed. Nothing when it was none and the caller has been told.
std::optional<Json> read_json(const Call& call, bool may_be_empty = false, std::size_t depth = 64);

/// Query values. Errors: invalid.
Result<std::size_t> limit_of(const Call& call, std::size_t fallback = 100);
Result<std::int64_t> number_of(const Call& call, std::string_view name, std::int64_t min, std::int64_t max, std::int64_t fallback);
bool flag_of(const Call& call, std::string_view name);

/// Hands the error of a Result to the caller; false when it was one.
template <class T>
bool passed(const Call& call, const Result<T>& result)
{
    if (!result) reply_error(call, result.error());
    return result.has_value();
}

}  // namespace mill::factory
