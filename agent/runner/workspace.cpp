#include "agent/runner/workspace.h"

#include "agent/broker/file_operations.h"
#include "platform/folder.h"

namespace mill::runner {
namespace {

Outcome<Json> told(broker::Outcome<Json> outcome)
{
    if (outcome) return std::move(*outcome);
    return tl::unexpected(fault(outcome.error().type, outcome.error().status, outcome.error().title, outcome.error().detail));
}

/// "./a/b" and "a//b" are "a/b"; "." is the folder itself. ".." is left for the opening to refuse.
std::string clean(std::string_view path)
{
    std::string out;
    for (std::size_t from = 0; from <= path.size();) {
        std::size_t end = path.find('/', from);
        if (end == std::string_view::npos) end = path.size();
        const std::string_view part = path.substr(from, end - from);
        if (!part.empty() && part != ".") out.append(out.empty() ? "" : "/").append(part);
        from = end + 1;
    }
    return out;
}

template <class Request, class Operation>
Outcome<Json> perform(const broker::Outcome<Request>& request, const std::string& workspace, bool writes, Operation operation)
{
    if (!request) return told(tl::unexpected(request.error()));
    auto folder = platform::Folder::open(workspace);
    if (!folder) return told(tl::unexpected(broker::effect_error(folder.error(), "Workspace not reached")));
    const std::string name = clean(request->path);
    const std::size_t slash = name.rfind('/');
    if (writes && slash != std::string::npos)
        if (auto made = folder->make_folder(name.substr(0, slash)); !made)
            return told(tl::unexpected(broker::effect_error(made.error(), "File not written")));
    return told(operation(*folder, name, *request));
}

}  // namespace

bool is_local_file(const std::string& effect, const Json& with)
{
    if (effect != "file.read" && effect != "file.write" && effect != "file.list") return false;
    const Json* path = with.find("path");
    return path != nullptr && path->is_string() && !path->as_string().empty() && path->as_string().front() != '/' &&
           path->as_string().find("://") == std::string::npos;
}

Outcome<Json> local_file(const std::string& effect, const Json& with, const std::string& workspace)
{
    if (effect == "file.read") return perform(broker::parse_read(with), workspace, false, broker::read_file);
    if (effect == "file.write") return perform(broker::parse_write(with), workspace, true, broker::write_file);
    return perform(broker::parse_list(with), workspace, false, broker::list_files);
}

}  // namespace mill::runner
