#include <catch2/catch.hpp>

#include <string>

#include "agent/runner/commands.h"
#include "platform/channel.h"
#include "platform/files.h"
#include "tests/unit/broker/temp_folder.h"

using namespace mill;
using namespace mill::runner;

namespace {

/// Runs what a plan says, by a path as the broker would have answered it.
Outcome<Json> run(const Json& with, std::size_t plan, std::string program, std::optional<Milliseconds> limit = {})
{
    const TempFolder folder;
    auto request = plan_shell(with);
    REQUIRE(request);
    auto wake = platform::Channel::pair();
    REQUIRE(wake);
    Commands commands(folder.path(), 64 * 1024, [&] { (void)wake->first.send("x").has_value(); });
    CommandPlan chosen = request->plans.at(plan);
    chosen.program = std::move(program);
    commands.start(1, std::move(chosen), std::move(*request), limit);
    REQUIRE(wake->second.receive(Milliseconds(20'000))->has_value());
    auto done = commands.take();
    REQUIRE(done.size() == 1);
    CHECK(commands.idle());
    return std::move(done.front().outcome);
}

}  // namespace

TEST_CASE("a command of plain words needs no shell, and has it as its second way", "[runner][commands]")
{
    const auto request = plan_shell(Json::object({{"command", "python3 -u 'my script.py' \"a b\""}, {"arguments", Json::array({"x", 7})}}));
    REQUIRE(request);
    REQUIRE(request->plans.size() == 2);
    CHECK(request->plans[0].program == "python3");
    CHECK(request->plans[0].arguments == std::vector<std::string>{"-u", "my script.py", "a b", "x", "7"});
    CHECK(request->plans[1].program == "sh");
    CHECK(request->plans[1].arguments == std::vector<std::string>{"-c", "python3 -u 'my script.py' \"a b\" \"$@\"", "sh", "x", "7"});
}

TEST_CASE("a command that says where its arguments go gets them there, and only there", "[runner][commands]")
{
    const auto planned = [](const std::string& command) {
        auto request = plan_shell(Json::object({{"command", command}, {"arguments", Json::array({"Foo", "Bar"})}}));
        REQUIRE(request);
        return request->plans.back().arguments;
    };
    for (const std::string command : {"input=$(cat)\necho \"STDIN was: $input\"\necho \"ARGS are $1 $2\"\n", "echo \"$1\"", "echo ${2}", "echo $#", "echo \"$@\" | wc", "echo $*", "shift; ls $@"})
        CHECK(planned(command) == std::vector<std::string>{"-c", command, "sh", "Foo", "Bar"});
    CHECK(planned("ls | grep $HOME\n") == std::vector<std::string>{"-c", "ls | grep $HOME \"$@\"", "sh", "Foo", "Bar"});
    for (const std::string command : {"awk '{print $1}' | sort", "echo \\$1 | cat", "echo it\\'s | grep 'a\"$2'"})
        CHECK(planned(command) == std::vector<std::string>{"-c", command + " \"$@\"", "sh", "Foo", "Bar"});
    CHECK(planned("echo \"it's $1\" | cat") == std::vector<std::string>{"-c", "echo \"it's $1\" | cat", "sh", "Foo", "Bar"});
    CHECK(planned("nightshift | cat") == std::vector<std::string>{"-c", "nightshift | cat \"$@\"", "sh", "Foo", "Bar"});

    const auto ran = run(Json::object({{"command", "cat\necho \"$2 $1\"\n"}, {"stdin", "in "}, {"arguments", Json::array({"Foo", "Bar"})}}), 0, "/bin/sh");
    REQUIRE(ran);
    CHECK(*ran == Json("in Bar Foo\n"));
}

TEST_CASE("a command that means something to the shell is the shell's alone", "[runner][commands]")
{
    const std::string command = GENERATE(as<std::string>(), "a | b", "a; b", "a && b", "echo $HOME", "echo `id`", "ls *.txt", "a > b", "X=1 env", "echo \"$X\"",
                                         "a\nb", "echo 'open", "# nothing");
    CAPTURE(command);
    const auto request = plan_shell(Json::object({{"command", command}}));
    REQUIRE(request);
    REQUIRE(request->plans.size() == 1);
    CHECK(request->plans[0].program == "sh");
}

TEST_CASE("a map of arguments is keys, or keys with values", "[runner][commands]")
{
    const auto request = plan_shell(Json::object({{"command", "tool"}, {"arguments", Json::object({{"--user", "anna"}, {"--all", nullptr}})}}));
    REQUIRE(request);
    CHECK(request->plans[0].arguments == std::vector<std::string>{"--user=anna", "--all"});
}

TEST_CASE("a wrong command is a validation fault", "[runner][commands]")
{
    const Json with = GENERATE(Json::object({{"command", ""}}), Json::object({{"command", 7}}), Json::object({{"command", "a"}, {"return", "some"}}),
                               Json::object({{"command", "a"}, {"arguments", "x"}}), Json::object({{"command", "a"}, {"environment", Json::object({{"A=B", "x"}})}}),
                               Json::object({{"command", "a"}, {"unknown", 1}}), Json::object({{"command", std::string("a\0b", 3)}}));
    CAPTURE(dump_json(with));
    const auto request = plan_shell(with);
    REQUIRE_FALSE(request);
    CHECK(request.error().status == 400);
    CHECK_THAT(request.error().type, Catch::EndsWith("/validation"));
}

TEST_CASE("what a command says and how it ends comes back as asked", "[runner][commands]")
{
    const auto with = [](std::string returns, std::string command) { return Json::object({{"command", command}, {"return", returns}}); };
    CHECK(run(with("stdout", "echo out; echo err >&2"), 0, "/bin/sh") == Json("out\n"));
    CHECK(run(with("stderr", "echo out; echo err >&2"), 0, "/bin/sh") == Json("err\n"));
    CHECK(run(with("code", "(exit 3)"), 0, "/bin/sh") == Json(3));
    CHECK(run(with("none", "echo out;"), 0, "/bin/sh") == Json());
    CHECK(run(with("all", "echo out; exit 4"), 0, "/bin/sh") == Json::object({{"code", 4}, {"stdout", "out\n"}, {"stderr", ""}}));
}

TEST_CASE("stdin, environment and arguments reach the command", "[runner][commands]")
{
    const Json with = Json::object({{"command", "cat; echo $NAME; echo"}, {"stdin", "in "}, {"environment", Json::object({{"NAME", "anna"}})},
                                    {"arguments", Json::array({"$HOME 'x'"})}});
    CHECK(run(with, 0, "/bin/sh") == Json("in anna\n$HOME 'x'\n"));
}

TEST_CASE("a command that fails is a fault that says what it said", "[runner][commands]")
{
    const auto outcome = run(Json::object({{"command", "echo no such order >&2; exit 9"}}), 0, "/bin/sh");
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().status == 500);
    CHECK_THAT(outcome.error().detail, Catch::Contains("status 9") && Catch::Contains("no such order"));
}

TEST_CASE("a command that does not end in time is stopped, with all that it started", "[runner][commands]")
{
    const auto outcome = run(Json::object({{"command", "sleep 600 & sleep 600; true"}}), 0, "/bin/sh", Milliseconds(200));
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().status == 408);
}

TEST_CASE("more than the limit is said to be too much, not cut silently", "[runner][commands]")
{
    const auto outcome = run(Json::object({{"command", "head -c 100000 /dev/zero | tr '\\0' x"}}), 0, "/bin/sh");
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().status == 413);
}

