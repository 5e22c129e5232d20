#include "agent/attend/form.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "platform/base/printable.h"
#include "platform/base/text.h"
#include "protocol/secret_fields.h"

namespace mill::agent {
namespace {

using companion::say;

constexpr std::size_t kMostLine = 32 * 1024;
constexpr int kDeepest = 8;

/// One value that is asked for.
struct Asked {
    const Json& schema;
    std::string path;      ///< as a person reads it: "order.lines"
    bool needed = false;
    int depth = 0;
};

std::string kind_of(const Json& schema)
{
    const Json& type = schema["type"];
    if (type.is_string()) return type.as_string();
    for (const Json& each : type.as_array())
        if (each.as_string() != "null") return each.as_string();
    return schema["properties"].is_object() ? "object" : "";
}

struct Choice {
    std::string label;
    Json value;
};

std::vector<Choice> choices_of(const Json& schema)
{
    std::vector<Choice> out;
    const auto plain = [](const Json& value) { return value.is_string() ? value.as_string() : dump_json(value); };
    for (const Json& value : schema["enum"].as_array()) out.push_back({plain(value), value});
    if (out.empty())
        for (const Json& one : schema["oneOf"].as_array()) {
            if (!one.contains("const")) return {};
            out.push_back({one["title"].is_string() ? one["title"].as_string() : plain(one["const"]), one["const"]});
        }
    return out;
}

std::string words(const Json& value) { return value.is_string() ? value.as_string() : dump_json(value); }

std::size_t length_of(std::string_view text)
{
    std::size_t count = 0;
    for (std::size_t at = 0; at < text.size(); ++count) (void)next_code_point(text, at);
    return count;
}

/// The line as a value of that kind, or what is wrong with it.
Result<Json> read_value(const std::string& line, const Json& schema, const std::string& kind, const Dialogue& dialogue)
{
    const auto wrong = [&](std::string_view key, std::initializer_list<companion::Argument> with = {}) { return fail(Errc::invalid, say(dialogue.language, key, with)); };
    if (kind == "boolean") {
        const std::string word = lower_case(line);
        for (const char* yes : {"y", "yes", "j", "ja", "true", "1"})
            if (word == yes) return Json(true);
        for (const char* no : {"n", "no", "nein", "false", "0"})
            if (word == no) return Json(false);
        return wrong("attend.yes_or_no");
    }
    if (kind == "integer" || kind == "number") {
        auto number = parse_json(line);
        if (!number || !number->is_number()) return wrong(kind == "integer" ? "mistake.integer" : "mistake.number", {{"example", "3.5"}});
        if (kind == "integer" && !number->is_integer() && std::trunc(number->as_number()) != number->as_number()) return wrong("mistake.integer");
        const auto limit = [&](const char* name) { return schema[name].is_number(); };
        if (limit("minimum") && number->as_number() < schema["minimum"].as_number()) return wrong("mistake.minimum", {{"limit", dump_json(schema["minimum"])}});
        if (limit("maximum") && number->as_number() > schema["maximum"].as_number()) return wrong("mistake.maximum", {{"limit", dump_json(schema["maximum"])}});
        return number;
    }
    if (kind == "string") {
        const std::string count = std::to_string(length_of(line));
        if (schema["minLength"].is_integer() && static_cast<std::int64_t>(length_of(line)) < schema["minLength"].as_integer())
            return wrong("mistake.short", {{"limit", dump_json(schema["minLength"])}, {"count", count}});
        if (schema["maxLength"].is_integer() && static_cast<std::int64_t>(length_of(line)) > schema["maxLength"].as_integer())
            return wrong("mistake.long", {{"limit", dump_json(schema["maxLength"])}, {"count", count}});
        return Json(line);
    }
    auto json = parse_json(line);
    if (!json) return wrong("mistake.json", {{"why", json.error().what}});
    return json;
}

/// Nothing: the person leaves it out. Errors: cancelled.
Result<std::optional<Json>> ask(const Asked& asked, const Json& before, const Dialogue& dialogue);

/// Values with commas between them; an empty line keeps what was there. Only of kinds that fit on one line.
Result<std::optional<Json>> read_list(const std::string& line, const Json& items, const Dialogue& dialogue)
{
    Json out = Json::array();
    for (std::size_t at = 0; at <= line.size();) {
        const std::size_t comma = std::min(line.find(',', at), line.size());
        std::string one = line.substr(at, comma - at);
        one.erase(0, one.find_first_not_of(' '));
        one.erase(one.find_last_not_of(' ') + 1);
        auto value = read_value(one, items, kind_of(items), dialogue);
        if (!value) return fail(Errc::invalid, fmt::format("{}: {}", one, value.error().what));
        out.push(std::move(*value));
        at = comma + 1;
    }
    return std::optional(std::move(out));
}

Result<std::optional<Json>> ask_object(const Asked& asked, const Json& before, const Dialogue& dialogue)
{
    Json out = Json::object();
    const auto& required = asked.schema["required"].as_array();
    for (const auto& [name, schema] : asked.schema["properties"].as_object()) {
        const bool needed = std::any_of(required.begin(), required.end(), [&, &key = name](const Json& each) { return each.as_string() == key; });
        auto value = ask({schema, asked.path.empty() ? name : asked.path + "." + name, needed, asked.depth + 1}, before[name], dialogue);
        if (!value) return value;
        if (*value) out.set(name, std::move(**value));
    }
    if (out.empty() && !asked.needed && asked.depth > 0) return std::optional<Json>();
    return std::optional(std::move(out));
}

Result<std::optional<Json>> ask(const Asked& asked, const Json& before, const Dialogue& dialogue)
{
    const Json& schema = asked.schema;
    const std::string kind = kind_of(schema);
    if (kind == "object" && schema["properties"].is_object() && !schema["properties"].empty() && asked.depth < kDeepest) return ask_object(asked, before, dialogue);
    const auto choices = choices_of(schema);
    const bool secret = protocol::marks_secret(schema), list = kind == "array" && choices.empty() && (kind_of(schema["items"]) == "string" || kind_of(schema["items"]) == "integer" || kind_of(schema["items"]) == "number");
    const Json kept = before.is_null() ? schema["default"] : before;
    std::string prompt = one_line(schema["title"].is_string() ? schema["title"].as_string() : asked.path.empty() ? say(dialogue.language, "question.answer") : asked.path);
    if (schema["description"].is_string()) dialogue.print("  " + one_line(schema["description"].as_string()) + "\n");
    for (std::size_t i = 0; i < choices.size(); ++i) dialogue.print(fmt::format("  {}  {}\n", i + 1, one_line(choices[i].label)));
    if (choices.empty() && kind == "boolean") prompt += " (" + say(dialogue.language, "attend.yn") + ")";
    if (list) prompt += " (" + say(dialogue.language, "attend.commas") + ")";
    if (choices.empty() && !list && kind != "boolean" && kind != "string" && kind != "integer" && kind != "number") prompt += " (JSON)";
    if (!kept.is_null()) prompt += secret ? " [***]" : " [" + one_line(words(kept)) + "]";
    else if (!asked.needed) prompt += " (" + say(dialogue.language, "form.optional") + ")";
    while (true) {
        auto line = dialogue.read(prompt + ": ", secret);
        if (!line) return fail(std::move(line.error()));
        if (line->size() > kMostLine) {
            dialogue.print("  " + say(dialogue.language, "mistake.long", {{"limit", std::to_string(kMostLine)}, {"count", std::to_string(line->size())}}) + "\n");
            continue;
        }
        if (line->empty() && !kept.is_null()) return std::optional(kept);
        if (line->empty() && !asked.needed) return std::optional<Json>();
        if (line->empty() && !(kind == "string" && choices.empty() && schema["minLength"].as_integer() == 0 && asked.depth == 0)) {
            dialogue.print("  " + say(dialogue.language, "mistake.needed") + "\n");
            continue;
        }
        if (!choices.empty()) {
            std::size_t number = 0;
            const auto [end, error] = std::from_chars(line->data(), line->data() + line->size(), number);
            if (error == std::errc() && end == line->data() + line->size() && number >= 1 && number <= choices.size()) return std::optional(choices[number - 1].value);
            for (const Choice& each : choices)
                if (each.label == *line) return std::optional(each.value);
            dialogue.print("  " + say(dialogue.language, "mistake.choose") + "\n");
            continue;
        }
        if (list) {
            auto values = read_list(*line, schema["items"], dialogue);
            if (values) return values;
            dialogue.print("  " + one_line(values.error().what) + "\n");
            continue;
        }
        auto value = read_value(*line, schema, kind, dialogue);
        if (value) return std::optional(std::move(*value));
        dialogue.print("  " + one_line(value.error().what) + "\n");
    }
}

}  // namespace

Result<Json> fill_form(const Json& schema, const Json& before, const Dialogue& dialogue)
{
    static const Json kText = Json::object({{"type", "string"}});
    auto value = ask({schema.is_object() ? schema : kText, "", true, 0}, before, dialogue);
    if (!value) return fail(std::move(value.error()));
    return value->value_or(Json::object({}));
}

Result<std::size_t> choose(std::size_t count, const std::string& prompt, const Dialogue& dialogue)
{
    while (true) {
        auto line = dialogue.read(prompt, false);
        if (!line) return fail(std::move(line.error()));
        if (line->empty()) return 0;
        std::size_t number = 0;
        const auto [end, error] = std::from_chars(line->data(), line->data() + line->size(), number);
        if (error == std::errc() && end == line->data() + line->size() && number >= 1 && number <= count) return number;
        dialogue.print("  " + say(dialogue.language, "mistake.choose") + "\n");
    }
}

}  // namespace mill::agent
