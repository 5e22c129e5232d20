#include "workflows/expression.h"

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <span>
#include <stop_token>
#include <thread>
#include <unordered_map>

#include <fmt/format.h>

#include "platform/base/nearest.h"
#include "platform/base/thread_time.h"
#include "workflows/jq_program.h"
#include "workflows/jq_text.h"
#include "workflows/jq_value.h"

extern "C" {
#include <jq.h>
}

namespace mill::workflows {
namespace {

/// Stops an evaluation that takes too much time, of a processor or by the clock. Idle it sleeps; while evaluations come it looks every 20 ms, so that arming costs a lock and no system call.
class Watchdog {
public:
    Watchdog() : thread_([this](std::stop_token stop) { run(stop); }) {}

    void arm(jq_state* jq, Milliseconds limit)
    {
        {
            const std::scoped_lock lock(mutex_);
            jq_ = jq;
            limit_ = limit;
            evaluating_ = ThreadTime();
            ++armed_;
            if (!idle_) return;
            idle_ = false;
        }
        wake_.notify_one();
    }

    void disarm()
    {
        const std::scoped_lock lock(mutex_);
        jq_ = nullptr;
    }

private:
    void run(std::stop_token stop)
    {
        std::unique_lock lock(mutex_);
        std::uint64_t seen = 0;
        int quiet = 0;
        while (!stop.stop_requested()) {
            if (idle_) wake_.wait(lock, stop, [this] { return !idle_; });
            else wake_.wait_for(lock, stop, std::chrono::milliseconds(20), [] { return false; });
            if (jq_ != nullptr && too_long()) {
                jq_halt(jq_, jv_invalid(), jv_invalid());
                jq_ = nullptr;  // once: letting go of much takes longer than a look, and jq aborts at a second halt
            }
            quiet = armed_ == seen && jq_ == nullptr ? quiet + 1 : 0;
            seen = armed_;
            if (quiet > 10) idle_ = true;
        }
    }

    bool too_long()
    {
        const auto now = std::chrono::steady_clock::now();
        const std::chrono::nanoseconds used = evaluating_.used();
        if (std::exchange(watched_, armed_) != armed_) {  // the first look at this evaluation
            begun_ = now;
            used_before_ = used;
        }
        return used - used_before_ >= kExpressionLimit || now - begun_ >= limit_;
    }

