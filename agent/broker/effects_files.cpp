#include "agent/broker/effects.h"

#include "agent/broker/file_operations.h"
#include "agent/broker/login.h"
#include "agent/broker/verdict.h"
#include "platform/base/encode.h"
#include "platform/folder.h"

namespace mill::broker {
namespace {

/// The check, the opening of the granted folder without links, and the operation beneath it.
template <class Request, class Operation>
Outcome<Json> within(const Request& request, Access access, EffectContext& context, Operation operation)
{
    auto place = may_reach(context.grants.permissions, request.path, access);
    if (!place) return tl::unexpected(place.error());
    auto folder = platform::Folder::open(place->folder);
    if (!folder) {
        EffectError error = effect_error(folder.error(), "Granted folder not reached");
        if (folder.error().code == Errc::denied) error.detail += "; a grant names the real path of a folder that the broker may enter";
        return tl::unexpected(std::move(error));
    }
    return operation(*folder, place->name, request);
}

}  // namespace

Outcome<Json> file_read(const Json& with, EffectContext& context)
{
    auto request = parse_read(with);
    if (!request) return tl::unexpected(request.error());
    auto read = within(*request, Access::read, context, read_file);
    if (!read || context.grants.redactor.empty()) return read;
    // A file may hold the password that a credential holds, too: nobody behind the broker could take it out of a log any more.
    Redactor redactor = context.grants.redactor;
    context.clients.logins().mask(redactor);
    const std::string& content = (*read)["content"].as_string();
    std::string shown;
    if (request->base64) shown = to_base64(redactor.apply(from_base64(content).value_or(""), context.masked));
    else shown = redactor.apply(content, context.masked);
    return read->set("content", std::move(shown));
}

Outcome<Json> file_write(const Json& with, EffectContext& context)
{
    auto request = parse_write(with);
    if (!request) return tl::unexpected(request.error());
    return within(*request, Access::write, context, write_file);
}

Outcome<Json> file_list(const Json& with, EffectContext& context)
{
    auto request = parse_list(with);
    if (!request) return tl::unexpected(request.error());
    return within(*request, Access::read, context, list_files);
}

}  // namespace mill::broker
