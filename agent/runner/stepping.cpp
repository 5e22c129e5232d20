#include "agent/runner/stepping.h"

#include <fmt/core.h>

#include "workflows/preview.h"
#include "workflows/stand_ins.h"

namespace mill::runner {
namespace {

constexpr workflows::PreviewLimits kData{.text = 2000, .items = 20, .members = 50, .depth = 6, .total = 500};
constexpr workflows::PreviewLimits kAnswer{.text = 65'536, .items = 2000, .members = 2000, .depth = 60, .total = 20'000};

Json texts(const std::vector<std::string>& list)
{
    Json out = Json::array();
    for (const std::string& text : list) out.push(text);
    return out;
}

}  // namespace

Stepping::Stepping(workflows::Interpreter& interpreter, Pace& pace, Send send) : interpreter_(interpreter), pace_(pace), send_(std::move(send))
{
    interpreter_.pause_before([this](const workflows::Pause& here) { return wanted(here); });
}

bool Stepping::wanted(const workflows::Pause& here) const
{
    switch (mode_) {
    case Mode::step: return true;
    case Mode::over: return here.depth <= depth_;
    case Mode::until: return here.name == target_ || here.task == target_;
    case Mode::run: return false;
    }
    return false;
}

void Stepping::look_up()
{
    const workflows::Pause* here = interpreter_.paused();
    if (here == nullptr || told_) return;
    told_ = true;
    pace_.hold();
    const Result<Json> data = interpreter_.look(".");
    send_(Json::object({{"paused", Json::object({{"task", here->task}, {"name", here->name}, {"type", here->type}, {"file", here->file},
                                                 {"line", here->line}, {"depth", here->depth}, {"branch", here->branch},
                                                 {"names", texts(here->names)}, {"stack", texts(here->stack)},
                                                 {"data", data ? workflows::preview(workflows::name_secrets(*data), kData) : Json()}})}}));
}

void Stepping::answer(const Result<Json>& result)
{
    send_(Json::object({{"looked", result ? Json::object({{"result", workflows::preview(workflows::name_secrets(*result), kAnswer)}})
                                          : Json::object({{"error", result.error().what}})}}));
}

void Stepping::go(Mode mode)
{
    mode_ = mode;
    told_ = false;
    pace_.release();
    interpreter_.go_on();
    send_(Json::object({{"resumed", true}}));
}

void Stepping::hear(const Json& command)
{
    const workflows::Pause* here = interpreter_.paused();
    if (here == nullptr || !told_) return answer(fail(Errc::conflict, "the run does not stand still"));
    const std::string& what = command["do"].as_string();
    if (what == "look") return answer(interpreter_.look(command["expression"].as_string()));
    if (what == "step") return go(Mode::step);
    if (what == "continue") return go(Mode::run);
    if (what == "over") {
        depth_ = here->depth;
        return go(Mode::over);
    }
    if (what == "until") {
        target_ = command["task"].as_string();
        return go(Mode::until);
    }
    answer(fail(Errc::invalid, fmt::format("'{}' is no step that this runner knows", what)));
}

}  // namespace mill::runner