    std::mutex mutex_;
    std::condition_variable_any wake_;
    jq_state* jq_ = nullptr;
    Milliseconds limit_{0};  // by the clock
    ThreadTime evaluating_;
    std::uint64_t armed_ = 0, watched_ = 0;
    std::chrono::steady_clock::time_point begun_;  // of what is watched: when it was first seen, and what its thread had used by then
    std::chrono::nanoseconds used_before_{0};
    bool idle_ = true;
    std::jthread thread_;  // last: it uses the rest
};

/// "jq: error: syntax error, unexpected INVALID_CHARACTER (Unix shell quoting issues?) at <top-level>, line 25:…" for a person.
std::string readable(const std::string& raw)
{
    std::string text = raw.substr(0, raw.find("\njq:"));
    if (const auto at = text.find("jq: error: "); at == 0) text.erase(0, 11);
    if (const auto place = text.find(" at <top-level>"); place != std::string::npos) text.erase(place);
    if (const auto hint = text.find(" (Unix shell quoting issues?)"); hint != std::string::npos) text.erase(hint, 29);
    if (text.find("$end") != std::string::npos || text.find("unexpected ')'") != std::string::npos) text += " (the expression ends too early)";
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text.substr(0, 300);
}

/// jq names a line of the program ("at <top-level>, line 31"), or a function that is none ("fooo/0 is not defined").
std::size_t offset_of(const std::string& raw, const Expression& expression)
{
    const std::string& text = expression.text;
    std::size_t from = 0;
    if (const auto at = raw.find("<top-level>, line "); at != std::string::npos) {
        for (long line = std::atol(raw.c_str() + at + 18) - jq_lines_before() - 1; line > 0; --line) {
            const auto end = text.find('\n', from);
            if (end == std::string::npos) break;
            from = end + 1;
        }
    }
    const auto slash = raw.find('/'), begin = raw.find_last_of(' ', slash);
    if (raw.find(" is not defined") == std::string::npos || slash == std::string::npos || begin == std::string::npos) return from;
    const auto found = text.find(raw.substr(begin + 1, slash - begin - 1), from);
    return found == std::string::npos ? from : found;
}

/// jq says "string (\"4711\") and number (5) cannot be added": the data's values are left out.
std::string without_values(std::string text)
{
    if (text.find("annot ") == std::string::npos && text.find(" is not ") == std::string::npos) return text.substr(0, 300);
    for (const char* kind : {"string (", "number (", "array (", "object (", "boolean (", "null ("}) {
        for (std::size_t at = 0; (at = text.find(kind, at)) != std::string::npos;) {
            at = text.find('(', at);
            std::size_t end = std::string::npos;
            for (const char* behind : {") and ", ") cannot", ") is ", ") has ", ") not "}) end = std::min(end, text.find(behind, at));
            if (end == std::string::npos) end = text.rfind(')');
            if (end == std::string::npos || end < at) break;
            text.erase(at - 1, end - at + 2);
        }
    }
    return text.substr(0, 300);
}

std::string shape(const Value& data)
{
    if (data.kind() == Json::Kind::object) {
        std::string names;
        std::size_t count = 0;
        const Json json = data.json();
        for (const auto& [key, member] : json.as_object()) {
            if (++count > 12) break;
            names += (names.empty() ? "" : ", ") + key + ": " + std::string(member.kind_name());
        }
        return fmt::format("an object {{{}{}}}", names, data.size() > 12 ? ", …" : "");
    }
    if (data.kind() == Json::Kind::array) return fmt::format("an array of {} items", data.size());
    return data.is_null() ? "null" : fmt::format("a {}", data.kind_name());
}

/// Of several lines, each stands below the first.
std::string indented(const std::string& text)
{
    std::string out = text.substr(0, 400);
    if (out.size() < text.size()) {
        while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0) == 0x80) out.pop_back();  // no half character
        if (!out.empty() && static_cast<unsigned char>(out.back()) >= 0xC0) out.pop_back();
        out += " …";
    }
    for (std::size_t at = 0; (at = out.find('\n', at)) != std::string::npos; at += 15) out.insert(at + 1, "              ");
    return out;
}

class Evaluator : public Program {
public:
    explicit Evaluator(std::vector<JqPart> parts) : parts_(std::move(parts)) {}

    Result<Value> evaluate(const Expression& expression, const Value& data, std::span<const Value> arguments, Milliseconds limit) override
    {
        if (expression.literal) return Value(*expression.literal);
        Result<Value> out = expression.path ? (expression.path->root.empty() ? data : arguments.empty() ? Value() : arguments[0]).follow(*expression.path)
                                            : run(expression, data, arguments, limit);
        if (!out)
            return fail(out.error().code, fmt::format("the expression failed: {}\n  expression: {}\n  place: {} (line {}, column {})\n  data: {}", out.error().what,
                                                      indented(expression.text), expression.pointer, expression.mark.line, expression.mark.column, shape(data)));
        return out;
    }

private:
    Result<Value> run(const Expression& expression, const Value& data, std::span<const Value> arguments, Milliseconds limit)
    {
        const auto part = std::partition_point(parts_.begin(), parts_.end(), [&](const JqPart& each) { return each.end <= expression.branch; });
        if (part == parts_.end() || expression.branch < part->begin) return fail(Errc::internal, "it is not compiled");
        Result<jv> input = input_of(expression.branch - part->begin, data, arguments);
        if (!input) return fail(std::move(input.error()));
        jq_state* jq = part->program->state();
        jq_start(jq, *input, 0);
        watchdog_.arm(jq, limit);  // after jq_start, which clears the flag
        jv first = jq_next(jq);
        jv second = jv_is_valid(first) != 0 ? jq_next(jq) : jv_invalid();
        watchdog_.disarm();
        const bool halted = jq_halted(jq) != 0;
        Result<Value> out = judge(first, second, halted, limit);
        jq_start(jq, jv_null(), 0);  // lets go of what the evaluation held
        return out;
    }

