#include "agent/runner/check.h"

#include <cstdio>
#include <new>

#include <fmt/format.h>

#include "platform/base/json.h"
#include "platform/confine.h"
#include "platform/confine_files.h"
#include "workflows/check/check.h"
#include "workflows/package.h"
#include "workflows/schema.h"

namespace mill::runner {
namespace {

constexpr std::size_t kMostFindings = 200;
constexpr std::size_t kMostInput = 16UL * 1024 * 1024;
constexpr std::size_t kDeepest = 128;   // a call's input has at most 64, a schema as much

void print(const std::string& text)
{
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fputc('\n', stdout);
}

Json error_json(const Error& error) { return Json::object({{"code", Json(name(error.code))}, {"text", Json(error.what)}}); }

Json finding_json(const workflows::Finding& finding)
{
    return Json::object({{"level", finding.level == workflows::Finding::Level::error ? "error" : "warning"}, {"file", finding.file},
                         {"line", finding.mark.line}, {"column", finding.mark.column}, {"code", finding.code}, {"text", finding.text}});
}

Json findings_json(const std::vector<workflows::Finding>& findings)
{
    Json out = Json::array();
    for (const workflows::Finding& finding : findings) {
        if (out.size() == kMostFindings) {
            out.push(finding_json({finding.level, finding.file, finding.mark, fmt::format("and {} more", findings.size() - kMostFindings)}));
            break;
        }
        out.push(finding_json(finding));
    }
    return out;
}

int print_package(const workflows::Package& package, bool json)
{
    if (json) {
        Json inputs = Json::object();
        for (const auto& [name, document] : package.workflows) inputs.set(name, workflows::input_schema(package, name));
        print(dump_json(Json::object({{"valid", package.valid()}, {"findings", findings_json(package.findings)},
                                      {"manifest", workflows::to_json(package.manifest)}, {"inputs", inputs}})));
    } else {
        for (const workflows::Finding& finding : package.findings) print(finding.format());
    }
    return package.valid() ? 0 : kDataError;
}

Result<std::string> read_input()
{
    std::string text;
    char block[65536];
    while (const std::size_t got = std::fread(block, 1, sizeof block, stdin)) {
        if (text.size() + got > kMostInput) return fail(Errc::too_large, fmt::format("standard input is larger than {} bytes", kMostInput));
        text.append(block, got);
    }
    return text;
}

}  // namespace

bool confined()
{
    platform::FileAccess files;
    files.read = {"/"};
    files.ports.emplace();
    files.apart = true;
    auto ok = platform::confine_files(files);
    if (ok) ok = platform::confine({.commands = false});
    if (!ok) std::fprintf(stderr, "millwright-runner: %s\n", ok.error().what.c_str());
    return ok.has_value();
}

int no_memory()
{
    std::fputs("millwright-runner: out of memory\n", stderr);
    return kNoMemory;
}

int check_package(const std::string& path, bool json)
try {
    if (!confined()) return kNotConfined;
    auto package = workflows::load_package(path);
    if (package) {
        workflows::check_into(*package);
        return print_package(*package, json);
    }
    const Error& error = package.error();
    if (json) {
        const workflows::Finding finding{workflows::Finding::Level::error, path, {1, 1}, error.what};
        print(dump_json(Json::object({{"valid", false}, {"findings", Json::array({finding_json(finding)})}, {"error", error_json(error)}})));
    } else {
        print(path + ": " + error.what);
    }
    return error.code == Errc::unavailable || error.code == Errc::internal ? kOwnFailure : kDataError;
} catch (const std::bad_alloc&) {
    return no_memory();
}

int check_input()
try {
    if (!confined()) return kNotConfined;
    const auto text = read_input();
    const auto asked = text ? parse_json(*text, {kMostInput, kDeepest}) : fail(text.error());
    if (!asked) {
        std::fprintf(stderr, "millwright-runner: %s\n", asked.error().what.c_str());
        return kOwnFailure;
    }
    const auto schema = workflows::compile_schema((*asked)["schema"]);
    if (!schema) {
        print(dump_json(Json::object({{"error", error_json(schema.error())}})));
        return kDataError;
    }
    Json mistakes = Json::array();
    for (const std::string& mistake : (*schema)->mistakes((*asked)["value"])) mistakes.push(Json(mistake));
    print(dump_json(Json::object({{"mistakes", mistakes}})));
    return mistakes.empty() ? 0 : kDataError;
} catch (const std::bad_alloc&) {
    return no_memory();
}

}  // namespace mill::runner
