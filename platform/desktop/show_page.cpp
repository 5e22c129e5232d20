#include "platform/show_page.h"

#include <fmt/format.h>

#include "platform/files.h"
#include "platform/process.h"

namespace mill::platform {
namespace {

constexpr std::chrono::seconds kHandOver{3};

std::string as_attribute(std::string_view url)
{
    std::string out;
    for (const char c : url) out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '"' ? "&quot;" : std::string(1, c);
    return out;
}

}  // namespace

Status show_page(const std::string& url, const std::string& file)
{
    constexpr const char *kOpen = "/usr/bin/xdg-open", *kApart = "/usr/bin/setsid";
    for (const char* program : {kOpen, kApart})
        if (!exists(program)) return fail(Errc::not_found, fmt::format("there is no {} (Debian: xdg-utils)", program));
    const std::string page = fmt::format("<!doctype html>\n<meta charset=\"utf-8\"><meta name=\"referrer\" content=\"no-referrer\"><meta http-equiv=\"refresh\" content=\"0;url={0}\">\n"
                                         "<title>Millwright</title>\n<a href=\"{0}\">Millwright</a>\n", as_attribute(url));
    if (auto written = write_file(file, page, 0600); !written) return fail(file, std::move(written.error()));
    ProcessSpec spec;
    spec.program = kApart;   // a browser outlives whoever asked for it, and is nobody's child
    spec.arguments = {"--fork", "--wait", kOpen, file};   // waited for: what ended at once would take along what has no session of its own yet
    spec.environment = environment_for_children();
    auto done = run_process(spec, {}, 4096, kHandOver);
    if (!done) return fail(kOpen, std::move(done.error()));
    if (done->ending.timed_out) return {};   // it is the browser itself, and stays
    if (done->ending.signal != 0 || done->ending.exit_code != 0) return fail(Errc::unavailable, fmt::format("{} failed: {}", kOpen, done->err));
    return {};
}

}  // namespace mill::platform
