#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"
#include "workflows/openapi.h"

using namespace mill;
using namespace mill::testing;
using workflows::EffectRequest;

namespace {

const char* const kSwagger = R"({"swagger":"2.0","info":{},"host":"api.test:8443","basePath":"/v2","schemes":["https"],
  "parameters":{"trace":{"name":"X-Trace","in":"header","type":"string"}},
  "paths":{"/pet/{id}":{"parameters":[{"name":"id","in":"path","required":true,"type":"integer"}],
      "get":{"operationId":"getPet","parameters":[{"$ref":"#/parameters/trace"}]},
      "post":{"operationId":"renamePet","parameters":[{"name":"name","in":"formData","type":"string"},{"name":"age","in":"formData","type":"integer"}]}},
    "/pets":{"get":{"operationId":"findPets","parameters":[{"name":"status","in":"query","type":"array","collectionFormat":"multi"},{"name":"tags","in":"query","type":"array"}]},
      "put":{"operationId":"putPet","parameters":[{"name":"pet","in":"body","required":true}]}}}})";

const char* const kThree = R"(openapi: 3.0.3
info: { title: t }
servers: [ { url: '{where}/v3/', variables: { where: { default: https://three.test } } } ]
paths:
  /orders/{id}:
    put:
      operationId: putOrder
      parameters: [ { name: id, in: path, required: true, schema: { type: string } }, { name: all, in: query, explode: false, schema: { type: array } } ]
      requestBody: { required: true, content: { application/json: {} } }
      responses: { 200: { description: ok } }
)";

std::string request(const char* text, const char* operation, const char* parameters)
{
    const auto document = workflows::parse_openapi(text);
    if (!document) return document.error().what;
    const auto made = workflows::openapi_request(*document, "https://docs.test/a/swagger.json", operation, json(parameters));
    return made ? dump_json(*made) : made.error().what;
}

}  // namespace

TEST_CASE("a Swagger 2.0 operation becomes a request", "[workflows][openapi]")
{
    CHECK(request(kSwagger, "getPet", R"({"id":7,"X-Trace":"t"})") == R"({"method":"GET","uri":"https://api.test:8443/v2/pet/7","query":{},"headers":{"X-Trace":"t"}})");
    CHECK(request(kSwagger, "findPets", R"({"status":["a","b"],"tags":["x","y"]})") == R"({"method":"GET","uri":"https://api.test:8443/v2/pets","query":{"status":["a","b"],"tags":"x,y"},"headers":{}})");
    CHECK(request(kSwagger, "renamePet", R"({"id":"a/b","name":"x y","age":3})") ==
          R"({"method":"POST","uri":"https://api.test:8443/v2/pet/a%2Fb","query":{},"bodyText":"name=x%20y&age=3","headers":{"Content-Type":"application/x-www-form-urlencoded"}})");
    CHECK(request(kSwagger, "putPet", R"({"pet":{"n":1}})") == R"({"method":"PUT","uri":"https://api.test:8443/v2/pets","query":{},"body":{"n":1},"headers":{}})");
}

TEST_CASE("an OpenAPI 3 operation becomes a request; what is no parameter is its body", "[workflows][openapi]")
{
    CHECK(request(kThree, "putOrder", R"({"id":"o1","all":[1,2],"amount":5})") == R"({"method":"PUT","uri":"https://three.test/v3/orders/o1","query":{"all":"1,2"},"body":{"amount":5},"headers":{}})");
    CHECK(request(kThree, "putOrder", R"({"id":"o1","body":[1]})") == R"({"method":"PUT","uri":"https://three.test/v3/orders/o1","query":{},"body":[1],"headers":{}})");
}

TEST_CASE("wrong calls of an operation are named", "[workflows][openapi]")
{
    CHECK_THAT(request(kSwagger, "getPets", "{}"), Catch::Contains("no operation 'getPets'; did you mean 'getPet'"));
    CHECK_THAT(request(kSwagger, "getPet", "{}"), Catch::Contains("needs the parameter 'id'"));
    CHECK_THAT(request(kSwagger, "getPet", R"({"id":1,"nme":2})"), Catch::Contains("has no parameter 'nme'"));
    CHECK_THAT(request(kThree, "putOrder", R"({"id":"1"})"), Catch::Contains("needs a body"));
    CHECK_THAT(request(R"({"openapi":"4.0"})", "x", "{}"), Catch::Contains("neither"));
    CHECK_THAT(request("a: [", "x", "{}"), Catch::Contains("OpenAPI document"));
    CHECK_THAT(request(R"({"openapi":"3.0.0","paths":{".test/x":{"get":{"operationId":"x"}}}})", "x", "{}"), Catch::Contains("does not begin with /"));
}

TEST_CASE("servers that are relative, or none, are those of the document's own address", "[workflows][openapi]")
{
    const auto uri = [](const char* servers) {
        const std::string text = std::string(R"({"openapi":"3.1.0",)") + servers + R"("paths":{"/x":{"get":{"operationId":"x"}}}})";
        return json(request(text.c_str(), "x", "{}"))["uri"].as_string();
    };
    CHECK(uri("") == "https://docs.test/x");
    CHECK(uri(R"("servers":[{"url":"/v1"}],)") == "https://docs.test/v1/x");
    CHECK(uri(R"("servers":[{"url":"v1"}],)") == "https://docs.test/a/v1/x");
}

TEST_CASE("a server's variable is put in once, whatever its default says, and no address grows without bound", "[workflows][openapi]")
{
    const auto made = [](const std::string& url, const std::string& value) {
        return request(fmt::format(R"({{"openapi":"3.0.0","servers":[{{"url":"{}","variables":{{"v":{{"default":"{}"}}}}}}],)"
                                   R"("paths":{{"/x":{{"get":{{"operationId":"x"}}}}}}}})", url, value).c_str(), "x", "{}");
    };
    CHECK_THAT(made("https://{v}.test", "{v}"), Catch::Contains(R"("uri":"https://{v}.test/x")"));
    CHECK_THAT(made("https://{v}.test", "a{v}"), Catch::Contains(R"("uri":"https://a{v}.test/x")"));
    std::string many;
    for (int i = 0; i < 10'000; ++i) many += "{v}";
    CHECK_THAT(made("https://" + many, std::string(1000, 'a')), Catch::Contains("address is longer than 65536 bytes"));
    CHECK_THAT(request((R"({"openapi":"3.0.0","paths":{"/)" + many + R"(":{"get":{"operationId":"x","parameters":[{"name":"v","in":"path"}]}}}})").c_str(), "x",
                       (R"({"v":")" + std::string(1000, 'a') + R"("})").c_str()), Catch::Contains("address is longer than"));
}

TEST_CASE("call: openapi fetches its document once and then calls the operation", "[workflows][openapi]")
{
    const Ran ran = run_flow(R"(
do:
  - one: { call: openapi, with: { document: { endpoint: 'https://docs.test/s.json' }, operationId: getPet, parameters: { id: '${ .id }' } }, output: { as: '{id: 8, got: .}' } }
  - two: { call: openapi, with: { document: { endpoint: { uri: 'https://docs.test/s.json' } }, operationId: getPet, parameters: { id: '${ .id }' }, output: response }, output: { as: .statusCode } }
)", json(R"({"id":7})"), [](const EffectRequest& asked) {
        const std::string text = asked.with["uri"] == Json("https://docs.test/s.json") ? kSwagger : R"({"name":"x"})";
        return Answer{.result = Json::object({{"status", 200}, {"headers", Json::object({{"content-type", "application/json"}})}, {"text", text}}), .fault = {}};
    });
    CHECK(ran.words() == "200");
    REQUIRE(ran.requests.size() == 3);
    CHECK(ran.requests[1].with["uri"] == Json("https://api.test:8443/v2/pet/7"));
    CHECK(ran.requests[2].with["uri"] == Json("https://api.test:8443/v2/pet/8"));
}

TEST_CASE("a document of the package is checked when the workflow is loaded", "[workflows][openapi]")
{
    const auto flow = [](const std::string& operation) {
        return "do: [ { a: { call: openapi, with: { document: { endpoint: 'package:///api.json' }, operationId: " + operation + ", parameters: { id: 1 } } } } ]";
    };
    CHECK(findings(*lone(flow("getPet"), {{"api.json", kSwagger}})).empty());
    CHECK_THAT(findings(*lone(flow("getPte"), {{"api.json", kSwagger}})), Catch::Contains("did you mean 'getPet'"));
    CHECK_THAT(findings(*lone(flow("getPet"))), Catch::Contains("no file 'api.json'"));
}
