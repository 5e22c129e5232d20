#include "workflows/certain.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/nearest.h"
#include "platform/base/text.h"
#include "workflows/pointer.h"
#include "workflows/schema.h"

namespace mill::workflows {
namespace {

constexpr int kDeepestReference = 32;  // references may go round

/// True when the checks below are all that the schema asks: compiling it costs a hundred times as much. Contracts of activities
/// are such. They compare scalars with an `enum`, so its `type` must leave only those.
bool simple(const Json& schema, int depth = 0)
{
    if (!schema.is_object() || depth > kDeepestReference) return false;
    const Json& type = schema["type"];
    if (schema.contains("enum") && (!type.is_string() || type == Json("object") || type == Json("array"))) return false;
    for (const auto& [key, value] : schema.as_object()) {
        if (key == "properties") {
            for (const auto& [name, member] : value.as_object())
                if (!simple(member, depth + 1)) return false;
        } else if (key == "items" || (key == "additionalProperties" && !value.is_bool())) {
            if (!simple(value, depth + 1)) return false;
        } else if (key != "type" && key != "enum" && key != "required" && key != "additionalProperties" && key != "description" && key != "title" && key != "default" &&
                   key != "examples" && !key.starts_with("x-")) {
            return false;
        }
    }
    return true;
}

class Certain {
public:
    Certain(const Json& root, const Mistake& mistake) : root_(root), mistake_(mistake) {}

    void check(const Json& written, const Template& value, const std::string& pointer, int depth)
    {
        if (value.kind == Template::Kind::expression || depth > kDeepestReference) return;
        const Json* schema = &written;
        for (int i = 0; i < kDeepestReference && (*schema)["$ref"].is_string(); ++i) schema = &referred((*schema)["$ref"].as_string());
        const Template opened = value.kind == Template::Kind::constant ? opening(value.constant) : Template{};
        const Template& now = opened.kind == Template::Kind::constant ? value : opened;
        const std::size_t before = count_;
        const bool known = value.kind == Template::Kind::constant;
        known_ += known ? 1 : 0;
        if (schema->is_object() && typed(*schema, now, pointer)) {
            if (now.kind != Template::Kind::constant)
                for (const Json& part : (*schema)["allOf"].as_array()) check(part, now, pointer, depth + 1);
            if (now.kind == Template::Kind::object) members(*schema, now, pointer, depth);
            if (now.kind == Template::Kind::array) items(*schema, now, pointer, depth);
        }
        known_ -= known ? 1 : 0;
        if (known && known_ == 0 && before == count_ && !simple(*schema)) constant(*schema, value.constant, pointer);
    }

private:
    void tell(const std::string& pointer, std::string what)
    {
        ++count_;
        mistake_(pointer, std::move(what));
    }

    /// An object or array that is wholly known, as one whose parts can be looked at each at its place.
    static Template opening(const Json& value)
    {
        Template out;
        if (value.is_object()) out.kind = Template::Kind::object;
        if (value.is_array()) out.kind = Template::Kind::array;
        const auto known = [](const Json& part) {
            Template made;
            made.constant = part;
            return made;
        };
        for (const auto& [key, member] : value.as_object()) out.members.push_back({key, known(member)});
        for (const Json& item : value.as_array()) out.items.push_back(known(item));
        return out;
    }

    /// False, after saying so, when the value is of a kind, or none of the choices, that the schema has.
    bool typed(const Json& schema, const Template& value, const std::string& pointer)
    {
        const Json& known = value.constant;
        const std::string kind(value.kind == Template::Kind::object ? "object" : value.kind == Template::Kind::array ? "array" : known.kind_name());
        const auto fits = [&](const Json& type) {
            if (type == Json("integer")) return known.is_integer() || (known.is_number() && known == Json(known.as_integer()));
            return type == Json(kind);
        };
        const Json& type = schema["type"];
        const bool fine = type.is_array() ? std::any_of(type.as_array().begin(), type.as_array().end(), fits) : !type.is_string() || fits(type);
        if (!fine) {
            std::string names = type.as_string();
            for (const Json& one : type.as_array()) names += (names.empty() ? "" : " or ") + one.as_string();
            tell(pointer, fmt::format("{} is expected, not {}", names, kind));
            return false;
        }
        const Json& choices = schema["enum"];
        if (value.kind != Template::Kind::constant || choices.empty() || std::find(choices.as_array().begin(), choices.as_array().end(), known) != choices.as_array().end()) return true;
        std::vector<std::string> names;
        std::string all;
        for (const Json& choice : choices.as_array()) {
            names.push_back(choice.is_string() ? choice.as_string() : dump_json(choice));
            all += (all.empty() ? "" : ", ") + names.back();
        }
        tell(pointer, fmt::format("'{}' is none of {}{}", known.is_string() ? known.as_string().substr(0, 60) : dump_json(known).substr(0, 60), all, did_you_mean(known.as_string(), names)));
        return false;
    }

