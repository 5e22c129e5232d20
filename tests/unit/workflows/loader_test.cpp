#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"
#include "workflows/schema.h"

using namespace mill;
using namespace mill::testing;

namespace {

const std::string kHead = "document: { dsl: 1.0.3, namespace: test, name: flow, version: 1.0.0 }\n";

std::string words(const std::string& text) { return findings(*lone(text.find("document:") == std::string::npos ? text : text)); }
std::string task(const std::string& body) { return findings(*lone("do: [ { x: { " + body + " } } ]")); }

}  // namespace

TEST_CASE("a finding stands at FILE:LINE:COLUMN of the key it is about", "[workflows][loader]")
{
    const std::string found = words(kHead + "do:\n  - first:\n      set: { n: 1 }\n  - second:\n      set: { n: 2 }\n      thn: end\n");
    CHECK(found == "flow.yaml:7:7: a 'set' task has no 'thn'; did you mean 'then'?\n");
}

TEST_CASE("broken YAML is one finding with its place", "[workflows][loader]")
{
    CHECK_THAT(words(kHead + "do:\n  - a: { set: { n: 1 }\n"), Catch::StartsWith("flow.yaml:"));
    CHECK_THAT(words(kHead + "do: [ { a: { set: { n: 1, n: 2 } } } ]"), Catch::Contains("flow.yaml:2:") && Catch::Contains("'n' stands here twice"));
    CHECK_THAT(words(kHead + "do: &x [ { a: { set: { n: 1 } } } ]"), Catch::Contains("anchors"));
}

TEST_CASE("the document's header is checked", "[workflows][loader]")
{
    const auto head = [](const std::string& header) { return words("document: " + header + "\ndo: [ { a: { set: { n: 1 } } } ]\n"); };
    CHECK(head("{ dsl: 1.0.0, namespace: a, name: b, version: 1.2.3-rc.1, title: t, summary: s, tags: { a: b }, metadata: { x: 1 } }").empty());
    CHECK_THAT(head("{ dsl: 2.0.0, namespace: a, name: b, version: 1.0.0 }"), Catch::Contains("DSL version '2.0.0' is not supported"));
    CHECK_THAT(head("{ dsl: 1.0.3, namespace: A_b, name: b, version: 1.0.0 }"), Catch::Contains("the namespace 'A_b' is no name"));
    CHECK_THAT(head("{ dsl: 1.0.3, namespace: a, name: b-, version: 1.0.0 }"), Catch::Contains("the name 'b-' is no name"));
    CHECK(head("{ dsl: 1.0.3, namespace: Ab-1, name: customFunctionWorkflow, version: 1.0.0 }").empty());
    for (const char* other : {"1.0.4", "1.0.3-x", "1.0", "1.0.0-"}) CHECK_THAT(head(fmt::format("{{ dsl: '{}', namespace: a, name: b, version: 1.0.0 }}", other)), Catch::Contains("1.0.0 to 1.0.3 are"));
    CHECK_THAT(head("{ dsl: 1.0.3, namespace: a, name: b, version: '1.0' }"), Catch::Contains("'1.0' is no semantic version"));
    CHECK_THAT(head("{ dsl: 1.0.3, namespace: a, name: b, version: 1.0 }"), Catch::Contains("document.version must be a string, not number"));
    CHECK_THAT(head("{ dsl: 1.0.3, namespace: a, name: b }"), Catch::Contains("document needs 'version'"));
    CHECK_THAT(words("do: [ { a: { set: { n: 1 } } } ]\nother: 1\n" + kHead), Catch::Contains("a workflow has no 'other'"));
    CHECK_THAT(words(kHead), Catch::Contains("a workflow needs 'do'"));
}

