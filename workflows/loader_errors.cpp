#include "workflows/loader.h"
#include "workflows/reader.h"

namespace mill::workflows {

ErrorFilter Reader::error_filter(const Node& node)
{
    ErrorFilter out;
    if (!keys(node, "'errors'", {"with"}) || !node.has("with")) return out;
    const Node with = node.at("with");
    if (!keys(with, "an error filter", {"type", "status", "instance", "title", "detail", "details"})) return out;
    for (const auto& [key, into] : {std::pair{"type", &out.type}, std::pair{"instance", &out.instance}, std::pair{"title", &out.title},
                                    std::pair{"detail", &out.detail}, std::pair{"details", &out.detail}})
        if (with.has(key) && text(with.at(key), key)) *into = with.at(key).value->as_string();
    if (with.has("status")) {
        if (!with.at("status").value->is_integer()) error(with.at("status").pointer, "'status' is a number");
        else out.status = static_cast<int>(with.at("status").value->as_integer());
    }
    return out;
}

/// What `raise` raises, written in place or in use.errors.
Template Reader::error_definition(const Node& node, const Names& scope)
{
    if (!keys(node, "an error", {"type", "status", "title", "detail", "instance"})) return {};
    require(node, "an error", {"type", "status"});
    const auto is_expression = [](const Json& value) { return value.is_string() && value.as_string().find("${") != std::string::npos; };
    for (const char* key : {"type", "title", "detail", "instance"})
        if (node.has(key)) text(node.at(key), fmt::format("an error's '{}'", key));
    if (node.has("status") && !node.at("status").value->is_integer() && !is_expression(*node.at("status").value))
        error(node.at("status").pointer, "an error's 'status' is a number");
    return templated(node, scope);
}

void Reader::try_task(Task& task, const Node& node, const Names& locals)
{
    task.list = task_list(node.at("try"), locals);
    if (!require(node, "'try'", {"catch"})) return;
    const Node handler = node.at("catch");
    if (!keys(handler, "'catch'", {"errors", "as", "when", "exceptWhen", "retry", "do", "then"})) return;
    CatchClause made;
    if (handler.has("errors")) made.errors = error_filter(handler.at("errors"));
    if (handler.has("as") && text(handler.at("as"), "'as'")) {
        made.as = handler.at("as").value->as_string();
        if (!is_variable_name(made.as)) error(handler.at("as").pointer, fmt::format("'{}' cannot be a variable's name", made.as));
    }
    const Names inside = plus_names(locals, {made.as});
    const Names scope = plus_names(inside, {"context", "secrets", "workflow", "runtime", "task", "input", "authorization"});
    if (handler.has("when")) made.when = expression(handler.at("when"), scope);
    if (handler.has("exceptWhen")) made.except_when = expression(handler.at("exceptWhen"), scope);
    if (handler.has("retry")) {
        Node policy = handler.at("retry");
        if (policy.value->is_string()) {
            const std::string name = policy.value->as_string();
            const Node retries = use_ ? use_.at("retries") : Node{};
            if (!retries || !retries.has(name)) {
                error(policy.pointer, fmt::format("the retry policy '{}' is not declared in use.retries", name), "undeclared");
            } else {
                made.retry = retry(retries.at(name), plus_names(scope, {"error"}));
                made.retry->shared = true;
            }
        } else {
            made.retry = retry(policy, scope);
        }
    }
    if (handler.has("do")) made.list = task_list(handler.at("do"), inside);
    if (handler.has("then")) made.then = directive(handler.at("then"));
    task.catch_ = std::move(made);
}

RetryPolicy Reader::retry(const Node& node, const Names& scope)
{
    RetryPolicy out;
    if (!keys(node, "'retry'", {"when", "exceptWhen", "delay", "backoff", "limit", "jitter"})) return out;
    if (node.has("when")) out.when = expression(node.at("when"), scope);
    if (node.has("exceptWhen")) out.except_when = expression(node.at("exceptWhen"), scope);
    if (node.has("delay")) out.delay = duration(node.at("delay"), scope);
    if (node.has("backoff") && keys(node.at("backoff"), "'backoff'", {"constant", "exponential", "linear"})) {
        const Node backoff = node.at("backoff");
        if (backoff.value->size() != 1) error(backoff.pointer, "'backoff' is exactly one of constant, exponential, linear");
        else out.backoff = backoff.has("constant") ? RetryPolicy::Backoff::constant : backoff.has("linear") ? RetryPolicy::Backoff::linear : RetryPolicy::Backoff::exponential;
    }
    if (node.has("limit") && keys(node.at("limit"), "'limit'", {"attempt", "duration"})) {
        const Node limit = node.at("limit");
        if (limit.has("duration")) out.duration = duration(limit.at("duration"), scope);
        if (limit.has("attempt") && keys(limit.at("attempt"), "'attempt'", {"count", "duration"})) {
            const Node attempt = limit.at("attempt");
            if (attempt.has("duration")) out.attempt_duration = duration(attempt.at("duration"), scope);
            if (attempt.has("count")) {
                if (!attempt.at("count").value->is_integer() || attempt.at("count").value->as_integer() < 0) error(attempt.at("count").pointer, "'count' is a number, 0 or more");
                else out.attempts = attempt.at("count").value->as_integer();
            }
        }
    }
    if (node.has("jitter") && keys(node.at("jitter"), "'jitter'", {"from", "to"}) && require(node.at("jitter"), "'jitter'", {"from", "to"})) {
        out.jitter_from = duration(node.at("jitter").at("from"), scope);
        out.jitter_to = duration(node.at("jitter").at("to"), scope);
    }
    return out;
}

}  // namespace mill::workflows
