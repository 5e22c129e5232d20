// ask.user, approve, tell.user: what people are asked and told. The schema of the answer is made here, of the kind.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "platform/base/clock.h"
#include "workflows/activities/contract.h"
#include "workflows/duration.h"
#include "workflows/schema.h"

namespace mill::workflows {
namespace {

constexpr Milliseconds kLongestWithin = std::chrono::hours(24 * 366);
constexpr std::size_t kMostAnswerers = 100, kLongestAnswerer = 200, kMostChoices = 500, kLongestAskText = 4000, kLargestAnswerSchema = 64 * 1024;
constexpr std::array<std::string_view, 4> kAnswererRoles{"viewer", "operator", "developer", "admin"};
constexpr const char* kAnswererForms = "operator (or another role), user:NAME, token:ID, chat:USER or conversation";

bool is_answering_role(std::string_view text) { return std::find(kAnswererRoles.begin(), kAnswererRoles.end(), text) != kAnswererRoles.end(); }

/// In its long form; empty: it is none.
std::string answerer(const std::string& text)
{
    if (is_answering_role(text)) return "role:" + text;
    if (text == "conversation") return text;
    const auto colon = text.find(':');
    if (colon == std::string::npos || colon + 1 == text.size() || text.size() > kLongestAnswerer) return {};
    const std::string kind = text.substr(0, colon);
    if (kind == "role") return is_answering_role(std::string_view(text).substr(colon + 1)) ? text : std::string();
    return kind == "user" || kind == "token" || kind == "chat" ? text : std::string();
}

/// Empty: whoever the job is for, which the factory knows.
Result<Json> read_to(const Json& to)
{
    Json out = Json::array();
    if (to.is_null()) return out;
    const Json list = to.is_string() ? Json::array({to}) : to;
    if (list.size() == 0 || list.size() > kMostAnswerers) return fail(Errc::invalid, fmt::format("'to' must name 1 to {} who may answer", kMostAnswerers));
    for (const Json& each : list.as_array()) {
        std::string one = answerer(each.as_string());
        if (one.empty()) return fail(Errc::invalid, fmt::format("'to' has '{}', expected {}", each.as_string().substr(0, kLongestAnswerer), kAnswererForms));
        if (std::none_of(out.as_array().begin(), out.as_array().end(), [&](const Json& known) { return known.as_string() == one; })) out.push(Json(std::move(one)));
    }
    return out;
}

/// "24h" as in a trigger, or as the language writes durations.
Result<Milliseconds> read_within(const Json& within)
{
    const bool short_form = within.is_string() && !within.as_string().starts_with('P');
    const Result<Milliseconds> time = short_form ? parse_duration(within.as_string()) : duration_of(within);
    if (!time || time->count() <= 0 || *time > kLongestWithin)
        return fail(Errc::invalid, fmt::format("'within' must be a duration from 1ms to 366d, such as 4h, P1D or {{hours: 4}}; found {}", dump_json(within).substr(0, 100)));
    return *time;
}

Result<Json> read_choices(const Json& with, std::string_view kind)
{
    const Json& choices = with["choices"];
    if (choices.size() == 0 || choices.size() > kMostChoices) return fail(Errc::invalid, fmt::format("a question of kind {} needs 1 to {} 'choices'", kind, kMostChoices));
    for (std::size_t i = 0; i < choices.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (choices[i] == choices[j]) return fail(Errc::invalid, fmt::format("'choices' has '{}' twice", choices[i].as_string().substr(0, 100)));
    return choices;
}

Result<Json> answer_schema(const Json& with)
{
    const std::string kind = with.contains("kind") ? with["kind"].as_string() : "text";
    Json out = Json::object();
    const std::pair<const char*, std::vector<std::string_view>> only_of[] = {{"choices", {"choice", "several"}}, {"minimum", {"number"}}, {"maximum", {"number"}}, {"form", {"form"}}};
    for (const auto& [member, kinds] : only_of)
        if (with.contains(member) && std::find(kinds.begin(), kinds.end(), kind) == kinds.end())
            return fail(Errc::invalid, fmt::format("'{}' does not go with a question of kind {}", member, kind));
    if (kind == "text") out = Json::object({{"type", "string"}, {"minLength", 1}, {"maxLength", 1000}});
    else if (kind == "long-text") out = Json::object({{"type", "string"}, {"minLength", 1}, {"maxLength", 100'000}});
    else if (kind == "number") out = Json::object({{"type", "number"}});
    else if (kind == "date") out = Json::object({{"type", "string"}, {"format", "date"}});
    else if (kind == "confirm") out = Json::object({{"type", "boolean"}});
    else if (kind == "file")
        out = Json::object({{"type", "object"}, {"properties", Json::object({{"name", Json::object({{"type", "string"}, {"minLength", 1}, {"maxLength", 255}})},
                                                                             {"content", Json::object({{"type", "string"}, {"contentEncoding", "base64"}, {"maxLength", 900'000}})}})},
                            {"required", Json::array({"name", "content"})}, {"additionalProperties", false}});
    else if (kind == "choice" || kind == "several") {
        const auto choices = read_choices(with, kind);
        if (!choices) return fail(choices.error());
        const Json one = Json::object({{"type", "string"}, {"enum", *choices}});
        out = kind == "choice" ? one : Json::object({{"type", "array"}, {"items", one}, {"uniqueItems", true}});
    } else {
        out = with["form"];
        if (!out.is_object()) return fail(Errc::invalid, "a question of kind form needs 'form': the JSON Schema of the answer");
    }
    for (const char* member : {"minimum", "maximum"})
        if (with.contains(member)) out.set(member, with[member]);
    out.set("x-kind", kind);
    if (dump_json(out).size() > kLargestAnswerSchema) return fail(Errc::invalid, fmt::format("the schema of the answer has more than {} KiB", kLargestAnswerSchema / 1024));
    return out;
}

Result<Json> prepared_question(const Json& with, std::string_view kind, Json schema)
{
    const auto compiled = compile_schema(schema);
    if (!compiled) return fail("form", compiled.error());
    const auto within = read_within(with["within"]);
    if (!within) return fail(within.error());
    auto by = read_to(with["to"]);
    if (!by) return fail(by.error());
    Json out = Json::object({{"kind", kind}, {"text", with["text"]}, {"schema", std::move(schema)}, {"by", std::move(*by)}, {"withinMs", within->count()}});
    if (const Json* otherwise = with.find("otherwise")) {
        const auto mistakes = otherwise->is_null() ? std::vector<std::string>() : (*compiled)->mistakes(*otherwise);
        if (!mistakes.empty()) return fail(Errc::invalid, fmt::format("'otherwise' is neither null nor an answer: {}", mistakes.front()));
        out.set("otherwise", *otherwise);
    }
    return out;
}

Result<Json> prepare_ask(const Json& with)
{
    auto schema = answer_schema(with);
    if (!schema) return fail(schema.error());
    return prepared_question(with, "ask", std::move(*schema));
}

Result<Json> prepare_approve(const Json& with) { return prepared_question(with, "approve", Json::object({{"type", "boolean"}, {"x-kind", "confirm"}})); }

Json ask_words(const char* description) { return contract::text(description).set("minLength", 1).set("maxLength", kLongestAskText); }
Json ask_within() { return Json::object({{"type", Json::array({"string", "object"})}, {"description", "how long an answer is waited for: 4h, P1D, {hours: 4}"}}); }
Json ask_to() { return Json::object({{"type", Json::array({"string", "array"})}, {"description", "who may answer: user:NAME, operator, conversation, …; whoever the job is for unless told"}, {"items", Json::object({{"type", "string"}})}}); }

}  // namespace

void add_asking(std::vector<Activity>& out)
{
    using namespace contract;
    out.push_back({"ask.user", "Asks a person, and waits for the answer.", "ask",
                   object({{"text", ask_words("the question")},
                           {"kind", one_of("what the answer is; text unless told", Json::array({"text", "long-text", "number", "choice", "several", "date", "file", "confirm", "form"}))},
                           {"choices", texts("of a choice, or of several")},
                           {"minimum", typed("number", "of a number")},
                           {"maximum", typed("number", "of a number")},
                           {"form", typed("object", "the JSON Schema of the answer, of a form")},
                           {"within", ask_within()},
                           {"otherwise", Json::object({{"description", "the answer when nobody gave one in time; without it that is a timeout error"}})},
                           {"to", ask_to()}}, Json::array({"text", "within"})),
                   Json::object({{"description", "the answer: text, number, list, true or false, {name, content} of a file (content in base64), or the form's value"}}), {},
                   example("ask.user", Json::object({{"text", "${ \"Which region is order \\(.order) for?\" }"}, {"kind", "choice"}, {"choices", Json::array({"north", "south"})}, {"within", "4h"}, {"otherwise", "north"}})),
                   {}, {}, prepare_ask});
    out.push_back({"approve", "Has somebody else than who asked for the job say yes or no, and waits for it.", "ask",
                   object({{"text", ask_words("what is to be approved")}, {"within", ask_within()},
                           {"otherwise", boolean("what holds when nobody said anything in time; without it that is a timeout error")},
                           {"to", ask_to()}}, Json::array({"text", "within"})),
                   object({{"approved", boolean("yes or no")}, {"by", text("who said so")}, {"comment", text("what was said besides")}, {"at", text("when: RFC 3339")}}), {},
                   example("approve", Json::object({{"text", "${ \"May 900 EUR be paid to \\(.payee)?\" }"}, {"to", "operator"}, {"within", "24h"}, {"otherwise", false}})),
                   {}, {}, prepare_approve});
    out.push_back({"tell.user", "Tells a person something, and goes on.", "tell", object({{"text", ask_words("what is told")}}, Json::array({"text"})), nullptr, {},
                   example("tell.user", Json::object({{"text", "${ \"The report for \\(.month) is there\" }"}}))});
}

}  // namespace mill::workflows
