#include "workflows/stand_ins.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/nearest.h"
#include "workflows/errors.h"
#include "workflows/match.h"
#include "workflows/preview.h"

namespace mill::workflows {
namespace {

constexpr std::string_view kOpen = "\xee\x80\x80", kClose = "\xee\x80\x81";

std::string named(const std::string& text)
{
    std::string out;
    for (std::size_t at = 0;;) {
        const auto open = text.find(kOpen, at);
        const auto close = open == std::string::npos ? open : text.find(kClose, open);
        if (close == std::string::npos) return out + text.substr(at);
        out += fmt::format("{}[secret {}]", text.substr(at, open - at), text.substr(open + kOpen.size(), close - open - kOpen.size()));
        at = close + kClose.size();
    }
}

bool means(const StandIn& stand_in, std::string_view call, std::string_view name, std::string_view pointer)
{
    return stand_in.call.empty() ? stand_in.task == name || stand_in.task == pointer : stand_in.call == call;
}

bool is_one_of(const std::string& key, const std::vector<std::string>& keys) { return std::find(keys.begin(), keys.end(), key) != keys.end(); }

const std::vector<std::string> kAnswerKeys = {"result", "response", "error", "never", "after"};
const std::vector<std::string> kStandInKeys = {"call", "task", "with", "when", "answers", "result", "response", "error", "never", "after"};

class StandInReader {
public:
    explicit StandInReader(const Complaint& complain) : complain_(complain) {}

    StandInAnswer answer(const Json& json, const std::string& pointer)
    {
        StandInAnswer out;
        int kinds = 0;
        using Kind = StandInAnswer::Kind;
        for (const auto& [key, kind] : {std::pair{"result", Kind::result}, {"response", Kind::response}, {"error", Kind::error}, {"never", Kind::never}}) {
            const Json* value = json.find(key);
            if (value == nullptr) continue;
            ++kinds;
            out.kind = kind;
            out.value = *value;
        }
        if (kinds != 1) complain_(pointer, "needs exactly one of result, response, error, never (or, in a stand-in, answers)");
        if (out.kind == Kind::never && !(out.value == Json(true))) complain_(pointer + "/never", "'never' can only be true");
        if (out.kind == Kind::response) {
            only(out.value, pointer + "/response", {"status", "headers", "body"});
            if (const Json* status = out.value.find("status"); status != nullptr && (!status->is_integer() || status->as_integer() < 100 || status->as_integer() > 599))
                complain_(pointer + "/response/status", "'status' is a number from 100 to 599");
        }
        if (out.kind == Kind::error) {
            only(out.value, pointer + "/error", {"type", "status", "title", "detail"});
            if (out.value.is_object() && !out.value["type"].is_string()) complain_(pointer + "/error", "an error needs a type, such as communication or its URI");
            if (const Json* status = out.value.find("status"); status != nullptr && !status->is_integer()) complain_(pointer + "/error/status", "'status' is a number");
        }
        if (const Json* after = json.find("after")) {
            const Result<Milliseconds> wait = after->is_string() ? parse_duration(after->as_string()) : Result<Milliseconds>(fail(Errc::invalid, "not a text"));
            if (wait) out.after = *wait;
            else complain_(pointer + "/after", "'after' is a duration such as 2s or 1h30m");
        }
        return out;
    }

