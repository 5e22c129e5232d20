#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "tests/support/workflow_run.h"
#include "workflows/archive.h"

using namespace mill;
using namespace mill::testing;
namespace fs = std::filesystem;

namespace {

class Place {
public:
    Place() : path_(fs::temp_directory_path() / fmt::format("mill-depends-{}-{}", ::getpid(), ++count_)) { fs::create_directories(path_); }
    ~Place() { fs::remove_all(path_); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    void file(const std::string& name, const std::string& text) const
    {
        fs::create_directories((path_ / name).parent_path());
        std::ofstream(path_ / name) << text;
    }
    /// A package `name` 1.0.0 in the folder `at`.
    void package(const std::string& at, const std::string& name, const std::string& tasks, const std::string& more = "") const
    {
        file(at + "/package.yaml", "name: " + name + "\nversion: 1.0.0\n" + more);
        file(at + "/workflow.yaml", "document: { dsl: 1.0.3, namespace: test, name: " + name + ", version: 1.0.0 }\ndo: [ " + tasks + " ]\n");
    }
    std::string path(const std::string& name) const { return (path_ / name).string(); }

private:
    static inline int count_ = 0;
    fs::path path_;
};

std::string runs(const std::string& name) { return "{ r: { run: { workflow: { namespace: test, name: " + name + ", version: 1.0.0 } } } }"; }

Ran run_loaded(Result<workflows::Package> package, const Json& input = Json::object())
{
    REQUIRE(package);
    INFO(findings(*package));
    return drive(std::make_shared<workflows::Package>(std::move(*package)), input);
}

}  // namespace

TEST_CASE("a workflow of a dependency runs: out of the folder beside, out of dependencies/, out of a packed one", "[workflows][dependencies]")
{
    Place place;
    const std::string needs = "dependencies: { tools: 1.0.0 }\n";
    const std::string tools = "{ t: { set: { by: tools, n: '${ .n + 1 }' } } }";
    place.package("beside/tools", "tools", tools);
    place.package("beside/main", "main", runs("tools"), needs);
    place.package("within/main", "main", runs("tools"), needs);
    place.package("within/main/dependencies/tools", "tools", tools);
    place.package("packed/main", "main", runs("tools"), needs);
    const auto bytes = workflows::pack(place.path("beside/tools"));
    REQUIRE(bytes);
    place.file("packed/main/dependencies/tools-1.0.0.mwp", *bytes);
    std::string first;
    for (const char* where : {"beside/main", "within/main", "packed/main"}) {
        INFO(where);
        CHECK(run_loaded(workflows::load_package(place.path(where)), json(R"({"n":1})")).words() == R"({"by":"tools","n":2})");
        const auto packed = workflows::pack(place.path(where));
        REQUIRE(packed);
        if (first.empty()) first = *packed;
        CHECK(*packed == first);  // the same bytes, wherever the dependency came from
        CHECK(run_loaded(workflows::load_archive(*packed), json(R"({"n":1})")).words() == R"({"by":"tools","n":2})");
    }
    const auto manifest = workflows::manifest_of(first);
    REQUIRE(manifest);
    CHECK(manifest->dependencies.at("tools") == "1.0.0");
}

TEST_CASE("a dependency has its own files and its own dependencies, and only these", "[workflows][dependencies]")
{
    Place place;
    place.package("c", "c", "{ t: { set: { deep: 1 } } }");
    place.package("b", "b", runs("c"), "dependencies: { c: 1.0.0 }\n");
    place.file("b/workflow.yaml", "document: { dsl: 1.0.3, namespace: test, name: b, version: 1.0.0 }\ninput: { schema: { resource: { endpoint: 'package:///s.json' } } }\ndo: [ " + runs("c") + " ]\n");
    place.file("b/s.json", R"({"required":["n"]})");
    place.package("a", "a", runs("b"), "dependencies: { b: 1.0.0 }\n");
    CHECK(run_loaded(workflows::load_package(place.path("a")), json(R"({"n":1})")).words() == R"({"deep":1})");
    CHECK(run_loaded(workflows::load_package(place.path("a"))).fault.status == 400);
    place.package("a", "a", runs("c"), "dependencies: { b: 1.0.0 }\n");
    const auto package = workflows::load_package(place.path("a"));
    REQUIRE(package);
    CHECK_THAT(findings(*package), Catch::Contains("runs test/c/1.0.0, which is neither in the package nor in what it depends on"));
}

TEST_CASE("what is wrong with a dependency is said where it is named", "[workflows][dependencies]")
{
    Place place;
    const auto words = [&](const std::string& dependencies, const std::string& more = "") {
        place.package("main", "main", "{ x: { set: { n: 1 } } }", "dependencies: " + dependencies + "\n" + more);
        const auto package = workflows::load_package(place.path("main"));
        return package ? findings(*package) : package.error().what;
    };
    CHECK_THAT(words("{ tools: 1.0.0 }"), Catch::Contains("package.yaml:3:") && Catch::Contains("'tools' 1.0.0 is not there") && Catch::Contains("dependencies/tools-1.0.0.mwp"));
    place.package("tools", "tools", "{ x: { set: { n: 1 } } }", "variables: { u: { type: string } }\ncredentials: { erp: { kind: login } }\npermissions: { network: [ 'x.test:443' ] }\n");
    CHECK_THAT(words("{ tools: 2.0.0 }"), Catch::Contains("is wanted in the version 2.0.0, but there is 1.0.0"));
    CHECK_THAT(words("{ tools: '>=1' }"), Catch::Contains("needs one version"));
    CHECK_THAT(words("{ Tools: 1.0.0 }"), Catch::Contains("no package's name"));
    CHECK_THAT(words("{ tools: 1.0.0 }"), Catch::Contains("has the variable 'u': declare it") && Catch::Contains("has the credential 'erp': declare it") &&
                                              Catch::Contains("warning: the dependency 'tools' asks for permissions.network"));
    CHECK(words("{ tools: 1.0.0 }", "variables: { u: { type: string } }\ncredentials: { erp: { kind: login } }\npermissions: { network: [ 'x.test:443' ] }\n").empty());
    place.package("tools", "tools", "{ x: { set: { n: '${ .a + }' } } }");
    CHECK_THAT(words("{ tools: 1.0.0 }"), Catch::Contains("dependencies/tools/workflow.yaml:2:"));
    place.package("tools", "others", "{ x: { set: { n: 1 } } }");
    CHECK_THAT(words("{ tools: 1.0.0 }"), Catch::Contains("is a package named 'others'"));
    place.package("tools", "tools", "{ x: { set: { n: 1 } } }", "dependencies: { main: 1.0.0 }\n");
    CHECK_THAT(words("{ tools: 1.0.0 }"), Catch::Contains("main needs tools needs main"));
}

TEST_CASE("the permissions are the package's own, whatever a dependency asks for", "[workflows][dependencies]")
{
    Place place;
    place.package("tools", "tools", "{ s: { run: { shell: { command: id } } } }", "permissions: { commands: [ sh ] }\n");
    place.package("main", "main", runs("tools"), "dependencies: { tools: 1.0.0 }\n");
    const auto package = workflows::load_package(place.path("main"));
    REQUIRE(package);
    CHECK(package->manifest.permissions.commands.empty());
    CHECK_THAT(findings(*package), Catch::Contains("dependencies/tools/workflow.yaml:2:") && Catch::Contains("asks for no command"));
}

TEST_CASE("a schedule stands in the manifest that pack writes, and not in package.yaml", "[workflows][schedule]")
{
    Place place;
    place.package("main", "main", "{ x: { set: { n: 1 } } }");
    place.file("main/workflow.yaml", "document: { dsl: 1.0.3, namespace: test, name: main, version: 1.0.0 }\nschedule: { cron: '0 6 * * 1-5' }\ndo: [ { x: { set: { n: 1 } } } ]\n");
    const auto bytes = workflows::pack(place.path("main"));
    REQUIRE(bytes);
    const auto manifest = workflows::manifest_of(*bytes);
    REQUIRE(manifest);
    CHECK(manifest->schedules == json(R"({"main":{"cron":"0 6 * * 1-5"}})"));
    CHECK(workflows::load_archive(*bytes)->valid());
    place.file("main/package.yaml", "name: main\nversion: 1.0.0\nschedules: { main: { cron: '* * * * *' } }\n");
    CHECK_THAT(findings(*workflows::load_package(place.path("main"))), Catch::Contains("package.yaml:3:") && Catch::Contains("has no 'schedules'"));
}

TEST_CASE("a script needs its own interpreter among the commands", "[workflows][package]")
{
    Place place;
    const auto words = [&](const std::string& commands) {
        place.package("main", "main", "{ s: { run: { script: { language: python, code: '1' } } } }", "permissions: { commands: " + commands + " }\n");
        return findings(*workflows::load_package(place.path("main")));
    };
    CHECK_THAT(words("[ git ]"), Catch::Contains("permissions.commands: [ python3 ]"));
    CHECK(words("[ python3 ]").empty());
    CHECK(words("[ /usr/bin/python3 ]").empty());
}
