#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <set>

#include "cli/command.h"
#include "cli/suggest.h"

using namespace mill;
using namespace mill::cli;

TEST_CASE("every command has a summary, an example that calls it, and options with words", "[cli][command]")
{
    std::set<std::string> names;
    for (const Command& command : all_commands()) {
        INFO(command.name);
        CHECK(names.insert(command.name).second);
        CHECK_FALSE(command.summary.empty());
        CHECK(command.examples.find("millwright " + command.name) != std::string::npos);
        CHECK(command.run != nullptr);
        for (const Option& option : command.options) CHECK((option.name.starts_with('-') ? !option.help.empty() : true));
        const auto space = command.name.find(' ');
        if (space != std::string::npos && !command.name.starts_with("environments ")) CHECK(names.contains(command.name.substr(0, space)));  // a parent comes first
    }
}

TEST_CASE("exit statuses say what a script can do about it", "[cli][command]")
{
    CHECK(exit_code(Error{Errc::invalid, ""}) == 65);
    CHECK(exit_code(Error{Errc::denied, ""}) == 77);
    CHECK(exit_code(Error{Errc::not_found, ""}) == 1);
    CHECK(exit_code(Error{Errc::unavailable, ""}) == 70);
    CHECK(exit_code(Error{Errc::cancelled, ""}) == 2);
    CHECK(exit_code("successful", "completed") == 0);
    CHECK(exit_code("failed", "error") == 1);
    CHECK(exit_code("failed", "refused") == 77);
    CHECK(exit_code("failed", "invalid_package") == 65);
    CHECK(exit_code("failed", "runner_lost") == 70);
    CHECK(exit_code("cancelled", "cancelled_by") == 2);
    CHECK(exit_code("expired", "not_started") == 1);
}

TEST_CASE("a mistyped command gets the nearest one, a mistyped option the way to help", "[cli][command]")
{
    const std::set<std::string> commands = {"jobs", "timeline", "triggers", "trigger"};
    CHECK_THAT(explain_usage("", {"timelin"}, commands), Catch::Contains("did you mean `millwright timeline`?"));
    CHECK_THAT(explain_usage("", {"xyzzy"}, commands), !Catch::Contains("did you mean"));
    CHECK_THAT(explain_usage("", {"--factory", "http://x", "job"}, commands), Catch::Contains("did you mean `millwright jobs`"));
    CHECK_THAT(explain_usage("NAME is required", {"trigger"}, commands), Catch::Contains("NAME is required") && Catch::Contains("millwright trigger --help"));
    CHECK_THAT(explain_usage("", {"--json"}, commands), Catch::Contains("a command is needed"));
    CHECK_THAT(explain_usage("", {"--json", "--nonsense"}, commands), Catch::Contains("there is no option '--nonsense'"));
    CHECK_THAT(explain_usage("NAME is required", {"--factory=x", "triggers", "--x", "token"}, {"triggers", "triggers token"}), Catch::Contains("`millwright triggers token --help`"));
    CHECK_THAT(explain_usage("NAME is required", {"triggers", "other"}, {"triggers", "triggers token"}), Catch::Contains("`millwright triggers --help`"));
}

TEST_CASE("a path that was typed is looked at before anything is done", "[cli][command]")
{
    const std::string folder = (std::filesystem::temp_directory_path() / "mill-cli-paths").string();
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/there") << "x";
    const Command command{.name = "x", .summary = "", .examples = "", .options = {reads_path({"PATH", "", ""}), reads_file({"-i,--input", "FILE", ""}), writes_file({"--output", "FILE", ""})}, .run = nullptr};
    const auto looked = [&](const char* name, const std::string& path) {
        Arguments arguments;
        arguments.set(name, {path});
        const Status status = check_paths(command, arguments);
        return status ? std::string("fine") : status.error().what;
    };
    CHECK(looked("PATH", folder) == "fine");
    CHECK(looked("PATH", "-") == "fine");
    CHECK(looked("--input", folder + "/there") == "fine");
    CHECK(looked("--input", "-") == "fine");
    CHECK(looked("--output", folder + "/there") == "fine");
    CHECK(looked("--output", folder + "/new") == "fine");
    CHECK(looked("--output", "/dev/null") == "fine");
    CHECK_THAT(looked("PATH", folder + "/absent"), Catch::Contains("PATH: " + folder + "/absent: No such file"));
    CHECK_THAT(looked("--input", folder + "/there/below"), Catch::Contains("Not a directory"));
    CHECK_THAT(looked("--input", folder), Catch::Contains("--input") && Catch::Contains("a file is expected"));
    CHECK_THAT(looked("--output", folder), Catch::Contains("is a folder"));
    CHECK_THAT(looked("--output", folder + "/absent/x"), Catch::Contains(folder + "/absent: No such file"));
    std::filesystem::remove_all(folder);
}