    StandIn stand_in(const Json& json, const std::string& pointer)
    {
        StandIn out;
        if (!only(json, pointer, kStandInKeys)) return out;
        for (const auto& [key, into] : {std::pair{"call", &out.call}, {"task", &out.task}, {"when", &out.when.text}}) {
            const Json* value = json.find(key);
            if (value == nullptr) continue;
            if (value->is_string() && !value->as_string().empty()) *into = value->as_string();
            else complain_(pointer + "/" + key, fmt::format("'{}' is a text", key));
        }
        if (out.call.empty() == out.task.empty()) complain_(pointer, "a stand-in names either a call or a task");
        if (const Json* with = json.find("with")) out.with = *with;
        if (!out.when.text.empty()) read_when(out.when, pointer + "/when");
        const Json* answers = json.find("answers");
        if (answers == nullptr) {
            out.answers.push_back(answer(json, pointer));
            return out;
        }
        out.sequence = true;
        for (const std::string& key : kAnswerKeys)
            if (json.contains(key)) complain_(pointer + "/" + key, fmt::format("'{}' does not go together with 'answers'", key));
        if (!answers->is_array() || answers->empty()) complain_(pointer + "/answers", "'answers' is a list of {result: …}, {response: …} or {error: …}");
        for (std::size_t i = 0; i < answers->as_array().size(); ++i) {
            const std::string place = fmt::format("{}/answers/{}", pointer, i);
            if (only((*answers)[i], place, kAnswerKeys)) out.answers.push_back(answer((*answers)[i], place));
        }
        return out;
    }

private:
    bool only(const Json& json, const std::string& pointer, const std::vector<std::string>& keys)
    {
        if (!json.is_object()) {
            complain_(pointer, fmt::format("an object is expected, not {}", json.kind_name()));
            return false;
        }
        for (const auto& [key, value] : json.as_object())
            if (!is_one_of(key, keys)) complain_(pointer + "/" + key, fmt::format("'{}' is not known here{}", key, did_you_mean(key, keys)));
        return true;
    }

    void read_when(Expression& when, const std::string& pointer)
    {
        if (when.text.starts_with("${") && when.text.ends_with('}')) when.text = when.text.substr(2, when.text.size() - 3);
        when.pointer = pointer;
        if (Status ready = prepare(when, {}); !ready) complain_(pointer, ready.error().what);
    }

