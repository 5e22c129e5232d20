#include "cli/fixing.h"

#include <filesystem>
#include <map>

#include <fmt/format.h>

#include "platform/files.h"
#include "workflows/check/insert.h"

namespace mill::cli {
namespace {

constexpr std::size_t kMaxFile = 1024 * 1024;

std::vector<std::string> lines_of(const std::string& text)
{
    std::vector<std::string> out;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        out.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return out;
}

/// Lines are only added or lengthened: each new line that is not the next old one is a change.
Json changes(const std::string& before, const std::string& after)
{
    const std::vector<std::string> old = lines_of(before), now = lines_of(after);
    Json out = Json::array();
    std::size_t o = 0;
    for (std::size_t n = 0; n < now.size(); ++n) {
        if (o < old.size() && now[n] == old[o]) {
            ++o;
            continue;
        }
        Json change = Json::object({{"line", n + 1}, {"text", now[n]}});
        const bool added = o >= old.size() || (n + 1 < now.size() && now[n + 1] == old[o]) || now.size() - n > old.size() - o;
        if (!added) change.set("was", old[o++]);
        out.push(std::move(change));
    }
    return out;
}

Status write(const std::string& path, const std::string& text)
{
    std::error_code code;
    const auto mode = std::filesystem::status(path, code).permissions();
    if (!code && (mode & std::filesystem::perms::owner_write) == std::filesystem::perms::none) return fail(Errc::denied, path + " is read-only");
    return platform::write_file(path, text, code ? 0644 : static_cast<unsigned>(mode) & 0777U);
}

}  // namespace

Json fix(Console& console, const std::string& path, const std::vector<workflows::Remedy>& remedies, bool& written)
{
    std::error_code code;
    const bool folder = std::filesystem::is_directory(path, code);
    std::map<std::string, std::vector<workflows::Remedy>> by_file;
    for (const workflows::Remedy& remedy : remedies) by_file[remedy.file].push_back(remedy);
    Json out = Json::array();
    for (const auto& [name, wanted] : by_file) {
        const std::string file = folder ? (std::filesystem::path(path) / name).string() : path;
        const Result<std::string> before = path.ends_with(".mwp") ? Result<std::string>(fail(Errc::denied, path + " is an archive: fix the folder that it was packed from")) : platform::read_file(file, kMaxFile);
        std::string after = before ? *before : std::string(), reason = before ? std::string() : before.error().what;
        for (const workflows::Remedy& remedy : wanted) {
            Result<std::string> next = before ? workflows::insert(after, remedy) : Result<std::string>(fail(Errc::invalid, "add " + workflows::shown(remedy)));
            if (next) after = std::move(*next);
            else {
                out.push(Json::object({{"file", name}, {"written", false}, {"message", next.error().what}}));
                console.note(printable(fmt::format("{}: not written: {}", name, next.error().what)));
            }
        }
        if (!before) {
            console.note(printable(reason));
            continue;
        }
        if (after == *before) continue;
        if (const Status done = write(file, after); !done) reason = done.error().what;
        written = written || reason.empty();
        const Json lines = changes(*before, after);
        for (const Json& line : lines.as_array()) {
            if (line.contains("was")) console.note(printable(fmt::format("{}:{}: - {}", name, line["line"].as_integer(), line["was"].as_string())));
            console.note(printable(fmt::format("{}:{}: + {}", name, line["line"].as_integer(), line["text"].as_string())));
        }
        if (!reason.empty()) console.note(printable(fmt::format("{} was not changed: {}; the lines above are what it lacks", name, reason)));
        out.push(Json::object({{"file", name}, {"written", reason.empty()}, {"changes", lines}}));
        if (!reason.empty()) out.mutable_array().back().set("message", reason);
    }
    return out;
}

}  // namespace mill::cli
