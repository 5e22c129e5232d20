// The console: a page, its script and its style, all of which the program holds.
#include <algorithm>

#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "studio/console/assets.h"

namespace mill::factory::handler {
namespace {

/// Nothing but the page's own script, style and calls; no text that arrives can become markup or script.
constexpr std::string_view kPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'none'; "
                                     "frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

std::string_view trimmed(std::string_view text)
{
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

/// The parts of a list in a header, until `found` says that one is it.
template <class Found> bool any_part(std::string_view list, Found found)
{
    while (!list.empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        if (found(trimmed(list.substr(0, comma)))) return true;
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return false;
}

bool takes_gzip(const HttpCall& call)
{
    return any_part(call.header("accept-encoding"), [](std::string_view part) {
        const std::size_t semicolon = std::min(part.find(';'), part.size());
        const std::string_view weight = trimmed(part.substr(std::min(semicolon + 1, part.size())));
        return trimmed(part.substr(0, semicolon)) == "gzip" && (!weight.starts_with("q=0") || weight.find_first_of("123456789") != std::string_view::npos);
    });
}

void serve(const Call& call, std::string_view name)
{
    const auto assets = studio::console_assets();
    if (assets.empty()) return reply_problem(call, 404, "this factory was built without its console (MILL_CONSOLE=OFF); the API is at /v1, and `millwright` is its command line", "no_console");
    const auto asset = std::find_if(assets.begin(), assets.end(), [&](const studio::Asset& each) { return each.name == name; });
    if (asset == assets.end()) return reply_problem(call, 404, fmt::format("the console has no file '{}'", name.substr(0, 100)), "not_found");
    const bool packed = takes_gzip(call.http);
    const std::string etag = fmt::format("\"{}{}\"", asset->digest.substr(0, 32), packed ? "-gzip" : "");
    HttpReply out;
    out.headers = {{"ETag", etag},
                   {"Cache-Control", "no-cache"},   // kept, and asked about: another version of the factory has another page
                   {"Vary", "Accept-Encoding"},
                   {"Content-Security-Policy", std::string(kPolicy)},
                   {"X-Content-Type-Options", "nosniff"},
                   {"X-Frame-Options", "DENY"},
                   {"Referrer-Policy", "no-referrer"},
                   {"Cross-Origin-Opener-Policy", "same-origin"},
                   {"Cross-Origin-Resource-Policy", "same-origin"}};
    const bool known = any_part(call.http.header("if-none-match"), [&](std::string_view part) {
        if (part.starts_with("W/")) part.remove_prefix(2);
        return part == etag || part == "*";
    });
    if (known) {
        out.status = 304;
    } else {
        out.content_type = std::string(asset->content_type);
        if (packed) out.headers.emplace_back("Content-Encoding", "gzip");
        out.body = std::string(packed ? asset->gzip : asset->plain);
    }
    call.responder.reply(std::move(out));
}

}  // namespace

void console_page(Service&, const CallPtr& call) { serve(*call, "index.html"); }
void console_file(Service&, const CallPtr& call) { serve(*call, (*call)["file"]); }

}  // namespace mill::factory::handler
