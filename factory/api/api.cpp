#include "factory/api/api.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/api/rights.h"
#include "factory/api/routes.h"
#include "factory/api/service.h"
#include "factory/resources/resource.h"
#include "platform/base/log.h"
#include "platform/files.h"

namespace mill::factory {

constexpr std::string_view kAudiences = "token_urls";

Service::Service(ApiOptions given, Core& the_core, const Vault& the_vault, std::unique_ptr<PackageChecker> the_checker, FactoryKey the_key, Clock& the_clock)
    : options(std::move(given)), core(the_core), vault(the_vault), key(std::move(the_key)), clock(the_clock), tokens(core, clock, key.derive("millwright-access-tokens")), limits(options.rates, clock),
      sessions(key.derive("millwright-agent-sessions"), clock), admissions(clock), checker(std::move(the_checker)), events(core)
{
    if (auto stored = core.reader()->setting(kAudiences))
        if (auto list = parse_json(*stored))
            for (const Json& url : list->as_array()) audiences.insert(url.as_string());
}

Service::~Service()
{
    worker.stop();
    checker.reset();
    later.stop();
    core.flush();
}

std::string Service::base_url(const HttpCall& call) const
{
    if (options.base_url)
        if (auto url = options.base_url(); !url.empty()) return url;
    return fmt::format("{}://{}", call.tls ? "https" : "http", call.header("host"));
}

std::string Service::status_url(const HttpCall& call, std::string_view job) const
{
    return fmt::format("{}/v1/jobs/{}", base_url(call), job);
}

void Service::remember_audience(const std::string& url)
{
    Json list = Json::array();
    {
        const std::scoped_lock lock(audiences_mutex);
        if (!audiences.insert(url).second) return;
        while (audiences.size() > 64) audiences.erase(audiences.begin());
        for (const auto& each : audiences) list.push(Json(each));
    }
    core.put_setting(std::string(kAudiences), dump_json(list), [](const Result<Nothing>& stored) {
        if (!stored) log::warning("api", "token URL not stored: {}", stored.error().what);
    });
}

namespace {

constexpr std::string_view kRealm = "Bearer realm=\"millwright\"";

void refuse_unknown(const Call& call, std::string_view detail)
{
    reply_problem(call, 401, detail, "unauthorized", {}, {{"WWW-Authenticate", fmt::format("{}, error=\"invalid_token\"", kRealm)}});
}

std::string_view bearer(const HttpCall& call)
{
    const auto value = call.header("authorization");
    if (value.size() < 8) return {};
    std::string scheme(value.substr(0, 7));
    for (char& c : scheme)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (scheme != "bearer ") return {};
    auto token = value.substr(7);
    while (!token.empty() && token.front() == ' ') token.remove_prefix(1);
    while (!token.empty() && token.back() == ' ') token.remove_suffix(1);
    return token;
}

class ApiImpl final : public Api {
public:
    ApiImpl(ApiOptions options, Core& core, const Vault& vault, std::unique_ptr<PackageChecker> checker, FactoryKey key, Clock& clock)
        : service_(std::move(options), core, vault, std::move(checker), std::move(key), clock)
    {
    }

    HttpHandler handler() override
    {
        return [this](HttpCall call, Responder responder) { handle(std::move(call), std::move(responder)); };
    }

