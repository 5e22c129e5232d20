// tests/unit/workflows/rules.h -- what the tests of the language's rules share.
#pragma once

#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"

namespace mill::testing {

inline std::string standard(const std::string& word) { return "https://serverlessworkflow.io/spec/1.0.0/errors/" + word; }

/// The name of a standard type, or the whole of another.
inline std::string kind_of(const workflows::Fault& fault)
{
    return fault.type.starts_with(standard("")) ? fault.type.substr(standard("").size()) : fault.type;
}

/// A task that has its effect answered by the test.
inline std::string get(const std::string& more = "") { return "{ call: http, with: { method: get, endpoint: http://x.test/" + more + " } }"; }

inline Json http_ok(const std::string& text = "{}")
{
    return Json::object({{"status", 200}, {"headers", Json::object({{"content-type", "application/json"}})}, {"text", text}});
}

inline Answer never() { return {.result = {}, .fault = {}, .never = true}; }
inline Answer refused(const std::string& type, int status) { return {.result = {}, .fault = workflows::Fault{type, "no", "", "", status}}; }

/// Fails so many times with communication/503, then answers {"ok":true}.
inline Answers flaky(int times)
{
    auto left = std::make_shared<int>(times);
    return [left](const workflows::EffectRequest&) { return --*left >= 0 ? refused("communication", 503) : Answer{.result = http_ok(R"({"ok":true})"), .fault = {}}; };
}

/// The lifecycle events: "workflow.started task.created(/do/0/a) …", without those that are not of the lifecycle.
inline std::string lifecycle(const Ran& ran)
{
    const std::string prefix = "io.serverlessworkflow.";
    std::string out;
    for (const Json& event : ran.events) {
        std::string type = event["type"].as_string();
        if (!type.starts_with(prefix)) continue;
        type = type.substr(prefix.size(), type.size() - prefix.size() - 3);
        out += (out.empty() ? "" : " ") + type + (event["data"].contains("task") ? "(" + event["data"]["task"].as_string() + ")" : "");
    }
    return out;
}

}  // namespace mill::testing
