#include "tests/unit/factory_api/in_process_checker.h"

#include "platform/files.h"
#include "workflows/package.h"
#include "workflows/schema.h"

namespace mill::test {

using factory::CheckedPackage;

static Result<CheckedPackage> check(std::string_view bytes)
{
    auto package = workflows::load_archive(bytes);
    if (!package) return fail("not a package", package.error());
    CheckedPackage out;
    out.valid = package->valid();
    for (const auto& finding : package->findings) out.findings.push_back({finding.level == workflows::Finding::Level::error, finding.format()});
    out.inputs = Json::object();
    for (const auto& [name, document] : package->workflows) out.inputs.set(name, workflows::input_schema(*package, name));
    out.manifest = std::move(package->manifest);
    return out;
}

std::optional<Error> InProcessChecker::answer() const
{
    const std::scoped_lock lock(trick_->mutex);
    return trick_->answer;
}

bool InProcessChecker::check_package(std::string_view bytes, PackageDone done)
{
    if (trick_->full) return false;
    ++trick_->packages;
    if (const auto given = answer()) done(fail(*given));
    else done(check(bytes));
    return true;
}

bool InProcessChecker::check_package_file(std::string path, PackageDone done)
{
    if (trick_->full) return false;
    ++trick_->files;
    const auto bytes = platform::read_file(path, 1 << 20);
    if (const auto given = answer()) done(fail(*given));
    else done(bytes ? check(*bytes) : fail(bytes.error()));
    return true;
}

bool InProcessChecker::check_input(Json schema, Json value, InputDone done)
{
    if (trick_->full) return false;
    ++trick_->inputs;
    const auto compiled = workflows::compile_schema(schema);
    if (const auto given = answer()) done(fail(*given));
    else if (!compiled) done(fail(compiled.error()));
    else done((*compiled)->mistakes(value));
    return true;
}

std::string InProcessChecker::problem() const
{
    const auto given = answer();
    return given && given->code == Errc::unavailable ? given->what : "";
}

}  // namespace mill::test
