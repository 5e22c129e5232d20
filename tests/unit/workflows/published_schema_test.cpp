#include <filesystem>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"
#include "workflows/activities/registry.h"
#include "workflows/schema.h"
#include "workflows/schemas/schemas.h"

using namespace mill;
using namespace mill::testing;
namespace fs = std::filesystem;

namespace {

const std::string kHead = "document: { dsl: 1.0.3, namespace: test, name: flow, version: 1.0.0 }\n";

using Compiled = Result<std::shared_ptr<const workflows::Schema>>;

/// The first mistake, or "".
std::string mistake_of(const Compiled& schema, const std::string& yaml)
{
    const auto document = parse_yaml(yaml);
    if (!document) return document.error().what;
    REQUIRE(schema);
    const std::vector<std::string> all = (*schema)->mistakes(document->value);
    return all.empty() ? std::string() : all.front();
}

std::string workflow(const std::string& body)
{
    static const Compiled schema = workflows::compile_schema(workflows::workflow_schema());
    return mistake_of(schema, body.find("document:") == std::string::npos ? kHead + body : body);
}
std::string task(const std::string& body) { return workflow("do: [ { x: { " + body + " } } ]"); }
std::string package(const std::string& text)
{
    static const Compiled schema = workflows::compile_schema(workflows::package_schema());
    return mistake_of(schema, text);
}

std::string content(const fs::path& path)
{
    std::ifstream file(path);
    std::stringstream out;
    out << file.rdbuf();
    return out.str();
}

/// Every document that any test of this program loads without an error fits the schema, too.
const bool kListening = [] {
    on_accepted = [](const std::string& text) {
        if (text.size() > 50'000) return;  // a thousand tasks of the same form
        if (text.find("functions: { log:") != std::string::npos) return;  // a function under an activity's name: a schema takes it for the activity
        INFO(text);
        CHECK(workflow(text) == "");
    };
    return true;
}();

}  // namespace

TEST_CASE("the published schemas are draft 7 and describe themselves", "[workflows][published]")
{
    for (const Json& schema : {workflows::workflow_schema(), workflows::package_schema()}) {
        CHECK(workflows::compile_schema(schema).has_value());
        CHECK(schema["$schema"] == Json("http://json-schema.org/draft-07/schema#"));
        for (const auto& [key, member] : schema["properties"].as_object()) {
            INFO(key);
            const bool inside = !member["description"].as_string().empty() || member.contains("$ref") || member.contains("properties");
            CHECK(inside);
        }
    }
    const Json task = workflows::workflow_schema()["definitions"]["task"];
    for (const auto& [key, member] : task["properties"].as_object()) {
        INFO(key);
        CHECK((member.contains("description") || member.contains("$ref") || member.contains("properties")));
    }
}

TEST_CASE("the packages that we ship fit both schemas", "[workflows][published]")
{
    const char* source = std::getenv("MILL_SOURCE");
    if (source == nullptr) {
        WARN("SKIP: MILL_SOURCE is not set");
        return;
    }
    int count = 0;
    for (const auto& entry : fs::directory_iterator(fs::path(source) / "workflows/packages")) {
        INFO(entry.path().string());
        CHECK(package(content(entry.path() / "package.yaml")) == "");
        CHECK(workflow(content(entry.path() / "workflow.yaml")) == "");
        ++count;
    }
    CHECK(count >= 3);
}

TEST_CASE("the example of every activity fits the schema, as does one with expressions for arguments", "[workflows][published]")
{
    for (const workflows::Activity& activity : workflows::activities()) {
        INFO(activity.name);
        CHECK(workflow(dump_yaml(Json::object({{"do", Json::array({Json::object({{"x", activity.example}})})}}))) == "");
        Json with = Json::object();
        for (const auto& [name, member] : activity.with["properties"].as_object()) with.set(name, "${ .x }");
        CHECK(task("call: " + activity.name + ", with: " + dump_json(with)) == "");
    }
}

TEST_CASE("the schema refuses what the loader refuses", "[workflows][published]")
{
    const std::vector<std::string> tasks = {
        "sett: { n: 1 }", "set: 5", "set: { n: 1 }, thn: end", "set: { n: 1 }, call: log", "if: .a", "set: { n: 1 }, with: {}",
        "call: file.read, with: { path: 5 }", "call: file.read, with: { pth: /a }", "call: file.read, with: { encoding: utf-8 }", "call: file.read",
        "call: file.write, with: { path: /a, content: b, mode: all }", "call: progress, with: { percent: half }", "call: grpc, with: {}", "call: asyncapi, with: {}",
        "call: mcp, with: {}", "call: a2a, with: {}", "call: 'f:1.0.0@elsewhere'", "call: 'https://x.test/f.yaml'", "call: http", "call: http, with: { method: get }",
        "call: http, with: { method: fetch, endpoint: x }", "call: http, with: { method: get, endpoint: x, output: all }", "call: http, with: { method: get, endpoint: { url: x } }",
        "call: http, with: { method: get, endpoint: { uri: x, authentication: { certificate: {} } } }", "call: http, with: { method: get, endpoint: { uri: x, authentication: { basic: { username: a } } } }",
        "call: openapi, with: { document: { endpoint: x } }", "run: { container: { image: x } }", "run: { script: { language: ruby, code: x } }", "run: { script: { language: js } }",
        "run: { shell: { command: ls }, script: { language: js, code: x } }", "run: { workflow: { namespace: a, name: b } }",
        "listen: { to: { any: [] } }", "for: { each: x }, do: [ { a: { wait: PT1S } } ]", "for: { in: .a }", "while: .a, do: [ { a: { wait: PT1S } } ]", "fork: { branches: [] }",
        "fork: { branches: [ { a: { wait: PT1S } } ], compete: maybe }", "raise: {}", "raise: { error: { status: 500 } }", "emit: { event: {} }", "switch: []", "switch: [ { a: { when: .x } } ]",
        "try: [ { a: { wait: PT1S } } ]", "try: [ { a: { wait: PT1S } } ], catch: { error: {} }", "try: [ { a: { wait: PT1S } } ], catch: { retry: { delay: soon } }",
        "try: [ { a: { wait: PT1S } } ], catch: { retry: { backoff: { constant: {}, linear: {} } } }", "wait: soon", "wait: { second: 5 }", "wait: {}", "wait: { seconds: -1 }", "do: []",
        "do: { a: { wait: PT1S } }", "do: [ { a: { wait: PT1S }, b: { wait: PT1S } } ]", "wait: PT1S, timeout: { after: soon }", "wait: PT1S, input: { form: .a }"};
    for (const std::string& text : tasks) {
        INFO(text);
        CHECK(task(text) != "");
        CHECK_FALSE(lone("do: [ { x: { " + text + " } } ]")->valid());  // the two agree
    }
    const std::string ends = "\ndo: [ { a: { wait: PT1S } } ]";
    for (const std::string& text : {std::string("use: { catalogs: { a: {} } }"), std::string("use: { extensions: [] }"), std::string("use: { secrets: erp }"), std::string("use: { timeouts: { a: PT1S } }"),
                                    std::string("evaluate: { mode: loose }"), std::string("evaluate: { language: js }"), std::string("schedule: { on: { any: [] } }"), std::string("other: 1"),
                                    std::string("schedule: { every: PT1H, cron: '* * * * *' }"), std::string("input: { schema: {} }"), std::string("input: { schema: { format: avro, document: {} } }")}) {
        INFO(text);
        CHECK(workflow(text + ends) != "");
        CHECK_FALSE(lone(text + ends)->valid());
    }
    CHECK(workflow("do: []") != "");
    CHECK(workflow("document: { dsl: 2.0.0, namespace: a, name: b, version: 1.0.0 }" + ends) != "");
    CHECK(workflow("document: { dsl: 1.0.3, namespace: A_b, name: b, version: 1.0.0 }" + ends) != "");
}

TEST_CASE("package.yaml: what fits and what does not", "[workflows][published]")
{
    CHECK(package("name: a\nversion: 1.0.0\nworkflow: main.yaml\nworkflows: { nightly: n.yaml }\nvariables: { url: { type: string, required: true } }\ncredentials: { erp: { kind: login } }\n"
                  "permissions:\n  network: [ { variable: url }, 'smtp.example.com:587' ]\n  files: { read: [ /srv/a ], write: [ { variable: url } ] }\n  commands: [ sh ]\n  credentials: [ erp ]\n"
                  "  system: [ usage ]\n  limits: { memory: 256MiB, processes: 32 }\nrepeatable: true\n") == "");
    for (const char* wrong : {"version: 1.0.0", "name: A\nversion: 1.0.0", "name: a\nversion: '1'", "name: a\nversion: 1.0.0\nother: 1", "name: a\nversion: 1.0.0\npermissions: { networks: [] }",
                              "name: a\nversion: 1.0.0\npermissions: { files: { read: [ relative ] } }", "name: a\nversion: 1.0.0\nvariables: { x: { type: text } }",
                              "name: a\nversion: 1.0.0\nrepeatable: yes please", "name: a\nversion: 1.0.0\npermissions: { network: [ { variables: x } ] }"}) {
        INFO(wrong);
        CHECK(package(wrong) != "");
    }
}