TEST_CASE("what the profile leaves out is refused by its name", "[workflows][loader]")
{
    CHECK_THAT(task("listen: { to: { any: [] } }"), Catch::Contains("'listen' is not supported"));
    CHECK_THAT(task("call: grpc, with: {}"), Catch::Contains("'call: grpc' is not supported"));
    CHECK_THAT(task("call: asyncapi, with: {}"), Catch::Contains("asyncapi"));
    CHECK_THAT(task("call: mcp, with: {}"), Catch::Contains("mcp"));
    CHECK_THAT(task("call: a2a, with: {}"), Catch::Contains("a2a"));
    CHECK_THAT(task("call: 'f:1.0.0@elsewhere'"), Catch::Contains("catalog 'elsewhere'"));
    CHECK_THAT(task("call: 'https://x.test/f.yaml'"), Catch::Contains("not fetched by URL"));
    CHECK_THAT(task("run: { container: { image: x } }"), Catch::Contains("'run.container' is not supported"));
    CHECK_THAT(task("run: { script: { language: ruby, code: x } }"), Catch::Contains("'ruby' is not supported"));
    CHECK_THAT(task("call: http, with: { method: get, endpoint: { uri: http://x.test, authentication: { certificate: {} } } }"), Catch::Contains("'certificate' is not supported"));
    CHECK_THAT(words("use: { catalogs: { a: {} } }\ndo: [ { a: { set: { n: 1 } } } ]"), Catch::Contains("'use.catalogs' is not supported"));
    CHECK_THAT(words("use: { extensions: [] }\ndo: [ { a: { set: { n: 1 } } } ]"), Catch::Contains("'use.extensions' is not supported"));
    CHECK_THAT(words("evaluate: { mode: loose }\ndo: [ { a: { set: { n: 1 } } } ]"), Catch::Contains("'loose' is not supported"));
    CHECK_THAT(words("evaluate: { language: js }\ndo: [ { a: { set: { n: 1 } } } ]"), Catch::Contains("jq"));
    CHECK(words("evaluate: { language: jq, mode: strict }\ndo: [ { a: { set: { n: 1 } } } ]").empty());
    CHECK_THAT(words("schedule: { on: { any: [] } }\ndo: [ { a: { set: { n: 1 } } } ]"), Catch::Contains("'schedule.on' is not supported"));
    CHECK(words("schedule: { every: { hours: 1 } }\ndo: [ { a: { set: { n: 1 } } } ]").empty());
}

TEST_CASE("a task that is none says what a task is", "[workflows][loader]")
{
    CHECK_THAT(task("sett: { n: 1 }"), Catch::Contains("did you mean 'set'"));
    CHECK_THAT(words("do: [ { a: { set: { n: 1 } }, b: { set: { n: 1 } } } ]"), Catch::Contains("one name with its task"));
    CHECK_THAT(words("do: []"), Catch::Contains("a list of tasks"));
    CHECK_THAT(words("do: { a: { set: { n: 1 } } }"), Catch::Contains("a list of tasks"));
    CHECK_THAT(words("do: [ { a: { set: { n: 1 } } }, { a: { set: { n: 1 } } } ]"), Catch::Contains("a second task named 'a'"));
}

TEST_CASE("'then' must name a task of the same list", "[workflows][loader]")
{
    CHECK_THAT(words("do: [ { one: { set: { n: 1 }, then: tow } }, { two: { set: { n: 1 } } } ]"), Catch::Contains("'then' names 'tow'") && Catch::Contains("did you mean 'two'"));
    CHECK_THAT(words("do: [ { one: { do: [ { in: { set: { n: 1 }, then: two } } ] } }, { two: { set: { n: 1 } } } ]"), Catch::Contains("'then' names 'two'"));
    CHECK_THAT(words("do: [ { s: { switch: [ { c: { when: .a, then: nowhere } } ] } } ]"), Catch::Contains("nowhere"));
}

TEST_CASE("several mistakes are all found in one go", "[workflows][loader]")
{
    const auto package = lone("do:\n  - a: { set: 5 }\n  - b: { call: nothing }\n  - c: { wait: soon }\n  - d: { for: { each: x }, do: [ { e: { set: { n: 1 } } } ] }\n");
    CHECK(package->findings.size() == 4);
}

TEST_CASE("variables may not hide the language's own names", "[workflows][loader]")
{
    CHECK_THAT(task("for: { each: context, in: .a }, do: [ { e: { set: { n: 1 } } } ]"), Catch::Contains("'context' cannot be a variable's name"));
    CHECK_THAT(task("for: { each: 'a b', in: .a }, do: [ { e: { set: { n: 1 } } } ]"), Catch::Contains("cannot be a variable's name"));
    CHECK_THAT(task("try: [ { e: { set: { n: 1 } } } ], catch: { as: input }"), Catch::Contains("'input' cannot be a variable's name"));
}

TEST_CASE("a case without 'when' before others draws a warning", "[workflows][loader]")
{
    CHECK_THAT(task("switch: [ { a: { then: end } }, { b: { when: .x, then: end } } ]"), Catch::Contains("warning: case 'a' has no 'when'"));
}

