#include "cli/command.h"

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
        if (settings.factory.empty())
            return fail(Errc::invalid, "no factory is known: say --factory URL, set MILLWRIGHT_FACTORY, or run "
                                       "`millwright login --factory URL`");
        if (settings.token.empty())
            return fail(Errc::invalid, "no token is known for " + settings.factory +
                                           ": say --token-file FILE, set MILLWRIGHT_TOKEN, or run `millwright login`");
        api_ = std::make_unique<Api>(settings.factory, settings.token, settings.ca_file, stop);
    }
    return api_.get();
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