    Result<jv> input_of(int branch, const Value& data, std::span<const Value> arguments)
    {
        Result<jv> converted = converter_.owned(data);
        if (!converted) return converted;
        const jv input = jv_array_append(jv_array_append(jv_array_sized(3), jv_number(branch)), *converted);
        if (arguments.empty()) return input;
        jv all = jv_array_sized(static_cast<int>(arguments.size()));
        for (const Value& argument : arguments) {
            converted = converter_.owned(argument);
            if (!converted) {
                jv_free(all);
                jv_free(input);
                return converted;
            }
            all = jv_array_append(all, *converted);
        }
        return jv_array_append(input, all);
    }

    static Result<Value> judge(jv first, jv second, bool halted, Milliseconds limit)
    {
        const auto done = [&](Result<Value> out) {
            jv_free(first);
            jv_free(second);
            return out;
        };
        if (halted) return done(fail(Errc::timeout, fmt::format("it took longer than {}", format_duration(std::min(limit, kExpressionLimit)))));
        for (const jv* each : {&first, &second}) {
            if (jv_is_valid(*each) == 0 && jv_invalid_has_msg(jv_copy(*each)) != 0) {
                const jv message = jv_invalid_get_msg(jv_copy(*each));
                std::string text = jv_get_kind(message) == JV_KIND_STRING ? jv_string_value(message) : dump_json(json_of(message));
                jv_free(message);
                return done(fail(Errc::invalid, without_values(std::move(text))));
            }
        }
        if (jv_is_valid(first) == 0) return done(fail(Errc::invalid, "it has no output; `// null` gives one"));
        if (jv_is_valid(second) != 0) return done(fail(Errc::invalid, "it has several outputs; `[…]` collects them"));
        if (depth_of(first, kDeepestData) > kDeepestData) return done(fail(Errc::invalid, fmt::format("its result is nested deeper than {} levels", kDeepestData)));
        const jv_kind kind = jv_get_kind(first);
        if (kind == JV_KIND_ARRAY || kind == JV_KIND_OBJECT) return done(Value::of_jq(std::make_shared<const JqValue>(jv_copy(first))));
        return done(Value(json_of(first)));
    }

    std::vector<JqPart> parts_;  // in order
    JqConverter converter_;
    Watchdog watchdog_;
};

constexpr std::size_t kMostExpressions = 5000;  // a package's
constexpr std::size_t kNamed = 20;               // of those that do not compile

/// By halves: a compile alone costs 40 ms, and there may be thousands.
void find_culprits(std::span<const std::string> bodies, int begin, const std::vector<const Expression*>& expressions, std::vector<CompileError>& errors)
{
    if (bodies.empty() || errors.size() >= kNamed) return;
    std::vector<JqPart> parts;
    const std::string problem = compile_parts(bodies, parts);
    if (problem.empty()) return;
    if (bodies.size() == 1) {
        for (const Expression* one : expressions)
            if (one->branch == begin && errors.size() < kNamed) errors.push_back({one, readable(problem), offset_of(problem, *one)});
        return;
    }
    const std::size_t half = bodies.size() / 2;
    find_culprits(bodies.first(half), begin, expressions, errors);
    find_culprits(bodies.subspan(half), begin + static_cast<int>(half), expressions, errors);
}

}  // namespace

