#include "factory/api/checks.h"

#include <fmt/format.h>

#include "platform/base/log.h"

namespace mill::factory {

bool with_input_schemas(Service& service, const std::string& digest, std::function<void(Result<InputSchemaCache::Entry>)> then)
{
    if (auto known = service.inputs.find(digest)) return then(std::move(known)), true;
    if (const auto stored = service.core.reader()->package_inputs(digest)) return then(service.inputs.add(digest, *stored)), true;
    // Kept by a program that did not note them.
    return service.checker->check_package_file(service.core.package_path(digest), [&service, digest, then = std::move(then)](const Result<CheckedPackage>& checked) {
        if (!checked) return then(fail(checked.error()));
        if (!checked->valid) return then(fail(Errc::corrupt, fmt::format("by today's rules it is not valid: {}", checked->findings.front().text)));
        service.core.put_package_inputs(digest, checked->inputs, [digest](const Result<Nothing>& kept) {
            if (!kept) log::warning("api", "the inputs of package {} are not kept: {}", digest, kept.error().what);
        });
        then(service.inputs.add(digest, checked->inputs));
    });
}

void reply_unchecked(const Call& call, std::string_view what, const Error& error, int status, std::string_view name)
{
    if (error.code == Errc::unavailable)
        return reply_problem(call, 503, fmt::format("{} cannot be checked on the factory's machine, and nothing is taken unchecked: {}", what, error.what), "no_sandbox");
    if (error.code == Errc::cancelled) return reply_problem(call, 503, error.what, {}, {}, {{"Retry-After", "2"}});
    reply_problem(call, error.code == Errc::too_large && status == 400 ? 413 : status, fmt::format("{}: {}", what, error.what), name);
}

void reply_checks_full(const Call& call)
{
    reply_problem(call, 503, "too much waits to be checked: try again later", {}, {}, {{"Retry-After", "2"}});
}

}  // namespace mill::factory