TEST_CASE("a command that is told to stop may clear away first, and is killed when it does not end", "[runner][commands]")
{
    const TempFolder folder;
    auto wake = platform::Channel::pair();
    REQUIRE(wake);
    Commands commands(folder.path(), 1024, [&] { (void)wake->first.send("x").has_value(); });
    const auto start = [&](std::uint64_t id, const std::string& script) {
        auto request = plan_shell(Json::object({{"command", script}}));
        REQUIRE(request);
        commands.start(id, {"/bin/sh", {"-c", script}}, std::move(*request), {});
        const std::string up = folder.path() + "/up-" + std::to_string(id);
        for (int i = 0; i < 2000 && !platform::exists(up); ++i) CHECK_FALSE(wake->second.receive(Milliseconds(10))->has_value());
        REQUIRE(platform::exists(up));
    };
    start(1, "trap 'echo cleared > cleared; exit 0' TERM; echo > up-1; while :; do sleep 0.05; done");
    commands.cancel(1);
    REQUIRE(wake->second.receive(Milliseconds(20'000))->has_value());
    CHECK(commands.take().empty());
    CHECK(platform::read_file(folder.path() + "/cleared", 100) == std::string("cleared\n"));
    start(2, "trap '' TERM; echo > up-2; while :; do sleep 0.05; done");
    commands.cancel(2);
    REQUIRE(wake->second.receive(Milliseconds(20'000))->has_value());
    CHECK(commands.take().empty());
    REQUIRE(commands.stopped().size() == 2);
    const Json first = commands.stopped()[std::size_t{0}], second = commands.stopped()[std::size_t{1}];
    CHECK(first["ended"] == Json("itself"));
    CHECK(second["ended"] == Json("SIGKILL"));
    CHECK(second["afterMs"].as_integer() >= kCommandGrace.count());
    CHECK(commands.idle());
}

TEST_CASE("a cancelled command is told to stop and tells nothing", "[runner][commands]")
{
    const TempFolder folder;
    auto wake = platform::Channel::pair();
    REQUIRE(wake);
    auto request = plan_shell(Json::object({{"command", "sleep 600"}}));
    REQUIRE(request);
    Commands commands(folder.path(), 1024, [&] { (void)wake->first.send("x").has_value(); });
    commands.start(5, {"/bin/sleep", {"600"}}, std::move(*request), {});
    commands.cancel(5);
    REQUIRE(wake->second.receive(Milliseconds(20'000))->has_value());
    CHECK(commands.take().empty());
    CHECK(commands.idle());
}

TEST_CASE("a script is a file in the workspace, its map of arguments are its variables", "[runner][commands]")
{
    const TempFolder folder;
    const auto plain = plan_script(Json::object({{"language", "python"}, {"code", "print(1)"}, {"arguments", Json::array({"a"})}}), folder.path(), 3);
    REQUIRE(plain);
    CHECK(plain->plans.at(0).program == "python3");
    CHECK(plain->plans.at(0).arguments == std::vector<std::string>{folder.path() + "/script-3.py", "a"});
    const auto variables = plan_script(Json::object({{"language", "js"}, {"code", "console.log(name)"}, {"arguments", Json::object({{"name", "anna"}})}}), folder.path(), 4);
    REQUIRE(variables);
    CHECK(variables->plans.at(0).program == "node");
    CHECK(std::filesystem::exists(folder.path() + "/script-4.js.json"));
    CHECK_FALSE(plan_script(Json::object({{"language", "perl"}, {"code", "1"}}), folder.path(), 5));
}