    const Complaint& complain_;
};

Json http_response(const Json& given)
{
    const Json& body = given["body"];
    Json headers = given["headers"].is_object() ? given["headers"] : Json::object();
    bool typed = false;
    for (const auto& [name, value] : headers.as_object()) {
        std::string small = name;
        std::transform(small.begin(), small.end(), small.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        typed = typed || small == "content-type";
    }
    if (!typed && !body.is_null()) headers.set("content-type", body.is_string() ? "text/plain" : "application/json");
    const std::string text = body.is_null() ? "" : body.is_string() ? body.as_string() : dump_json(body);
    return Json::object({{"status", given.contains("status") ? given["status"] : Json(200)}, {"headers", std::move(headers)}, {"text", text}});
}

Json command_output(const Json& result)
{
    Json out = Json::object({{"stdout", ""}, {"stderr", ""}, {"code", 0}});
    if (result.is_object() && (result.contains("code") || result.contains("stdout") || result.contains("stderr"))) {
        for (const auto& [key, value] : result.as_object()) out.set(key, value);
    } else if (result.is_integer()) {
        out.set("code", result);
    } else if (!result.is_null()) {
        out.set("stdout", result.is_string() ? result : Json(dump_json(result)));
    }
    return out;
}

}  // namespace

Json name_secrets(const Json& value)
{
    if (value.is_string()) return value.as_string().find(kOpen) == std::string::npos ? value : Json(named(value.as_string()));
    if (value.is_array()) {
        Json out = Json::array();
        for (const Json& item : value.as_array()) out.push(name_secrets(item));
        return out;
    }
    if (!value.is_object()) return value;
    Json out = Json::object();
    for (const auto& [key, member] : value.as_object()) out.set(named(key), name_secrets(member));
    return out;
}

Called called(const EffectRequest& request)
{
    const bool asks = request.effect == "ask";  // with the question that was made of them
    return {request.task, request.name, request.call, name_secrets(asks ? request.with["arguments"] : request.with)};
}

std::vector<StandIn> read_stand_ins(const Json& list, const std::string& pointer, const Complaint& complain)
{
    std::vector<StandIn> out;
    if (!list.is_array() && !list.is_null()) complain(pointer, "'standIns' is a list, each with a call or a task and what it answers");
    StandInReader reader(complain);
    for (std::size_t i = 0; i < list.as_array().size(); ++i) out.push_back(reader.stand_in(list[i], fmt::format("{}/{}", pointer, i)));
    return out;
}

tl::expected<Json, Fault> outcome_of(const StandInAnswer& answer, const EffectRequest& request)
{
    using Kind = StandInAnswer::Kind;
    if (answer.kind == Kind::error) {
        Fault fault;
        fault.type = normal_type(answer.value["type"].as_string());
        fault.status = 500;
        for (int i = 0; i <= static_cast<int>(ErrorType::runtime); ++i)
            if (const auto type = static_cast<ErrorType>(i); fault.type == uri_of(type)) fault.status = status_of(type);
        if (answer.value.contains("status")) fault.status = static_cast<int>(answer.value["status"].as_integer());
        fault.title = answer.value["title"].is_string() ? answer.value["title"].as_string() : "Stand-in";
        fault.detail = answer.value["detail"].as_string();
        return tl::unexpected(std::move(fault));
    }
    if (answer.kind == Kind::response) {
        Json response = http_response(answer.value);
        if (request.effect == "http.request") return response;
        const std::int64_t status = response["status"].as_integer();
        if (status >= 200 && status < 300) return answer.value["body"];
        Fault fault = make_fault(ErrorType::communication, fmt::format("{} answered {}", request.call, status));
        fault.status = static_cast<int>(status);
        return tl::unexpected(std::move(fault));
    }
    if (request.effect == "http.request") return http_response(Json::object({{"body", answer.value}}));
    if (request.effect == "shell" || request.effect == "script") return command_output(answer.value);
    return answer.value;
}

Result<std::unique_ptr<StandIns>> StandIns::make(std::vector<StandIn> stand_ins, std::vector<std::string> real)
{
    auto out = std::make_unique<StandIns>();
    out->stand_ins_ = std::move(stand_ins);
    out->real_ = std::move(real);
    std::vector<Expression*> expressions;
    for (StandIn& each : out->stand_ins_)
        if (!each.when.text.empty()) expressions.push_back(&each.when);
    std::vector<CompileError> errors;
    out->program_ = compile(expressions, errors);
    if (!errors.empty() || !out->program_)
        return fail(Errc::invalid, fmt::format("'when: {}': {}", errors.front().expression->text, errors.front().what));
    return out;
}

StandIns::Choice StandIns::choose(const Called& call)
{
    std::string why;
    const auto also = [&](std::string text) { why += (why.empty() ? "" : "; ") + std::move(text); };
    for (StandIn& each : stand_ins_) {
        if (!means(each, call.call, call.name, call.task)) continue;
        const std::string who = each.call.empty() ? "task " + each.task : "call " + each.call;
        if (each.with) {
            if (const auto different = differences(*each.with, call.with, Match::partial, 1); !different.empty()) {
                also(fmt::format("the stand-in for {} is for other arguments: 'with{}' differs", who, different.front().path));
                continue;
            }
        }
        if (!each.when.text.empty()) {
            const Result<Value> holds = program_->evaluate(each.when, Value(call.with), {}, kExpressionPatience);
            if (!holds) return {nullptr, false, fmt::format("the stand-in for {}: {}", who, holds.error().what)};
            if (!holds->truthy()) {
                also(fmt::format("the stand-in for {} is for other arguments: 'when: {}' does not hold", who, each.when.text.substr(0, 200)));
                continue;
            }
        }
        if (each.sequence && each.used >= each.answers.size()) {
            also(fmt::format("the stand-in for {} has given its {} answer{}", who, each.answers.size(), each.answers.size() == 1 ? "" : "s"));
            continue;
        }
        const std::size_t index = each.sequence ? each.used : 0;
        ++each.used;
        return {&each.answers[index], false, {}};
    }
    for (const std::string& name : real_)
        if (name == call.call || name == call.name || name == call.task) return {nullptr, true, {}};
    if (why.empty()) why = fmt::format("no stand-in is for it: add one to standIns with 'call: {}' or 'task: {}', or say real: [ {} ]", call.call, call.name, call.call);
    const Json shown = preview(call.with, {.text = 200, .items = 5, .members = 12, .depth = 3, .total = 60});
    return {nullptr, false, fmt::format("task '{}' ({}) calls {} with {}, and {}", call.name, call.task, call.call, dump_json(shown), why)};
}

bool StandIns::names(const Task& task) const
{
    return std::any_of(stand_ins_.begin(), stand_ins_.end(), [&](const StandIn& each) { return means(each, call_name(task), task.name, task.pointer); });
}

}  // namespace mill::workflows
