#include "cli/command.h"

#include <fmt/format.h>

#include "platform/files.h"

namespace mill::cli {

std::string Arguments::text(std::string_view name, std::string_view fallback) const
{
    const auto found = values_.find(name);
    return found == values_.end() || found->second.empty() ? std::string(fallback) : found->second.front();
}

std::vector<std::string> Arguments::texts(std::string_view name) const
{
    const auto found = values_.find(name);
    return found == values_.end() ? std::vector<std::string>{} : found->second;
}

Result<Api*> Context::api()
{
    if (!api_) {
        unconfigured_ = settings.factory.empty() || settings.token.empty();
        const std::string problem = settings.problem.empty() ? std::string() : settings.problem + "\n";
        if (settings.factory.empty())
            return fail(Errc::invalid, problem + "no factory is known: say --factory URL, set MILLWRIGHT_FACTORY, or run "
                                                 "`millwright login --factory URL`");
        if (settings.token.empty())
            return fail(Errc::invalid, problem + "no token is known for " + settings.factory +
                                           ": say --token-file FILE, set MILLWRIGHT_TOKEN, or run `millwright login`");
        api_ = std::make_unique<Api>(settings.factory, settings.token, settings.ca_file, stop);
    }
    return api_.get();
}

int Context::status_of(const Error& error) const { return unconfigured_ ? kUsage : exit_code(error); }

std::string key_of(std::string_view option_name)
{
    const auto comma = option_name.find(',');
    return std::string(comma == std::string_view::npos ? option_name : option_name.substr(comma + 1));
}

Status check_paths(const Command& command, const Arguments& arguments)
{
    using Path = Option::Path;
    for (const Option& option : command.options) {
        if (option.path == Path::none) continue;
        for (const std::string& path : arguments.texts(key_of(option.name))) {
            if (option.path == Path::output) {
                if (Status fine = platform::may_write(path); !fine) return fail(Errc::invalid, fmt::format("{}: {}", key_of(option.name), fine.error().what));
                continue;
            }
            if (path == "-") continue;
            if (Status fine = platform::may_read(path); !fine) return fail(Errc::invalid, fmt::format("{}: {}", key_of(option.name), fine.error().what));
            if (option.path == Path::file && platform::is_folder(path)) return fail(Errc::invalid, fmt::format("{}: {}: is a folder, a file is expected", key_of(option.name), path));
        }
    }
    return {};
}

int exit_code(const Error& error)
{
    switch (error.code) {
    case Errc::invalid:
    case Errc::too_large: return kInvalid;
    case Errc::denied: return kRefused;
    case Errc::cancelled: return kCancelled;
    case Errc::not_found:
    case Errc::conflict: return kFaulted;
    default: return kInternal;
    }
}

int exit_code(std::string_view state, std::string_view reason)
{
    if (state == "successful") return kDone;
    if (state == "cancelled") return kCancelled;
    if (reason == "refused") return kRefused;
    if (reason == "invalid_package") return kInvalid;
    if (reason == "internal" || reason == "runner_lost") return kInternal;
    return kFaulted;
}

}  // namespace mill::cli
