#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/local_run.h"

namespace mill::cli {

namespace {

Result<int> run(Context& context, const Arguments& arguments)
{
    const Result<LocalRun::Granting> granting = granting_of(arguments);
    if (!granting) return context.usage(granting.error().what);
    LocalRun run;
    run.path = arguments.text("PATH");
    run.workflow = arguments.text("--workflow", "main");
    run.input_file = arguments.text("--input");
    run.output_file = arguments.text("--output");
    run.events_file = arguments.text("--events");
    run.secrets_file = arguments.text("--secrets");
    run.variables_file = arguments.text("--variables");
    run.grant_file = arguments.text("--grant");
    run.granting = *granting;
    run.trace = arguments.has("--trace");
    run.step = arguments.has("--step");
    run.dry_run = arguments.has("--dry-run");
    if (run.step && run.dry_run) return context.usage("--step runs it and --dry-run does not: say one of them");
    if (run.step && (run.input_file == "-" || run.variables_file == "-" || run.secrets_file == "-" || run.grant_file == "-"))
        return context.usage("--step reads what you type from standard input: give the other values in files");
    return run_locally(context, run);
}

}  // namespace

Command run_command_entry()
{
    return {.name = "run",
            .summary = "Run a package or workflow file here, in the same sandbox as on an agent",
            .examples = "millwright run my-package/ --input order.json\n"
                        "millwright run my-package/ --grant-asked --variables test.yaml --output result.json\n"
                        "millwright run hello.yaml --trace\n"
                        "millwright run my-package/ --step --grant-asked\n"
                        "millwright run my-package/ --dry-run --grant grants.yaml",
            .options = {reads_path({"PATH", "", "Folder of a package, .mwp file or workflow file", true}),
                        reads_file({"--input", "FILE", "Input, JSON or YAML; - is standard input"}),
                        writes_file({"--output", "FILE", "The output, or on a fault the error object, goes here as JSON"}),
                        writes_file({"--events", "FILE", "Lifecycle events as CloudEvents, one a line"}),
                        reads_file({"--secrets", "FILE", "Values of credentials: NAME → value or map"}),
                        reads_file({"--variables", "FILE", "Values of the package's variables"}),
                        reads_file({"--grant", "FILE", "Permissions to grant, as in package.yaml"}),
                        {"--grant-asked", "", "Grant what package.yaml asks for"},
                        {"--grant-all", "", "Grant all network, node, python3, sh and the working folder"},
                        {"--workflow", "NAME", "Which workflow of the package (main)"},
                        {"--trace", "", "Show each step as it happens, on standard error: a tree on a terminal, else JSON lines"},
                        {"--step", "", "Stand still before each task and read what to do: h helps; the end of the input cancels"},
                        {"--dry-run", "", "Run nothing: list what would be called and whether it may; 77 when something may not"}},
            .run = run,
            .notes = "Exit status: 0 completed, 1 faulted, 2 cancelled, 64 wrong usage: an option, or a path that is not there, cannot be read or cannot be written,\n"
                     "65 the package, the input or another file is not valid, 70 own failure, 77 refused: permission or isolation. Only 0, 1 and 2 say that it ran."};
}

}  // namespace mill::cli
