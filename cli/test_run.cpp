#include "cli/test_run.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>

#include <fmt/format.h>

#include "cli/once.h"
#include "cli/publishing.h"
#include "cli/run_report.h"
#include "platform/base/text.h"
#include "platform/files.h"

namespace mill::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxTestFile = 1024 * 1024;
constexpr std::size_t kMostFiles = 1000;

struct Suite {
    std::string folder;
    workflows::Package package;
    std::vector<workflows::TestFile> files;
};

bool is_test_file(const fs::path& path) { return path.extension() == ".yaml" || path.extension() == ".yml"; }

/// tests/*.yaml of a package's folder, by name.
Result<std::vector<std::string>> test_files(const std::string& folder)
{
    std::vector<std::string> out;
    std::error_code code;
    const fs::path tests = fs::path(folder) / "tests";
    if (!fs::is_directory(tests, code)) return out;
    for (fs::directory_iterator it(tests, code), end; !code && it != end; it.increment(code))
        if (is_test_file(it->path()) && it->path().filename().string().front() != '.') out.push_back(it->path().string());
    if (code) return fail(Errc::denied, fmt::format("cannot read {}: {}", tests.string(), code.message()));
    if (out.size() > kMostFiles) return fail(Errc::too_large, fmt::format("{} holds more than {} test files", tests.string(), kMostFiles));
    std::sort(out.begin(), out.end());
    return out;
}

/// The package that a test file stands in: FOLDER/tests/FILE.
std::string folder_of(const std::string& file)
{
    const fs::path tests = fs::path(file).parent_path();
    const fs::path folder = tests.empty() ? fs::path("..") : tests.parent_path();
    return folder.empty() ? "." : folder.string();
}

Result<workflows::TestFile> read_tests(const std::string& path)
{
    const Result<std::string> text = platform::read_file(path, kMaxTestFile);
    if (!text) return fail(path, text.error());
    return workflows::read_test_file(*text, path);
}

/// Everything that is to be run, read and checked; findings are shown, and make it an error.
Result<std::vector<Suite>> read_suites(Console& console, const TestRun& run)
{
    std::map<std::string, std::vector<std::string>> by_folder;
    std::vector<std::string> order;
    for (const std::string& path : run.paths) {
        std::error_code code;
        const bool folder = fs::is_directory(path, code);
        if (!folder && !is_test_file(path)) return fail(Errc::invalid, path + " is neither the folder of a package nor one of its tests/*.yaml");
        const std::string root = folder ? path : folder_of(path);
        Result<std::vector<std::string>> files = folder ? test_files(path) : Result<std::vector<std::string>>(std::vector{path});
        if (!files) return fail(files.error());
        if (files->empty()) return fail(Errc::invalid, fmt::format("{} has no tests: they stand in {}", path, (fs::path(path) / "tests").string() + "/*.yaml"));
        if (!by_folder.contains(root)) order.push_back(root);
        for (std::string& file : *files) by_folder[root].push_back(std::move(file));
    }
    std::vector<Suite> out;
    bool valid = true;
    for (const std::string& folder : order) {
        Suite suite{folder, {}, {}};
        Result<workflows::Package> package = read_package(folder);
        if (!package) return fail(package.error());
        suite.package = std::move(*package);
        for (const workflows::Finding& finding : suite.package.findings)
            if (finding.level == workflows::Finding::Level::error) console.note(printable((fs::path(folder) / finding.format()).string()));
        valid = valid && suite.package.valid();
        for (const std::string& path : by_folder[folder]) {
            Result<workflows::TestFile> file = read_tests(path);
            if (!file) return fail(file.error());
            for (const workflows::TestCase& test : file->cases)
                if (!suite.package.workflows.contains(test.workflow))
                    file->findings.push_back({workflows::Finding::Level::error, path, test.mark, fmt::format("the package has no workflow '{}'", test.workflow)});
            for (const workflows::Finding& finding : file->findings) console.note(printable(finding.format()));
            valid = valid && file->findings.empty();
            suite.files.push_back(std::move(*file));
        }
        out.push_back(std::move(suite));
    }
    if (!valid) return fail(Errc::invalid, "nothing was run");
    return out;
}

bool wanted(const TestRun& run, const std::string& file, const std::string& name)
{
    if (run.only.empty()) return true;
    const std::string whole = file + ": " + name;
    if (run.only.find_first_of("*?") == std::string::npos) return whole.find(run.only) != std::string::npos;
    return matches_pattern(run.only, whole) || matches_pattern(run.only, name);
}

