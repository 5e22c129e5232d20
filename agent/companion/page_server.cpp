#include "agent/companion/page_server.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "agent/companion/page_routes.h"
#include "agent/companion/page_sessions.h"
#include "platform/base/encode.h"
#include "platform/base/json.h"
#include "platform/base/mailbox.h"
#include "studio/beside/assets.h"

namespace mill::companion {
namespace {

using platform::LocalAnswer;
using platform::LocalRequest;
using platform::LocalResponse;

// Nothing but its own files, nothing inline, no text that becomes markup, in nobody's frame.
constexpr std::string_view kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
constexpr std::size_t kMostParked = 16;

LocalResponse with_headers(LocalResponse response)
{
    for (const auto& [name, value] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
             {"Content-Security-Policy", kPagePolicy}, {"X-Content-Type-Options", "nosniff"}, {"X-Frame-Options", "DENY"}, {"Referrer-Policy", "no-referrer"},
             {"Cross-Origin-Opener-Policy", "same-origin"}, {"Cross-Origin-Resource-Policy", "same-origin"},
             {"Permissions-Policy", "camera=(), microphone=(), geolocation=(), display-capture=()"}})
        response.headers.emplace_back(name, value);
    return response;
}

LocalResponse refusal(int status, std::string_view detail) { return {status, dump_json(Json::object({{"detail", detail}}))}; }
/// That a person can meet: as DIR/person says it.
LocalResponse refusal(int status, std::string_view code, std::string_view detail) { return {status, dump_json(Json::object({{"code", code}, {"detail", detail}}))}; }

std::size_t count_of(const LocalRequest& request, std::string_view name)
{
    return static_cast<std::size_t>(std::count_if(request.headers.begin(), request.headers.end(), [&](const auto& each) { return each.first == name; }));
}

/// The value of one cookie (RFC 6265).
std::string_view cookie_of(std::string_view header, std::string_view name)
{
    while (!header.empty()) {
        const std::size_t end = header.find(';');
        std::string_view each = header.substr(0, end);
        header = end == header.npos ? std::string_view() : header.substr(end + 1);
        each.remove_prefix(std::min(each.find_first_not_of(' '), each.size()));
        if (each.size() > name.size() && each.starts_with(name) && each[name.size()] == '=') return each.substr(name.size() + 1);
    }
    return {};
}

class Page : public PageServer {
public:
    explicit Page(PagePorts ports) : ports_(std::move(ports)), sessions_(*ports_.clock) {}

    Status start()
    {
        const std::scoped_lock ready(ready_mutex_);   // who comes before the address is known waits
        auto server = platform::serve_loopback("127.0.0.1:0", platform::LaterHandler([this](const LocalRequest& request, LocalAnswer answer) {
            { const std::scoped_lock known(ready_mutex_); }
            handle(request, [answer = std::move(answer)](LocalResponse response) { answer(with_headers(std::move(response))); });
        }));
        if (!server) return fail("the person's page", std::move(server.error()));
        server_ = std::move(*server);
        host_ = server_->address();
        address_ = "http://" + host_;
        cookie_ = "millwright-" + host_.substr(host_.rfind(':') + 1);   // cookies know no ports: another companion's has another name
        for (std::jthread& worker : workers_) worker = std::jthread([this](std::stop_token stop) { work(stop); });
        return {};
    }
    const std::string& address() const override { return address_; }
    std::string link(std::string_view what, std::string_view id) override
    {
        return fmt::format("{}/#secret={}&to={}/{}", address_, sessions_.new_link(), percent_encode(what), percent_encode(id));
    }
    void changed(std::int64_t version) override
    {
        std::deque<Parked> those;
        {
            const std::scoped_lock lock(parked_mutex_);
            version_ = version;
            std::erase_if(parked_, [&](Parked& each) {
                if (each.after == version) return false;
                those.push_back(std::move(each));
                return true;
            });
        }
        for (const Parked& each : those) each.answer(version_answer(version));
    }

private:
    struct Parked {
        std::int64_t after = 0;
        LocalAnswer answer;
    };
    struct Passing {
        LocalRequest request;
        LocalAnswer answer;
    };

    static LocalResponse version_answer(std::int64_t version) { return {200, dump_json(Json::object({{"version", version}}))}; }

    void handle(const LocalRequest& request, LocalAnswer answer)
    {
        // A name that somebody made point here (DNS rebinding) is not this host.
        if (count_of(request, "host") != 1 || request.header("host") != host_) return answer(refusal(421, "this is not the address of this page"));
        if (count_of(request, "origin") > 1 || count_of(request, "cookie") > 1) return answer(refusal(400, "a header is there twice"));
        if (request.target.starts_with("/api/")) return api(request, std::move(answer));
        if (request.target == "/session") return answer(exchange(request));
        answer(file(request));
    }

