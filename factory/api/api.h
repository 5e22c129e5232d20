// factory/api/api.h -- the factory's HTTP interface: public API, SAP's two call forms, the agents' side.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "factory/agents/limiter.h"
#include "factory/check/checker.h"
#include "factory/core.h"
#include "factory/http/server.h"
#include "factory/resources/vault.h"

namespace mill::factory {

struct ApiOptions {
    std::string folder;     ///< --data: admin-token and factory-key.pem lie there
    /// "http://127.0.0.1:8321", without a slash at the end: status URLs, the agents' token URL. Asked per call, since the port is
    /// known only after listening. Empty: taken from the call's Host header.
    std::function<std::string()> base_url;
    /// Tries a notifier out with a sample job document (core_values.h, Notification::job) and answers
    /// {ok, request, response, error}. Runs on a thread of the API and may block. None: 501.
    std::function<Result<Json>(const Document& notifier, const Json& sample_job)> test_notifier;
    /// Says what is wrong with a notifier document's templates, beyond its form. None: not checked.
    std::function<Status(const Json& notifier_spec)> check_notifier;
    /// Compiles its jq, which `check_notifier` has only looked at, and answers what is wrong (Errors: unavailable, cancelled when this machine
    /// cannot say). On a thread of its own or at once; false: too much waits. None: not compiled.
    std::function<bool(const Json& notifier_spec, std::function<void(Status)> done)> compile_notifier;
    Clock* clock = nullptr;   ///< null: the machine's
    Rates rates = {};         ///< how often tokens and addresses may call
};

/// Owns the sessions of agents, the token cache, the event streams and two threads. Thread: any.
class Api {
public:
    virtual ~Api() = default;   ///< ends streams and parked calls of its own; stop the server first
    virtual void handle(HttpCall call, Responder responder) = 0;
    virtual HttpHandler handler() = 0;   ///< valid while this lives
};

/// Makes the factory's key and, when no admin token is in the store, DIR/admin-token (0600). `core` and `vault` outlive it.
/// Errors: denied, unavailable, corrupt (files in the folder).
Result<std::unique_ptr<Api>> make_api(ApiOptions options, Core& core, const Vault& vault, std::unique_ptr<PackageChecker> checker);

/// For HttpServerOptions::body_limit.
std::size_t api_body_limit(std::string_view method, std::string_view path);

}  // namespace mill::factory
