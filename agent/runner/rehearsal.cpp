#include "agent/runner/rehearsal.h"

#include <algorithm>

#include <fmt/core.h>

#include "agent/runner/asking.h"
#include "agent/runner/workspace.h"
#include "workflows/preview.h"

namespace mill::runner {
namespace {

constexpr std::size_t kMostCalls = 20'000;
constexpr std::size_t kMostCallBytes = 8 * 1024 * 1024;  // then only the beginning of the arguments is kept
constexpr std::chrono::hours kMostJumped{24 * 400};

bool only_says(const std::string& effect) { return effect == "log" || effect == "progress" || effect == "tell"; }

}  // namespace

Result<std::unique_ptr<Rehearsal>> Rehearsal::make(const Json& asked, Json input, Pace& pace)
{
    std::unique_ptr<Rehearsal> out(new Rehearsal(pace));
    out->input_ = std::move(input);
    std::string wrong;
    const auto complain = [&](const std::string& pointer, const std::string& what) { wrong += fmt::format("{}{}: {}", wrong.empty() ? "" : "; ", pointer, what); };
    std::vector<workflows::StandIn> list = workflows::read_stand_ins(asked["standIns"], "/standIns", complain);
    if (!wrong.empty()) return fail(Errc::invalid, wrong);
    std::vector<std::string> real;
    for (const Json& name : asked["real"].as_array()) real.push_back(name.as_string());
    auto made = workflows::StandIns::make(std::move(list), std::move(real));
    if (!made) return fail(made.error());
    out->stand_ins_ = std::move(*made);

    for (const Json& text : asked["checks"].as_array()) {
        workflows::Expression expression;
        expression.text = text.as_string();
        expression.pointer = "expect.check";
        if (Status ready = workflows::prepare(expression, {"error", "calls", "input"}); !ready) return fail("check '" + expression.text + "'", ready.error());
        out->checks_.push_back(std::move(expression));
    }
    std::vector<workflows::Expression*> all;
    for (workflows::Expression& each : out->checks_) all.push_back(&each);
    std::vector<workflows::CompileError> errors;
    out->program_ = workflows::compile(all, errors);
    if (!errors.empty()) return fail(Errc::invalid, fmt::format("check '{}': {}", errors.front().expression->text, errors.front().what));

    if (const Json* now = asked.find("now")) {
        const Result<WallTime> time = parse_time(now->as_string());
        if (!time) return fail("now", time.error());
        pace.begin_at(*time);
    }
    return out;
}

std::optional<workflows::EffectRequest> Rehearsal::take(workflows::EffectRequest request)
{
    if (only_says(request.effect) && request.call.empty()) return request;
    if (request.call.empty()) return std::nullopt;  // the interpreter's own clearing up: nobody waits for its answer
    const workflows::Called call = workflows::called(request);
    const workflows::StandIns::Choice choice = stand_ins_->choose(call);
    const bool real = choice.answer == nullptr && (choice.real || only_says(request.effect) || is_local_file(request.effect, request.with));
    if (calls_.size() < kMostCalls) {
        const std::size_t bytes = dump_json(call.with).size();
        call_bytes_ += bytes;
        calls_.push(Json::object({{"task", call.task}, {"name", call.name}, {"call", call.call}, {"real", real},
                                  {"with", call_bytes_ > kMostCallBytes ? workflows::preview(call.with, {}) : call.with}}));
    }
    if (real) return request;
    if (choice.answer == nullptr) {
        if (problem_.empty()) problem_ = choice.why_none;
        return std::nullopt;
    }
    if (choice.answer->kind == workflows::StandInAnswer::Kind::never) return std::nullopt;
    auto outcome = workflows::outcome_of(*choice.answer, request);
    if (outcome) outcome = from_outside(std::move(*outcome));
    if (outcome && request.effect == "ask") outcome = answer_of_stand_in(request.with["question"], *outcome);
    waiting_.push_back({pace_.steady() + choice.answer->after, {request.id, std::move(outcome)}});
    return std::nullopt;
}

void Rehearsal::cancel(std::uint64_t id)
{
    std::erase_if(waiting_, [&](const Waiting& each) { return each.answer.id == id; });
}

std::vector<Effects::Answer> Rehearsal::due()
{
    const SteadyTime now = pace_.steady();
    std::vector<Effects::Answer> out;
    for (Waiting& each : waiting_)
        if (each.due <= now) out.push_back(std::move(each.answer));
    std::erase_if(waiting_, [&](const Waiting& each) { return each.due <= now; });
    return out;
}

void Rehearsal::jump(std::optional<SteadyTime> wake)
{
    for (const Waiting& each : waiting_)
        if (!wake || each.due < *wake) wake = each.due;
    if (!wake) {
        if (problem_.empty()) problem_ = "the run waits for an answer that never comes, and has no timeout";
        return;
    }
    pace_.jump_to(*wake);
    if (pace_.jumped() > kMostJumped && problem_.empty()) problem_ = "the run would wait for more than 400 days";
}

Json Rehearsal::checked(const Json& output, const Json& fault) const
{
    Json out = Json::array();
    for (const workflows::Expression& each : checks_) {
        std::vector<workflows::Value> arguments;
        for (const std::string& name : each.variables) arguments.emplace_back(name == "error" ? fault : name == "calls" ? calls_ : input_);
        const Result<workflows::Value> result = program_->evaluate(each, workflows::Value(output), arguments, workflows::kExpressionPatience);
        Json one = Json::object({{"expression", each.text}, {"holds", result && result->json() == Json(true)}});
        if (!result) one.set("error", result.error().what);
        else if (!(result->json() == Json(true))) one.set("result", workflows::preview(result->json(), {}));
        out.push(std::move(one));
    }
    return out;
}

Json Rehearsal::report(const Json& output, const Json& fault)
{
    Json out = Json::object({{"calls", calls_}, {"jumpedMs", std::chrono::duration_cast<Milliseconds>(pace_.jumped()).count()}});
    if (!problem_.empty()) out.set("problem", problem_);
    else out.set("checks", checked(output, fault));
    return out;
}

}  // namespace mill::runner
