// tests/support/workflow_run.h -- runs an interpreter in a test: canned answers to effects, a clock that jumps to the next timer.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "workflows/expression.h"
#include "workflows/interpreter.h"
#include "workflows/loader.h"
#include "workflows/package.h"
#include "workflows/place.h"

namespace mill::testing {

/// Called with each document that `lone` loads without an error; the tests of the published schema set it.
inline void (*on_accepted)(const std::string& text) = nullptr;

/// A lone workflow as a package. `body` is YAML from `do:` on (and `use:`, `input:` …); the header is added.
inline std::shared_ptr<workflows::Package> lone(const std::string& body, std::map<std::string, std::string> more = {})
{
    std::map<std::string, std::string> files = std::move(more);
    const std::string text = body.starts_with("document:") || body.find("\ndocument:") != std::string::npos ? body
        : "document: { dsl: 1.0.3, namespace: test, name: flow, version: 1.0.0 }\n" + body;
    auto out = std::make_shared<workflows::Package>();
    out->manifest.workflows["main"] = "flow.yaml";
    files["flow.yaml"] = text;
    std::vector<std::shared_ptr<workflows::Document>> documents;
    std::vector<workflows::Expression*> expressions;
    for (const auto& [name, content] : files) {
        if (!name.ends_with(".yaml")) continue;
        auto document = workflows::load_document(content, name, [&files](std::string_view asset) -> const std::string* {
            const auto found = files.find(std::string(asset));
            return found == files.end() ? nullptr : &found->second;
        }, out->findings);
        for (auto& expression : document->expressions) expressions.push_back(&expression);
        out->workflows[name == "flow.yaml" ? "main" : name.substr(0, name.size() - 5)] = document;
        documents.push_back(document);
    }
    std::vector<workflows::CompileError> errors;
    out->program = workflows::compile(expressions, errors);
    for (const auto& error : errors)
        out->findings.push_back({workflows::Finding::Level::error, "flow.yaml",
                                 workflows::place_inside(files["flow.yaml"], error.expression->mark, error.expression->text, error.offset), fmt::format("expression '{}': {}", error.expression->text, error.what), "expression"});
    if (on_accepted != nullptr && out->valid()) on_accepted(files["flow.yaml"]);
    return out;
}

/// All findings, one a line.
inline std::string findings(const workflows::Package& package)
{
    std::string out;
    for (const auto& finding : package.findings) out += finding.format() + "\n";
    return out;
}

struct Answer {
    Json result;
    std::optional<workflows::Fault> fault;
    bool never = false;  ///< leave it open
    Milliseconds after{0};
};
using Answers = std::function<Answer(const workflows::EffectRequest&)>;

struct Ran {
    workflows::Phase phase = workflows::Phase::pending;
    Json output;
    workflows::Fault fault;
    std::vector<workflows::EffectRequest> requests;
    std::vector<std::uint64_t> cancelled;
    std::vector<workflows::TaskChange> changes;
    std::vector<Json> events;
    Milliseconds took{0};
    std::string problem;

    std::string words() const  ///< of the end, for a failing CHECK
    {
        return problem.empty() ? dump_json(phase == workflows::Phase::completed ? output : workflows::to_json(fault)) : problem;
    }
    int count(std::string_view task, std::string_view state) const
    {
        int out = 0;
        for (const auto& change : changes) out += change.name == task && change.state == state ? 1 : 0;
        return out;
    }
    std::string order() const  ///< "a b c": tasks in the order in which they ended
    {
        std::string out;
        for (const auto& change : changes)
            if (change.state == "completed") out += (out.empty() ? "" : " ") + change.name;
        return out;
    }
};

inline Ran drive(const std::shared_ptr<workflows::Package>& package, const Json& input = Json::object(), const Answers& answers = {},
                 workflows::RunOptions options = {}, Milliseconds at_most = Milliseconds(100'000'000))
{
    Ran out;
    options.input = input;
    if (options.run_id.empty()) options.run_id = "run-1";
    auto made = workflows::make_interpreter(package, options);
    if (!made) {
        out.problem = made.error().what;
        return out;
    }
    workflows::Interpreter& flow = **made;
    FakeClock clock;
    const SteadyTime begin = clock.steady();
    std::multimap<std::int64_t, std::pair<std::uint64_t, Answer>> due;
    for (int turn = 0; turn < 1'000'000; ++turn) {
        flow.advance(clock.now(), clock.steady());
        for (auto& change : flow.take_changes()) out.changes.push_back(std::move(change));
        for (auto& event : flow.take_cloud_events()) out.events.push_back(std::move(event));
        for (const auto id : flow.take_cancellations()) out.cancelled.push_back(id);
        for (auto& request : flow.take_requests()) {
            Answer answer = answers ? answers(request) : Answer{};
            if (!answer.never) due.emplace((clock.steady() + answer.after).microseconds, std::pair(request.id, answer));
            out.requests.push_back(std::move(request));
        }
        out.phase = flow.phase();
        if (out.phase != workflows::Phase::running && out.phase != workflows::Phase::waiting) break;
        if (!due.empty() && due.begin()->first <= clock.steady().microseconds) {
            const auto [id, answer] = due.begin()->second;
            due.erase(due.begin());
            if (answer.fault) flow.fail(id, *answer.fault);
            else flow.complete(id, answer.result);
            continue;
        }
        std::optional<SteadyTime> next = flow.wake_at();
        if (!due.empty() && (!next || due.begin()->first < next->microseconds)) next = SteadyTime{due.begin()->first};
        if (!next) {
            out.problem = "it waits for nothing";
            break;
        }
        if (*next > clock.steady()) clock.advance(*next - clock.steady());
        if (clock.steady() - begin > at_most) {
            flow.cancel("the test's time is over");
            for (auto& change : flow.take_changes()) out.changes.push_back(std::move(change));
            for (auto& event : flow.take_cloud_events()) out.events.push_back(std::move(event));
            for (const auto id : flow.take_cancellations()) out.cancelled.push_back(id);
            for (auto& request : flow.take_requests()) out.requests.push_back(std::move(request));
            out.phase = flow.phase();
            break;
        }
    }
    out.took = std::chrono::duration_cast<Milliseconds>(clock.steady() - begin);
    if (out.phase == workflows::Phase::completed) out.output = flow.output();
    else out.fault = flow.fault();
    return out;
}

/// The usual: loads, runs, gives back.
inline Ran run_flow(const std::string& body, const Json& input = Json::object(), const Answers& answers = {}, workflows::RunOptions options = {})
{
    return drive(lone(body), input, answers, std::move(options));
}

inline Json json(std::string_view text) { return parse_json(text).value_or(Json("NOT JSON")); }

}  // namespace mill::testing
