#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"
#include "workflows/plan.h"

using namespace mill;
using namespace mill::workflows;

namespace {

std::string planned(const std::string& body, const Json& variables = Json::object(), std::map<std::string, std::string> more = {})
{
    const auto package = testing::lone(body, std::move(more));
    INFO(testing::findings(*package));
    REQUIRE(package->valid());
    std::string out;
    for (const PlannedCall& call : plan(*package, "main", variables)) {
        out += call.name + " | " + call.what;
        for (const Need& need : call.needs) out += " | " + need.text + (need.unknown.empty() ? "" : " ? " + need.unknown);
        out += "\n";
    }
    return out;
}

}  // namespace

TEST_CASE("each call is listed with what it needs, also where a condition may skip it", "[workflows][plan]")
{
    CHECK(planned(R"(use: { functions: { save: { call: file.write, with: { path: /srv/out.txt, content: x } } } }
do:
  - ask: { if: '${ false }', call: http, with: { method: get, endpoint: "https://tickets.example.com:8443/orders/{order}" } }
  - keep: { call: save }
  - again: { try: [ { inner: { run: { shell: { command: "ls -l /srv" } } } } ], catch: { do: [ { tell: { run: { script: { language: python, code: "1" } } } } ] } }
  - both: { fork: { branches: [ { left: { call: system.usage } }, { right: { run: { shell: { command: "cat a | wc" } } } } ] } }
  - own: { call: file.write, with: { path: notes.txt, content: y } }
  - say: { call: log, with: { text: hello } }
)") == R"(ask | GET https://tickets.example.com:8443/orders/{order} | network https://tickets.example.com:8443
save | file.write /srv/out.txt | files.write /srv/out.txt
inner | ls -l /srv | commands ls
tell | a script with python3 | commands python3
left | system.usage | system usage
right | cat a | wc | commands sh
own | file.write notes.txt
say | log
)");
}

TEST_CASE("a variable is known beforehand, other expressions and hosts from the data are not", "[workflows][plan]")
{
    const std::string flow = R"(do:
  - a: { call: http, with: { method: get, endpoint: '${ $runtime.metadata.variables.api }' } }
  - b: { call: http, with: { method: get, endpoint: '${ .where }' } }
  - c: { call: http, with: { method: get, endpoint: 'https://{host}/x' } }
  - d: { call: file.read, with: { path: '${ .file }' } }
)";
    CHECK(planned(flow, Json::object({{"api", "https://a.example.com/v1"}})) == R"(a | GET https://a.example.com/v1 | network https://a.example.com
b | GET ${ .where } | network ? it comes from the expression '.where'
c | GET https://{host}/x | network ? the host in 'https://{host}' comes from the data
d | file.read ${ .file } | files.read ? it comes from the expression '.file'
)");
}

TEST_CASE("credentials and the workflows that are run from here are part of the plan, once each", "[workflows][plan]")
{
    CHECK(planned(R"(use: { secrets: [ erp-login ] }
do:
  - one: { run: { workflow: { namespace: test, name: other, version: 1.0.0 } } }
  - two: { run: { workflow: { namespace: test, name: other, version: 1.0.0 } } }
)", Json::object(), {{"other.yaml", "document: { dsl: 1.0.3, namespace: test, name: other, version: 1.0.0 }\ndo:\n  - u: { call: system.usage }\n"}}) ==
          "erp-login | the credential erp-login | credentials erp-login\nu | system.usage | system usage\n");
}