    const Json& referred(std::string_view reference) const
    {
        static const Json kNothing;
        const Json* found = referred_by(root_, reference);
        return found != nullptr ? *found : kNothing;
    }

    void constant(const Json& schema, const Json& value, const std::string& pointer)
    {
        if (!schema.is_object() && !schema.is_bool()) return;
        Json whole = schema;
        if (schema.is_object())  // what it refers to
            for (const char* shared : {"definitions", "$defs"})
                if (const Json* found = root_.find(shared); found != nullptr && !whole.contains(shared)) whole.set(shared, *found);
        const auto compiled = compile_schema(whole);
        if (!compiled) return;  // the schema's own finding says so
        const std::vector<std::string> mistakes = (*compiled)->mistakes(value);
        if (mistakes.empty()) return;
        const std::string& first = mistakes.front();  // the others say from where it was reached
        const auto colon = first.find(": ");
        const std::string inside = first.substr(0, colon);
        tell(inside == "/" ? pointer : pointer + inside, first.substr(colon + 2));
    }

    void members(const Json& schema, const Template& value, const std::string& pointer, int depth)
    {
        std::vector<std::string> names;
        for (const auto& [name, of] : schema["properties"].as_object()) names.push_back(name);
        const Json* more = schema.find("additionalProperties");
        const bool closed = more != nullptr && more->is_bool() && !more->as_bool() && !schema.contains("patternProperties");
        for (const Template::Member& member : value.members) {
            const std::string place = pointer + "/" + escape_pointer(member.key);
            if (const Json* of = schema["properties"].find(member.key)) check(*of, member.value, place, depth + 1);
            else if (closed) tell(place, fmt::format("there is no '{}'{}", member.key, did_you_mean(member.key, names)));
            else if (more != nullptr && more->is_object() && !schema.contains("patternProperties")) check(*more, member.value, place, depth + 1);
        }
        for (const Json& needed : schema["required"].as_array())
            if (std::none_of(value.members.begin(), value.members.end(), [&](const Template::Member& member) { return member.key == needed.as_string(); }))
                tell(pointer, fmt::format("'{}' is missing", needed.as_string()));
    }

    void items(const Json& schema, const Template& value, const std::string& pointer, int depth)
    {
        if (schema["items"].is_object())
            for (std::size_t i = 0; i < value.items.size(); ++i) check(schema["items"], value.items[i], fmt::format("{}/{}", pointer, i), depth + 1);
        const auto count = static_cast<std::int64_t>(value.items.size());
        if (schema["minItems"].is_integer() && count < schema["minItems"].as_integer()) tell(pointer, fmt::format("at least {} items are expected, not {}", schema["minItems"].as_integer(), count));
        if (schema["maxItems"].is_integer() && count > schema["maxItems"].as_integer()) tell(pointer, fmt::format("at most {} items are expected, not {}", schema["maxItems"].as_integer(), count));
    }

    const Json& root_;
    const Mistake& mistake_;
    std::size_t count_ = 0;  // told so far
    int known_ = 0;          // > 0 inside a value that is wholly known: the whole is validated at its top
};

}  // namespace

void certain_mistakes(const Json& schema, const Template& value, const std::string& pointer, const Mistake& mistake)
{
    Certain(schema, mistake).check(schema, value, pointer, 0);
}

}  // namespace mill::workflows