    LocalResponse file(const LocalRequest& request) const
    {
        const std::string_view name = request.target == "/" ? std::string_view("index.html") : std::string_view(request.target).substr(1);
        const auto assets = studio::beside_assets();
        const auto asset = std::find_if(assets.begin(), assets.end(), [&](const studio::Asset& each) { return each.name == name; });
        if (asset == assets.end()) return refusal(404, "there is nothing of that name");
        if (request.method != "GET" && request.method != "HEAD") return refusal(405, "a file is only read");
        return {200, std::string(asset->plain), std::string(asset->content_type)};
    }

    /// Whether this page's own script says it; a browser tells where a request comes from, and lets no page of others send a header of ours.
    std::optional<LocalResponse> not_ours(const LocalRequest& request) const
    {
        const std::string_view origin = request.header("origin"), site = request.header("sec-fetch-site");
        const bool post = request.method != "GET";
        if (post ? origin != address_ : !origin.empty() && origin != address_) return refusal(403, "only the page itself may ask this");
        if (!site.empty() && site != "same-origin") return refusal(403, "only the page itself may ask this");
        if (request.header("x-millwright").empty()) return refusal(403, "the header X-Millwright is missing");
        if (post && !request.header("content-type").starts_with("application/json")) return refusal(415, "only JSON is taken");
        return std::nullopt;
    }

    LocalResponse exchange(const LocalRequest& request)
    {
        if (request.method != "POST") return refusal(405, "a link is exchanged by POST");
        if (auto refused = not_ours(request)) return *refused;
        const Result<Json> body = parse_json(request.body, {.bytes = 1024, .depth = 2, .exact = false});
        if (!body || !(*body)["secret"].is_string()) return refusal(400, R"(expected {"secret": "..."})");
        const Result<PageSession> session = sessions_.exchange((*body)["secret"].as_string(), cookie_of(request.header("cookie"), cookie_));
        if (!session) return refusal(session.error().code == Errc::unavailable ? 429 : 403, session.error().what);
        LocalResponse out{200, dump_json(Json::object({{"key", session->key}}))};
        out.headers.emplace_back("Set-Cookie", fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict", cookie_, session->cookie));
        return out;
    }

    void api(const LocalRequest& request, LocalAnswer answer)
    {
        if (auto refused = not_ours(request)) return answer(*refused);
        if (!sessions_.admits(cookie_of(request.header("cookie"), cookie_), request.header("x-millwright")))
            return answer(refusal(401, "open the page by a new link"));
        const std::string target = request.target.substr(std::string_view("/api").size());
        switch (page_route(request.method, target)) {
        case PageRoute::unknown: return answer(refusal(404, "the page asks nothing of that name"));
        case PageRoute::wrong_method: return answer(refusal(405, "this is not asked in that way"));
        case PageRoute::changes: return park(std::strtoll(target.c_str() + target.find('=') + 1, nullptr, 10), std::move(answer));
        case PageRoute::forward: break;
        }
        const LocalAnswer full = answer;
        if (!passing_.try_send({LocalRequest{.method = request.method, .target = target, .body = request.body, .user = {}, .uid = {}, .headers = {}}, std::move(answer)}))
            full(refusal(503, "too_many", "too much is asked at once"));
    }

    /// Until something changed; the page itself asks again after a while.
    void park(std::int64_t after, LocalAnswer answer)
    {
        Parked oldest;
        {
            const std::scoped_lock lock(parked_mutex_);
            if (version_ && *version_ != after) oldest = {*version_, std::move(answer)};
            else {
                parked_.push_back({after, std::move(answer)});
                if (parked_.size() <= kMostParked) return;
                oldest = std::move(parked_.front());
                parked_.pop_front();
            }
        }
        oldest.answer(version_answer(oldest.after));
    }

    void work(const std::stop_token& stop)
    {
        while (auto next = passing_.receive(stop)) {
            Result<LocalResponse> said = ports_.forward(next->request, kForwardWait);
            if (!said) next->answer(refusal(503, "agent_away", "the agent does not answer: " + said.error().what));
            else next->answer({said->status, std::move(said->body)});   // JSON, whatever it says that it is
        }
    }

    const PagePorts ports_;
    PageSessions sessions_;
    std::mutex ready_mutex_;
    std::string host_, address_, cookie_;
    std::mutex parked_mutex_;
    std::optional<std::int64_t> version_;
    std::deque<Parked> parked_;
    Mailbox<Passing> passing_{32};
    std::array<std::jthread, 2> workers_;
    std::unique_ptr<platform::LocalServer> server_;   // first to go
};

}  // namespace

Result<std::unique_ptr<PageServer>> start_page(PagePorts ports)
{
    if (studio::beside_assets().empty()) return fail(Errc::not_found, "this program was built without the person's page (MILL_CONSOLE=OFF)");
    auto page = std::make_unique<Page>(std::move(ports));
    if (Status started = page->start(); !started) return fail(std::move(started.error()));
    return page;
}

}  // namespace mill::companion
