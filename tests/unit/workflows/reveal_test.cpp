#include <catch2/catch.hpp>

#include "tests/support/package_folder.h"
#include "tests/support/workflow_run.h"
#include "workflows/plan.h"

using namespace mill;
using namespace mill::testing;
using Catch::Contains;

namespace {

const std::string kHead = "document: { dsl: 1.0.3, namespace: test, name: flow, version: 1.0.0 }\nuse: { secrets: [ erp ] }\n";
const std::string kGranted = "permissions: { commands: [ sh ], credentials: [ erp ], reveal: [ erp ] }\n";

std::string words(const std::string& task, const std::string& permissions = kGranted, const std::string& more = "")
{
    PackageFolder folder;
    folder.file("package.yaml", "name: flow\nversion: 1.0.0\ncredentials: { erp: { kind: login } }\n" + permissions).file("workflow.yaml", kHead + "do:\n  - a: " + task + "\n" + more);
    const auto package = workflows::load_package(folder.path());
    REQUIRE(package);
    return all_findings(*package);
}

std::string shell(const std::string& members, const std::string& reveal = "erp")
{
    return "{ metadata: { reveal: [ " + reveal + " ] }, run: { shell: { command: tool, " + members + " } } }";
}

const std::string kEnvironment = "environment: { PW: '${ $secrets.erp.password }' }";

}  // namespace

TEST_CASE("a command that says which secrets it is given, and may, has no finding", "[workflows][reveal]")
{
    CHECK(words(shell(kEnvironment)) == "");
    CHECK(words(shell("stdin: '${ $secrets[\"erp\"].password + \"\\n\" }'")) == "");
}

TEST_CASE("each part of it that is missing or wrong is an error where it stands", "[workflows][reveal]")
{
    CHECK_THAT(words(shell(kEnvironment, ""), kGranted), Contains("which the task does not say"));
    CHECK_THAT(words("{ run: { shell: { command: tool, " + kEnvironment + " } } }"), Contains("workflow.yaml:4") && Contains("'erp'") && Contains("metadata: { reveal: [ erp ] }") && Contains("[reveal]") && !Contains("warning: the command"));
    CHECK_THAT(words("{ run: { script: { language: python, code: 'x', environment: { PW: '${ \"x\" + $secrets.erp.password }' } } } }",
                     "permissions: { commands: [ python3 ], credentials: [ erp ] }\n"), Contains("the command of task 'a' would be given the secret 'erp'"));
    CHECK_THAT(words(shell("arguments: [ '${ $secrets.erp.password }' ]")), Contains("in 'arguments'") && Contains("list of processes") && Contains("[reveal]"));
    CHECK_THAT(words("{ metadata: { reveal: [ erp ] }, run: { shell: { command: '${ \"tool \" + $secrets.erp.password }' } } }"), Contains("in 'command'"));
    CHECK_THAT(words(shell(kEnvironment, "erpp")), Contains("the secret 'erpp' is not declared in use.secrets") && Contains("erp"));
    CHECK_THAT(words(shell(kEnvironment, "7")), Contains("names of secrets"));
    CHECK_THAT(words("{ metadata: { reveal: erp }, run: { shell: { command: tool } } }"), Contains("is a list of secrets"));
    CHECK_THAT(words("{ metadata: { reveal: [ erp ] }, wait: PT1S }"), Contains("only 'run: shell' and 'run: script' reveal") && Contains("[reveal]"));
    CHECK_THAT(words("{ metadata: { reveal: [ erp ] }, call: http, with: { method: get, endpoint: 'https://a.example' } }"), Contains("only 'run: shell'"));
}

TEST_CASE("a reveal that package.yaml does not ask for, or asks for without the credential, is an error", "[workflows][reveal]")
{
    CHECK_THAT(words(shell(kEnvironment), "permissions: { commands: [ sh ], credentials: [ erp ] }\n"),
               Contains("task 'a' reveals the secret 'erp', which package.yaml does not ask for: permissions: { credentials: [ erp ], reveal: [ erp ] }"));
    CHECK_THAT(words(shell(kEnvironment), "permissions: { commands: [ sh ], reveal: [ erp ] }\n"), Contains("package.yaml") && Contains("names 'erp', which 'credentials' does not"));
    CHECK_THAT(words("{ wait: PT1S }", kGranted), Contains("permissions.reveal asks for erp, which no task reveals") && Contains("[permission-unused]"));
}

TEST_CASE("a secret in an http call needs no reveal, also in a task called shell", "[workflows][reveal]")
{
    CHECK(words("{ call: http, with: { method: get, endpoint: 'https://a.example', headers: { run: '${ $secrets.erp.password }' } } }",
                "permissions: { network: [ 'https://a.example' ], credentials: [ erp ] }\n") == "");
}

TEST_CASE("the effect says what its task reveals, and handles stay handles", "[workflows][reveal]")
{
    const Ran ran = run_flow("use: { secrets: [ erp ] }\ndo:\n  - a: " + shell(kEnvironment), {}, [](const workflows::EffectRequest&) {
        return Answer{.result = Json::object({{"code", 0}, {"stdout", ""}, {"stderr", ""}}), .fault = {}, .never = false, .after = {}};
    });
    REQUIRE(ran.requests.size() == 1);
    CHECK(ran.requests[0].with["reveal"] == Json::array({"erp"}));
    CHECK(ran.requests[0].with["environment"]["PW"].as_string() == workflows::secret_handle("erp", "password"));
}

TEST_CASE("a plan shows that a secret would be revealed, and what that needs", "[workflows][reveal]")
{
    PackageFolder folder;
    folder.file("package.yaml", "name: flow\nversion: 1.0.0\ncredentials: { erp: { kind: login } }\n" + kGranted).file("workflow.yaml", kHead + "do:\n  - a: " + shell(kEnvironment) + "\n");
    const auto package = workflows::load_package(folder.path());
    REQUIRE(package);
    const auto calls = workflows::plan(*package, "main", Json::object());
    REQUIRE(calls.size() == 2);
    CHECK_THAT(calls[1].what, Contains("would be given the value of: erp"));
    CHECK(calls[1].needs.back().text == "reveal erp");
}
