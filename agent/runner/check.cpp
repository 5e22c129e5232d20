#include "agent/runner/check.h"

#include <cstdio>

#include "platform/base/json.h"
#include "platform/confine.h"
#include "workflows/package.h"

namespace mill::runner {
namespace {

constexpr int kDataError = 65, kOwnFailure = 70;

void print(const std::string& text)
{
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fputc('\n', stdout);
}

}  // namespace

int check_package(const std::string& path, bool json)
{
    if (auto ok = platform::confine({.commands = false}); !ok) {
        std::fprintf(stderr, "millwright-runner: %s\n", ok.error().what.c_str());
        return kOwnFailure;
    }
    const auto package = workflows::load_package(path);
    Json findings = Json::array();
    if (!package) {
        const std::string text = path + ": " + package.error().what;
        findings.push(Json::object({{"level", "error"}, {"file", path}, {"line", 1}, {"column", 1}, {"text", package.error().what}}));
        print(json ? dump_json(Json::object({{"valid", false}, {"findings", findings}})) : text);
        return package.error().code == Errc::unavailable || package.error().code == Errc::internal ? kOwnFailure : kDataError;
    }
    for (const workflows::Finding& finding : package->findings) {
        const bool error = finding.level == workflows::Finding::Level::error;
        findings.push(Json::object({{"level", error ? "error" : "warning"}, {"file", finding.file}, {"line", finding.mark.line},
                                    {"column", finding.mark.column}, {"text", finding.text}}));
        if (!json) print(finding.format());
    }
    if (json)
        print(dump_json(Json::object({{"valid", package->valid()}, {"findings", findings}, {"manifest", workflows::to_json(package->manifest)}})));
    return package->valid() ? 0 : kDataError;
}

}  // namespace mill::runner