TEST_CASE("schemas: the keywords that hold, and the others refused by name", "[workflows][schema]")
{
    const auto schema = [](const std::string& text) { return workflows::compile_schema(json(text)); };
    CHECK((*schema(R"({"type":"integer","minimum":3})"))->mistakes(4).empty());
    CHECK((*schema(R"({"type":"integer","minimum":3})"))->mistakes(2).size() == 1);
    CHECK((*schema(R"({"properties":{"a":{"items":{"type":"string"}}}})"))->mistakes(json(R"({"a":["x",5]})")).at(0).starts_with("/a/1"));
    CHECK((*schema(R"({"$schema":"https://json-schema.org/draft/2020-12/schema","enum":[1,"a",null]})"))->mistakes(nullptr).empty());
    CHECK((*schema(R"({"definitions":{"n":{"type":"number"}},"properties":{"x":{"$ref":"#/definitions/n"}}})"))->mistakes(json(R"({"x":"y"})")).size() >= 1);
    CHECK((*schema(R"({"pattern":"^[a-z]+$"})"))->mistakes("ABC").size() == 1);
    CHECK((*schema(R"({"properties":{"prefixItems":{"type":"string"}}})"))->mistakes(json(R"({"prefixItems":"x"})")).empty());
    CHECK((*schema("false"))->mistakes(1).size() >= 1);
    CHECK((*schema("true"))->mistakes(1).empty());
    for (const char* wrong : {R"({"prefixItems":[]})", R"({"properties":{"a":{"unevaluatedProperties":false}}})", R"({"$ref":"https://x.test/s.json"})", "5", R"({"type":"strnig"})",
                              R"({"pattern":"("})", R"({"$schema":"https://x.test/own"})"})
        CHECK_FALSE(schema(wrong));
    const auto both = schema(R"({"if":{"required":["a"]},"then":{"required":["b"]},"propertyNames":{"pattern":"^[a-z]$"},"x-own":1})");
    CHECK((*both)->mistakes(json(R"({"a":1,"b":2})")).empty());
    CHECK_FALSE((*both)->mistakes(json(R"({"a":1})")).empty());
    CHECK_FALSE((*both)->mistakes(json(R"({"A":1})")).empty());
    CHECK_FALSE((*schema(R"({"contains":{"const":3}})"))->mistakes(json("[1,2]")).empty());
    CHECK_THAT(schema(R"({"requried":["a"]})").error().what, Catch::Contains("'requried' is no keyword") && Catch::Contains("did you mean 'required'"));
    CHECK_THAT(schema(R"({"properties":{"a":{"minimun":1}}})").error().what, Catch::Contains("/properties/a/minimun"));
    CHECK(schema(R"({"properties":{"minimun":{"default":{"any":1},"enum":[{"thing":1}],"examples":[{"thing":1}]}}})"));
    CHECK_THAT(words("input: { schema: { document: { prefixItems: [] } } }\ndo: [ { a: { set: { n: 1 } } } ]"), Catch::Contains("'prefixItems' is not supported"));
    CHECK_THAT(words("input: { schema: { format: avro, document: {} } }\ndo: [ { a: { set: { n: 1 } } } ]"), Catch::Contains("'avro' is not supported"));
}

TEST_CASE("a schema may be a file of the package", "[workflows][schema]")
{
    const std::string flow = "input: { schema: { resource: { endpoint: 'package:///s.json' } } }\ndo: [ { a: { set: { n: 1 } } } ]";
    CHECK(drive(lone(flow, {{"s.json", R"({"required":["a"]})"}})).phase == workflows::Phase::faulted);
    CHECK(drive(lone(flow, {{"s.json", R"({"required":["a"]})"}}), json(R"({"a":1})")).phase == workflows::Phase::completed);
    CHECK_THAT(findings(*lone(flow)), Catch::Contains("no file 's.json'"));
}

TEST_CASE("a document of a thousand tasks loads and runs", "[workflows][loader]")
{
    std::string text = kHead + "do:\n";
    for (int i = 0; i < 1000; ++i) text += fmt::format("  - t{0}: {{ set: {{ n: '${{ .n + {0} }}' }} }}\n", i);
    const auto package = lone(text);
    CHECK(findings(*package).empty());
    CHECK(drive(package, json(R"({"n":0})")).output["n"] == Json(499500));
}