    void handle(HttpCall http, Responder responder) override
    {
        ++service_.calls;
        auto call = std::make_shared<Call>(Call{std::move(http), std::move(responder), {}, {}, {}, false, {}, {}, &service_});
        const bool agents_side = call->http.path.starts_with("/agent/v1/");
        if (const auto wait = service_.limits.address(call->http.remote, agents_side)) return reply_too_many(*call, agents_side ? "calls of agents from this address" : "calls from this address", *wait);
        auto match = match_route(call->http.method, call->http.path);
        if (!match) return reply_error(*call, match.error());
        if (match->allowed.empty()) {
            ++service_.refused;
            return reply_problem(*call, 404, fmt::format("there is no '{}' here; GET /v1/openapi.json lists what there is", call->http.path.substr(0, 200)),
                                 "unknown_route");
        }
        if (match->route == nullptr) {
            ++service_.refused;
            const std::string allowed = fmt::format("{}", fmt::join(match->allowed, ", "));
            return reply_problem(*call, 405, fmt::format("{} is not possible here; possible is {}", call->http.method, allowed), "method", {},
                                 {{"Allow", allowed}});
        }
        const Route& route = *match->route;
        call->path = std::move(match->path);
        call->sap = route.access == Access::sap;
        if (call->http.body.size() > route.body)
            return reply_problem(*call, 413, fmt::format("the body has {} bytes, at most {} are taken here", call->http.body.size(), route.body), "too_large");
        if (!query_known(*call, route) || !admitted(*call, route)) {
            ++service_.refused;
            return;
        }
        route.handler(service_, call);
    }

private:
    static bool query_known(const Call& call, const Route& route)
    {
        if (route.query == "*") return true;
        for (const auto& [name, value] : call.http.query) {
            std::string_view rest = route.query;
            bool known = false;
            while (!rest.empty() && !known) {
                const auto comma = rest.find(',');
                known = rest.substr(0, comma) == name;
                rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
            }
            if (known) continue;
            reply_problem(call, 400, route.query.empty() ? fmt::format("query '{}' is not known here: there is none", name)
                                                         : fmt::format("query '{}' is not known here; known are {}", name, route.query));
            return false;
        }
        return true;
    }

    bool admitted(Call& call, const Route& route)
    {
        if (route.access == Access::open || route.access == Access::sap || route.access == Access::chat || route.access == Access::hook || route.access == Access::attempt) return true;
        const auto token = bearer(call.http);
        if (token.empty()) {
            reply_problem(call, 401, "a token is needed: Authorization: Bearer mw_…", "unauthorized", {}, {{"WWW-Authenticate", std::string(kRealm)}});
            return false;
        }
        if (route.access == Access::agent) {
            auto agent = service_.sessions.authenticate(token);
            if (!agent) return refuse_unknown(call, agent.error().what), false;
            call.agent = std::move(*agent);
            return true;
        }
        auto identity = service_.tokens.authenticate(token);
        if (!identity) {
            if (identity.error().code == Errc::invalid || identity.error().code == Errc::denied) refuse_unknown(call, identity.error().what);
            else reply_error(call, identity.error());
            return false;
        }
        call.identity = std::move(*identity);
        if (const auto wait = service_.limits.token(call.identity.id, call.http.remote)) return reply_too_many(call, fmt::format("calls with token {}", call.identity.id), *wait), false;
        return permitted(service_, call, route);
    }

    Service service_;
};

/// What a new factory needs to be of use: the environment `default` and an admin token.
Status make_first_things(const std::string& folder, Core& core, Clock& clock)
{
    const auto tokens = core.reader()->tokens("admin", "");
    if (!tokens) return fail(tokens.error());
    if (!tokens->empty()) return {};
    // Where invitations lead to when they name no environment. Before the token: with the token this is done for good.
    auto environment = parse_document(Json::object({{"kind", "Environment"}, {"name", "default"}}));
    if (!environment) return fail(environment.error());
    auto made = await<Document>([&](auto done) { core.put_document("Environment", "default", environment->spec, 0, Who{"factory", ""}, std::move(done)); });
    if (!made) return fail("the first environment", made.error());
    Tokens maker(core, clock);
    auto [token, record] = maker.make("admin", "admin", Json::object({{"bootstrap", true}}));
    const std::string path = folder + "/admin-token";
    // The file first: a token in the store that nobody has would lock everybody out.
    if (auto written = platform::write_file(path, token.text + "\n", 0600); !written) return fail("the first admin token", written.error());
    auto stored = await<TokenRecord>([&, kept = std::move(record)](auto done) { core.put_token(kept, Who{"factory", ""}, std::move(done)); });
    if (!stored) return fail("the first admin token", stored.error());
    log::info("api", "made an admin token: {}", path);
    return {};
}

}  // namespace

Result<std::unique_ptr<Api>> make_api(ApiOptions options, Core& core, const Vault& vault, std::unique_ptr<PackageChecker> checker)
{
    auto key = open_factory_key(options.folder);
    if (!key) return fail(std::move(key.error()));
    Clock& clock = options.clock != nullptr ? *options.clock : system_clock();
    if (auto made = make_first_things(options.folder, core, clock); !made) return fail(std::move(made.error()));
    return std::make_unique<ApiImpl>(std::move(options), core, vault, std::move(checker), std::move(*key), clock);
}

}  // namespace mill::factory