Status prepare(Expression& expression, const std::vector<std::string>& in_scope, ExpressionPlace* place)
{
    ExpressionPlace unwanted;
    ExpressionPlace& where = place == nullptr ? unwanted : *place;
    where = {};
    expression.literal.reset();
    expression.path.reset();
    expression.variables.clear();
    const auto unknown = [&](const std::string& name) -> Status {
        where.offset = std::min(expression.text.find("$" + name), expression.text.size());
        static const std::vector<std::string> kArguments = {"context", "input", "output", "secrets", "workflow", "task", "runtime", "authorization"};
        if (std::find(kArguments.begin(), kArguments.end(), name) != kArguments.end())
            return fail(Errc::invalid, fmt::format("${} is not available here", name));
        return fail(Errc::invalid, fmt::format("${} is not defined here{}", name, did_you_mean(name, in_scope)));
    };
    const auto has = [&](const std::string& name) { return std::find(in_scope.begin(), in_scope.end(), name) != in_scope.end(); };
    std::string_view bare = expression.text;
    while (!bare.empty() && (bare.front() == ' ' || bare.front() == '\n' || bare.front() == '\t')) bare.remove_prefix(1);
    while (!bare.empty() && (bare.back() == ' ' || bare.back() == '\n' || bare.back() == '\t')) bare.remove_suffix(1);
    if (bare.empty()) return fail(Errc::invalid, "the expression is empty");
    if (bare == "[]" || bare == "{}" || bare == "null" || bare == "true" || bare == "false" || bare[0] == '"' || bare[0] == '-' ||
        (bare[0] >= '0' && bare[0] <= '9')) {
        if (Result<Json> literal = parse_json(bare, {.exact = true})) {
            expression.literal = std::move(*literal);
            return {};
        }
    }
    if (std::optional<PlainPath> path = parse_plain_path(bare)) {
        if (path->root.starts_with("__")) return fail(Errc::invalid, fmt::format("${} is not available here", path->root));
        if (!path->root.empty() && !has(path->root)) return unknown(path->root);
        if (!path->root.empty()) expression.variables = {path->root};
        expression.path = std::move(path);
        return {};
    }
    const Result<JqText> text = read_jq(expression.text, &where.offset);
    if (!text) return fail(text.error());
    if (text->if_without_else) {
        where = {*text->if_without_else, "if-without-else"};
        return fail(Errc::invalid, "this `if` has no `else`, which jq 1.6 needs: write `if … then … else . end`");
    }
    for (const std::string& name : text->variables) {
        if (name == "ENV") return fail(Errc::invalid, "$ENV is not available: a job sees no environment");
        if (name.starts_with("__") && name != "__loc__") return fail(Errc::invalid, fmt::format("${} is not available here", name));
        if (has(name)) expression.variables.push_back(name);
        else if (!text->bound.contains(name) && name != "__loc__") return unknown(name);
    }
    return {};
}

std::unique_ptr<Program> compile(const std::vector<Expression*>& expressions, std::vector<CompileError>& errors)
{
    std::vector<const Expression*> compiled;
    std::vector<std::string> bodies;
    std::unordered_map<std::string, int> branches;  // equal expressions are compiled once
    for (Expression* expression : expressions) {
        if (expression->literal || expression->path) continue;
        const auto [found, fresh] = branches.try_emplace(jq_body(expression->text, expression->variables), static_cast<int>(bodies.size()));
        expression->branch = found->second;
        compiled.push_back(expression);
        if (fresh) bodies.push_back(found->first);
        if (bodies.size() > kMostExpressions) {
            errors.push_back({expression, fmt::format("a package has at most {} different expressions besides plain paths", kMostExpressions)});
            return nullptr;
        }
    }
    std::vector<JqPart> parts;
    const std::string problem = compile_parts(bodies, parts);
    if (problem.empty()) return std::make_unique<Evaluator>(std::move(parts));
    find_culprits(bodies, 0, compiled, errors);
    if (errors.empty()) errors.push_back({compiled.front(), "the expressions together do not compile: " + readable(problem)});
    return nullptr;
}

}  // namespace mill::workflows
