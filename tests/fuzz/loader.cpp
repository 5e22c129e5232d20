// Loads a workflow document: every finding has a place. What has no mistake and needs no jq is run for some steps with canned
// answers, and must come to an end.
#include <cstdint>
#include <memory>
#include <string_view>

#include "tests/support/workflow_run.h"

using namespace mill;
using namespace mill::workflows;

namespace {

/// What a package might bring along: a schema and an OpenAPI document.
const std::string* asset(std::string_view path)
{
    static const std::string kSchema = R"({"type":"object","required":["name"],"properties":{"name":{"type":"string"}}})";
    static const std::string kApi = R"({"openapi":"3.0.0","servers":[{"url":"https://a.example"}],"paths":{"/p/{id}":{"get":{"operationId":"read","parameters":[{"name":"id","in":"path","required":true}]}}}})";
    if (path == "s.json") return &kSchema;
    return path == "api.json" ? &kApi : nullptr;
}

void run(std::shared_ptr<Document> document)
{
    auto package = std::make_shared<Package>();
    std::vector<Expression*> expressions;
    for (Expression& expression : document->expressions) {
        if (!expression.literal && !expression.path) return;  // jq has a target of its own
        expressions.push_back(&expression);
    }
    std::vector<CompileError> errors;
    package->program = compile(expressions, errors);
    package->workflows["main"] = std::move(document);
    RunOptions options;
    options.max_steps = 300;
    static const Json kInput = Json::object({{"name", "x"}, {"list", Json::array({1, 2, 3})}, {"yes", true}});
    int asked = 0;
    const auto answer = [&](const EffectRequest&) -> testing::Answer {
        if (++asked % 3 == 0) return {.result = {}, .fault = Fault{"communication", "no", "", "", 503}};
        return {.result = Json::object({{"status", 200}, {"headers", Json::object()}, {"body", kInput}, {"code", 0}, {"stdout", "x"}, {"stderr", ""}}), .fault = {}};
    };
    const testing::Ran ran = testing::drive(package, kInput, answer, options);
    check(ran.problem.empty() && ran.phase != Phase::pending, "a run came to no end");
    check(ran.phase != Phase::faulted || !ran.fault.type.empty(), "a fault without a type");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    std::vector<Finding> findings;
    auto document = load_document({reinterpret_cast<const char*>(data), size}, "f.yaml", asset, findings);
    bool mistaken = false;
    for (const Finding& finding : findings) {
        check(finding.mark.line > 0 && finding.mark.column > 0 && !finding.text.empty(), "a finding without a place");
        mistaken = mistaken || finding.level == Finding::Level::error;
    }
    check(mistaken || document->main >= 0, "nothing loaded and nothing said");
    if (!mistaken) run(std::move(document));
    return 0;
}
