#include <algorithm>

#include <fmt/format.h>

#include "workflows/duration.h"
#include "workflows/engine.h"
#include "workflows/schema.h"

namespace mill::workflows {

Json Engine::moment(WallTime time) const
{
    const std::int64_t milliseconds = time.microseconds / 1000;
    return Json::object({{"iso8601", format_time(time)}, {"epoch", Json::object({{"seconds", milliseconds / 1000}, {"milliseconds", milliseconds}})}});
}

/// $task as far as it is known: `raw` is its raw input, `output` its raw output while output.as and export.as are evaluated.
Value Engine::argument(const Branch& branch, const Frame& frame, const std::string& name) const
{
    const Scope& scope = branch.scopes.back();
    if (name == "context") return scope.context;
    if (name == "input") return frame.input;
    if (name == "output") return frame.answer;
    if (name == "secrets") return scope.secrets;
    if (name == "workflow") return scope.workflow;
    if (name == "runtime") return runtime_;
    if (name == "authorization") return frame.request["authorization"];
    if (name == "task" && frame.kind == Frame::Kind::task) {
        const Task& what = task(branch, frame);
        return Value::object({{"name", Value(Json(what.name))},
                              {"reference", Value(Json(what.pointer))},
                              {"definition", Value(what.definition)},
                              {"input", frame.raw},
                              {"output", frame.output},
                              {"startedAt", Value(moment(frame.started))}});
    }
    for (auto local = branch.locals.rbegin(); local != branch.locals.rend(); ++local)
        if (local->name == name) return local->value;
    return Value();
}

OrFault<Value> Engine::evaluate(Branch& branch, const Frame& frame, int number, const Value& data)
{
    const Expression& expression = document(branch).expressions[static_cast<std::size_t>(number)];
    std::vector<Value> arguments;
    arguments.reserve(expression.variables.size());
    for (const std::string& name : expression.variables) arguments.push_back(argument(branch, frame, name));
    Milliseconds limit = kExpressionPatience;
    if (const auto left = remaining(branch)) limit = std::clamp(*left, Milliseconds(1), limit);
    Result<Value> out = program_->evaluate(expression, data, arguments, limit);
    if (out) return std::move(*out);
    const ErrorType type = out.error().code == Errc::timeout ? ErrorType::timeout : ErrorType::expression;
    return tl::unexpected(make_fault(type, std::move(out.error().what), place(branch)));
}

OrFault<bool> Engine::test(Branch& branch, const Frame& frame, int number, const Value& data)
{
    OrFault<Value> value = evaluate(branch, frame, number, data);
    if (!value) return tl::unexpected(std::move(value.error()));
    return value->truthy();
}

OrFault<Value> Engine::fill(Branch& branch, const Frame& frame, const Template& shape, const Value& data)
{
    switch (shape.kind) {
    case Template::Kind::constant: return Value(shape.constant);
    case Template::Kind::expression: return evaluate(branch, frame, shape.expression, data);
    case Template::Kind::array: {
        Value::Items items;
        items.reserve(shape.items.size());
        for (const Template& item : shape.items) {
            OrFault<Value> made = fill(branch, frame, item, data);
            if (!made) return made;
            items.push_back(std::move(*made));
        }
        return bounded(branch, Value::array(std::move(items)));
    }
    case Template::Kind::object: break;
    }
    Value::Members members;
    members.reserve(shape.members.size());
    for (const auto& [key, member] : shape.members) {
        OrFault<Value> made = fill(branch, frame, member, data);
        if (!made) return made;
        members.emplace_back(key, std::move(*made));
    }
    return bounded(branch, Value::object(std::move(members)));
}

/// A loop that wraps its data once each time would else grow a value that nobody can write out.
OrFault<Value> Engine::bounded(const Branch& branch, Value value) const
{
    if (value.composite_depth() <= kDeepestData) return value;
    return tl::unexpected(make_fault(ErrorType::expression, fmt::format("the data is nested deeper than {} levels", kDeepestData), place(branch)));
}

OrFault<Milliseconds> Engine::measure(Branch& branch, const Frame& frame, const DurationSpec& duration, const Value& data)
{
    if (duration.fixed) return *duration.fixed;
    OrFault<Value> value = fill(branch, frame, duration.value, data);
    if (!value) return tl::unexpected(std::move(value.error()));
    const Result<Milliseconds> out = duration_of(value->json());
    if (out) return *out;
    return tl::unexpected(make_fault(ErrorType::expression, out.error().what, place(branch)));
}

std::optional<Fault> Engine::mistaken(const DataFilter& filter, const Value& data, std::string_view what, const std::string& pointer) const
{
    if (!filter.schema) return std::nullopt;
    const std::vector<std::string> wrong = filter.schema->mistakes(data.json());
    if (wrong.empty()) return std::nullopt;
    std::string all;
    for (const std::string& each : wrong) all += (all.empty() ? "" : "; ") + each;
    return make_fault(ErrorType::validation, fmt::format("{} does not fit its schema: {}", what, all), pointer);
}

OrFault<Value> Engine::shaped(Branch& branch, const Frame& frame, const DataFilter& filter, Value data, std::string_view what, const std::string& pointer)
{
    if (filter.shape) {
        OrFault<Value> made = fill(branch, frame, *filter.shape, data);
        if (!made) return made;
        data = std::move(*made);
    }
    if (auto wrong = mistaken(filter, data, what, pointer)) return tl::unexpected(std::move(*wrong));
    return data;
}

}  // namespace mill::workflows
