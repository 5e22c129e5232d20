#include "cli/commands/commands.h"
#include "cli/test_from_job.h"
#include "cli/test_run.h"

namespace mill::cli {

namespace {

Result<int> run(Context& context, const Arguments& arguments)
{
    if (arguments.has("--from")) {
        if (!arguments.texts("PATH").empty() || arguments.has("--only") || arguments.has("--junit"))
            return context.usage("--from JOB makes a test and runs none: it goes together with --output only");
        return make_test_from_job(context, arguments.text("--from"), arguments.text("--output"));
    }
    if (arguments.has("--output")) return context.usage("--output is for --from JOB; results go to --junit FILE, or with --json to standard output");
    const Result<LocalRun::Granting> granting = granting_of(arguments);
    if (!granting) return context.usage(granting.error().what);
    TestRun tests;
    tests.paths = arguments.texts("PATH");
    if (tests.paths.empty()) tests.paths = {"."};
    tests.only = arguments.text("--only");
    tests.junit_file = arguments.text("--junit");
    tests.granting = *granting;
    tests.grant_file = arguments.text("--grant");
    return run_tests(context, tests);
}

}  // namespace

Command test_command()
{
    return {.name = "test",
            .summary = "Run a package's tests (tests/*.yaml) in the sandbox, with stand-ins for its calls",
            .examples = "millwright test\n"
                        "millwright test my-package/ --only '*refused*'\n"
                        "millwright test my-package/tests/order.yaml --json\n"
                        "millwright test packages/* --junit results.xml\n"
                        "millwright test --from last --output tests/from-job.yaml",
            .options = {reads_path({"PATH", "", "Folders of packages, or test files in them (the folder here)", false, true}),
                        {"--only", "PATTERN", "Only cases whose \"FILE: NAME\" holds this, or fits it with * and ?"},
                        writes_file({"--junit", "FILE", "Results as JUnit XML, for build servers"}),
                        reads_file({"--grant", "FILE", "Permissions for calls that a case lets happen (`real`), as in package.yaml"}),
                        {"--grant-asked", "", "The same: what package.yaml asks for"},
                        {"--grant-all", "", "The same: all network, node, python3, sh and the working folder"},
                        {"--from", "JOB", "Make a test of a finished job at the factory instead"},
                        writes_file({"--output", "FILE", "Where the made test goes (standard output)"})},
            .run = run,
            .notes = "Exit status: 0 all passed, 1 one failed, 64 wrong usage, 65 a test file or package is not valid (then nothing ran), 70 own failure, 77 no sandbox here."};
}

}  // namespace mill::cli
