#include "agent/runner/effects.h"

#include <algorithm>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "agent/runner/reveal.h"
#include "agent/runner/workspace.h"

namespace mill::runner {
namespace {

constexpr Milliseconds kGrace{5'000};  // the broker answers a deadline itself; this is for one that hangs
constexpr std::size_t kMaxStartText = 1024;
constexpr std::size_t kMaxMessage = 20 * 1024 * 1024;

Milliseconds default_timeout(std::string_view effect)
{
    if (effect == "http.request") return Milliseconds(60'000);
    if (effect.starts_with("archive.")) return Milliseconds(3'600'000);
    return Milliseconds(60'000);
}

/// A handle that came from outside is no handle: whoever sent it must not choose where a secret goes.
constexpr std::string_view kHandle = "\xEE\x80\x80", kHarmless = "\xEF\xBF\xBD";

bool holds_handle(const Json& value)
{
    if (value.is_string()) return value.as_string().find(kHandle) != std::string::npos;
    for (const Json& item : value.as_array())
        if (holds_handle(item)) return true;
    for (const auto& [key, item] : value.as_object())
        if (key.find(kHandle) != std::string::npos || holds_handle(item)) return true;
    return false;
}

std::string disarmed(std::string text)
{
    for (auto at = text.find(kHandle); at != std::string::npos; at = text.find(kHandle, at)) text.replace(at, kHandle.size(), kHarmless);
    return text;
}

Json rebuilt(const Json& value)
{
    if (value.is_string()) return Json(disarmed(value.as_string()));
    Json out = value;
    if (value.is_array()) {
        out = Json::array();
        for (const Json& item : value.as_array()) out.push(rebuilt(item));
    } else if (value.is_object()) {
        out = Json::object();
        for (const auto& [key, item] : value.as_object()) out.set(disarmed(key), rebuilt(item));
    }
    return out;
}

/// An argument as a person would type it, in one line.
std::string as_typed(std::string_view argument)
{
    constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,+@%^";
    if (!argument.empty() && argument.find_first_not_of(kPlain) == std::string_view::npos) return std::string(argument);
    std::string out = "'";
    for (const char c : argument) {
        if (c == '\'') out += "'\\''";
        else if (c == '\n') out += "\\n";
        else out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
    }
    return out + "'";
}

}  // namespace

Json from_outside(Json value) { return holds_handle(value) ? rebuilt(value) : value; }

Effects::Effects(const Clock& clock, Reporter& reporter, Commands& commands, std::string workspace, Send to_broker, std::function<void()> broker_anew)
    : clock_(clock), reporter_(reporter), commands_(commands), workspace_(std::move(workspace)), to_broker_(std::move(to_broker)), broker_anew_(std::move(broker_anew))
{
}

void Effects::start(workflows::EffectRequest request)
{
    if (request.effect == "log" || request.effect == "progress" || request.effect == "tell" || is_local_file(request.effect, request.with)) return start_local(request);
    if (request.effect == "shell" || request.effect == "script") return start_command(request);
    Open open;
    open.id = request.id;
    open.effect = request.effect;
    open.task = request.task;
    open.timeout = request.timeout.value_or(default_timeout(request.effect));
    ask(std::move(open), request.effect, request.with);
}

void Effects::start_local(const workflows::EffectRequest& request)
{
    if (request.effect == "log") {
        const Json& text = request.with["text"];
        reporter_.log(request.with["level"].as_string(), text.is_string() ? text.as_string() : dump_json(text), request.task);
        answer(request.id, Json());
    } else if (request.effect == "progress") {
        reporter_.log("info", fmt::format("progress: {}", dump_json(request.with)), request.task);
        answer(request.id, Json());
    } else if (request.effect == "tell" && !holds_handle(request.with)) {
        reporter_.tell(request.with["text"].as_string(), request.task);
        answer(request.id, Json());
    } else if (holds_handle(request.with)) {
        answer(request.id, tl::unexpected(fault("authorization", 403, "Secret not for this", fmt::format("{} takes no secret", request.effect))));
    } else {
        answer(request.id, local_file(request.effect, request.with, workspace_));
    }
}

void Effects::start_command(const workflows::EffectRequest& request)
{
    auto secrets = secrets_of_command(request.with);
    if (!secrets) return answer(request.id, tl::unexpected(std::move(secrets.error())));
    auto planned = request.effect == "shell" ? plan_shell(request.with) : plan_script(request.with, workspace_, request.id);
    if (!planned) return answer(request.id, tl::unexpected(std::move(planned.error())));
    Open open;
    open.id = request.id;
    open.effect = "command.start";
    open.task = request.task;
    open.own_limit = request.timeout.has_value();
    open.timeout = request.timeout.value_or(default_timeout("command.start"));
    const Json with = Json::object({{"path", planned->plans.front().program}});
    open.command = std::move(*planned);
    open.secrets = std::move(*secrets);
    ask(std::move(open), "command.start", with);
}

void Effects::ask(Open open, const std::string& effect, const Json& with)
{
    if (broker_gone_)
        return answer(open.id, tl::unexpected(fault("runtime", 500, "No broker", fmt::format("{} needs the broker, which is gone", effect))));
    const std::uint64_t number = next_++;
    std::string text = dump_json(Json::object({{"id", number}, {"effect", effect}, {"with", with}, {"timeoutMs", std::max<std::int64_t>(open.timeout.count(), 1)}}));
    if (text.size() > kMaxMessage)
        return answer(open.id, tl::unexpected(fault("validation", 413, "Request too large", fmt::format("the arguments of {} have {} bytes", effect, text.size()))));
    open.deadline = clock_.steady() + open.timeout + kGrace;
    open_.emplace(number, std::move(open));
    to_broker_(std::move(text));
}

void Effects::cancel(std::uint64_t id)
{
    commands_.cancel(id);
    for (auto at = open_.begin(); at != open_.end();) {
        if (at->second.id == id) {
            to_broker_(dump_json(Json::object({{"cancel", at->first}})));
            at = open_.erase(at);
        } else {
            ++at;
        }
    }
    std::erase_if(answers_, [&](const Answer& item) { return item.id == id; });
}

void Effects::hear(std::string_view text)
{
    auto message = parse_json(text, {.bytes = kMaxMessage, .depth = 128});
    if (!message) return broker_lost("the broker sent what is no JSON", false);
    if (message->contains("reset")) {
        broker_lost("the broker was started anew", false);
        if (broker_anew_) broker_anew_();
        return;
    }
    if (const Json* note = message->find("note")) return reporter_.log("warning", note->as_string(), "");
    const auto found = open_.find(static_cast<std::uint64_t>((*message)["id"].as_integer()));
    if (found == open_.end()) return;  // cancelled meanwhile
    Open open = std::move(found->second);
    open_.erase(found);
    if (const Json* error = message->find("error")) return on_error(std::move(open), *error);
    if (const std::int64_t masked = (*message)["masked"].as_integer(); masked > 0)
        reporter_.log("debug", fmt::format("{} secrets were masked in what {} gave", masked, open.effect), open.task);
    const Json* result = message->find("result");
    if (!open.command) return answer(open.id, result == nullptr ? Json() : *result);
    if (open.granted) on_values(std::move(open), (*message)["result"]["values"]);
    else on_granted(std::move(open), (*message)["result"]["path"].as_string());
}

Milliseconds Effects::left(const Open& open) const
{
    return std::max(std::chrono::duration_cast<Milliseconds>(open.deadline - kGrace - clock_.steady()), Milliseconds(1));
}

void Effects::on_granted(Open open, const std::string& path)
{
    open.granted = open.command->plans[open.plan];
    open.granted->program = path;
    if (open.secrets.empty()) return start_granted(std::move(open));
    Json handles = Json::array();
    for (const std::string& secret : open.secrets) handles.push(secret);
    open.effect = "credential.reveal";
    open.timeout = left(open);
    ask(std::move(open), "credential.reveal", Json::object({{"handles", std::move(handles)}}));
}

void Effects::on_values(Open open, const Json& values)
{
    if (auto done = put_in(*open.command, values, revealed_); !done) return answer(open.id, tl::unexpected(std::move(done.error())));
    start_granted(std::move(open));
}

void Effects::start_granted(Open open)
{
    note_start(*open.granted, open.secrets, open.task);
    const auto limit = open.own_limit ? std::optional(left(open)) : std::nullopt;
    commands_.start(open.id, std::move(*open.granted), std::move(*open.command), limit);
}

void Effects::note_start(const CommandPlan& plan, const std::vector<std::string>& secrets, const std::string& task)
{
    std::string line = plan.program;
    for (const std::string& argument : plan.arguments) {
        if (line.size() > kMaxStartText) break;
        line += ' ';
        line += as_typed(argument);
    }
    line = "starts " + shortened(line, kMaxStartText);
    if (!secrets.empty()) line += fmt::format(" and gives it {}", fmt::join(secrets, ", "));
    reporter_.log("debug", line, task);
}

void Effects::on_error(Open open, const Json& error)
{
    // Not granted by itself, but perhaps the shell is.
    const bool refused = error["type"].as_string() == "authorization" || error["type"].as_string() == "configuration";
    if (open.command && !open.granted && refused && open.plan + 1 < open.command->plans.size()) {
        ++open.plan;
        if (open.first_error.is_null()) open.first_error = error;
        const Json with = Json::object({{"path", open.command->plans[open.plan].program}});
        return ask(std::move(open), "command.start", with);
    }
    const Json& told = open.first_error.is_null() ? error : open.first_error;
    const std::string& type = told["type"].as_string();
    answer(open.id, tl::unexpected(fault(type.empty() ? "runtime" : type, static_cast<int>(told["status"].as_integer()),
                                         told["title"].as_string(), told["detail"].as_string())));
}

void Effects::broker_lost(std::string_view why, bool for_good)
{
    broker_gone_ = broker_gone_ || for_good;
    for (const auto& [number, open] : open_)
        answer(open.id, tl::unexpected(fault("runtime", 500, "Broker lost", fmt::format("{} while {} was open: whether it happened is not known", why, open.effect))));
    open_.clear();
}

void Effects::expire(SteadyTime now)
{
    for (auto at = open_.begin(); at != open_.end();) {
        if (at->second.deadline > now) {
            ++at;
            continue;
        }
        answer(at->second.id, tl::unexpected(fault("timeout", 408, "No answer in time", fmt::format("{} was not answered by the broker", at->second.effect))));
        to_broker_(dump_json(Json::object({{"cancel", at->first}})));
        at = open_.erase(at);
    }
}

std::optional<SteadyTime> Effects::next_deadline() const
{
    std::optional<SteadyTime> first;
    for (const auto& [number, open] : open_)
        if (!first || open.deadline < *first) first = open.deadline;
    return first;
}

std::vector<Effects::Answer> Effects::take()
{
    for (Commands::Done& done : commands_.take()) answers_.push_back({done.id, std::move(done.outcome)});
    std::size_t masked_ones = 0;
    for (Answer& item : answers_) item.outcome = masked(std::move(item.outcome), revealed_, masked_ones);
    if (masked_ones > 0) reporter_.log("debug", fmt::format("{} secrets were masked in what commands and files gave", masked_ones), "");
    for (Answer& item : answers_)
        if (item.outcome) *item.outcome = from_outside(std::move(*item.outcome));
    return std::exchange(answers_, {});
}

}  // namespace mill::runner