/// Errors: what is no verdict on the test: no sandbox here, our own failure, Ctrl-C.
Result<TestResult> run_case(Context& context, const Suite& suite, const std::string& archive, const std::string& file, const workflows::TestCase& test,
                            const TestRun& run, const Scratch& scratch)
{
    TestResult out{suite.package.manifest.name, file, test.name, test.mark.line, {}, {}};
    const SteadyTime begin = system_clock().steady();
    const auto wrong = [&](std::string text) {
        out.problems.push_back({{}, std::move(text), {}, {}});
        return out;
    };
    const Result<Json> variables = workflows::effective_variables(suite.package.manifest, test.variables);
    if (!variables) return wrong(variables.error().what);
    const Result<protocol::Permissions> asked = workflows::asked_permissions(suite.package.manifest, *variables);
    if (!asked) return wrong(asked.error().what);
    const Result<protocol::Permissions> granted = given_grants(context, run.granting, run.grant_file, *asked);
    if (!granted) return fail(granted.error());
    const Json request = Json::object({{"package", archive},
                                       {"workflow", test.workflow},
                                       {"input", test.input},
                                       {"variables", *variables},
                                       {"grants", protocol::to_json(*granted)},
                                       {"secrets", test.secrets},
                                       {"rehearsal", test.rehearsal}});
    Json ended, rehearsed;
    const auto take = [&](std::string_view line) -> Status {
        const Result<Json> json = parse_json(line, {.bytes = 64 * 1024 * 1024, .depth = 128});
        if (!json) return fail(Errc::corrupt, "millwright-agent said what is no JSON: " + std::string(line.substr(0, 200)));
        if (const Json* end = json->find("ended")) ended = *end;
        if (const Json* told = json->find("rehearsed")) rehearsed = *told;
        return {};
    };
    const Result<platform::Ending> ending = run_once(context, request, scratch.file("request.json"), take);
    if (!ending) return fail(ending.error());
    if (context.stop.stop_requested()) return fail(Errc::cancelled, "stopped");
    if (ended.is_null() && ending->exit_code == kRefused) return fail(Errc::denied, "no test can run here");  // the agent has said why
    if (ended.is_null()) return fail(no_ending(*ending));
    out.took = system_clock().steady() - begin;
    out.problems = judge(test, ended, rehearsed);
    mask(out, redactor_of(test.secrets));
    return out;
}

}  // namespace

std::vector<workflows::Finding> test_findings(const std::string& path)
{
    std::vector<workflows::Finding> out;
    const Result<std::vector<std::string>> files = test_files(path);
    if (!files) return out;
    for (const std::string& each : *files) {
        const Result<workflows::TestFile> file = read_tests(each);
        const std::string inside = fs::path(each).lexically_relative(path).generic_string();
        if (!file) {
            out.push_back({workflows::Finding::Level::error, inside, {}, file.error().what});
            continue;
        }
        for (workflows::Finding finding : file->findings) {
            finding.file = inside;
            out.push_back(std::move(finding));
        }
    }
    return out;
}

Result<int> run_tests(Context& context, const TestRun& run)
{
    const Result<std::vector<Suite>> suites = read_suites(context.console, run);
    if (!suites) return fail(suites.error());
    const Result<Scratch> scratch = Scratch::make();
    if (!scratch) return fail(scratch.error());
    std::vector<TestResult> results;
    const SteadyTime begin = system_clock().steady();
    for (std::size_t i = 0; i < suites->size(); ++i) {
        const Suite& suite = (*suites)[i];
        const std::string archive = scratch->file(fmt::format("package-{}.mwp", i));
        if (Status staged = stage_package(suite.folder, archive); !staged) return fail(staged.error());
        for (const workflows::TestFile& file : suite.files)
            for (const workflows::TestCase& test : file.cases) {
                if (!wanted(run, file.file, test.name)) continue;
                Result<TestResult> result = run_case(context, suite, archive, file.file, test, run, *scratch);
                if (!result) return fail(result.error());
                if (!context.console.json()) show_result(context.console, *result);
                results.push_back(std::move(*result));
            }
    }
    if (results.empty()) return fail(Errc::invalid, fmt::format("no test is called like '{}'", run.only));
    show_summary(context.console, results, system_clock().steady() - begin);
    if (!run.junit_file.empty())
        if (Status written = platform::write_output(run.junit_file, junit_xml(results)); !written) return fail(Errc::unavailable, written.error().what);  // they ran
    return std::all_of(results.begin(), results.end(), [](const TestResult& each) { return each.passed(); }) ? kDone : kFaulted;
}

}  // namespace mill::cli
