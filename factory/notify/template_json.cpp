// Templates in the strings of a document.
#include <fmt/format.h>

#include "factory/notify/template.h"

namespace mill::factory {

Status check_templates(const Json& value, const std::string& where, const TemplateLanguage& language)
{
    if (value.is_string()) {
        if (const auto read = Template::parse(value.as_string(), language); !read) return fail(where, read.error());
    } else if (value.is_array()) {
        for (std::size_t i = 0; i < value.size(); ++i)
            if (auto read = check_templates(value[i], fmt::format("{}/{}", where, i), language); !read) return read;
    } else if (value.is_object()) {
        for (const auto& [name, member] : value.as_object())
            if (auto read = check_templates(member, where + "/" + name, language); !read) return read;
    }
    return {};
}

Result<Json> render_json(const Json& value, const Json& document, const TemplateLanguage& language)
{
    if (value.is_string()) {
        const auto read = Template::parse(value.as_string(), language);
        if (!read) return fail(read.error());
        return read->value(document);
    }
    if (value.is_array()) {
        Json out = Json::array();
        for (const Json& item : value.as_array()) {
            auto rendered = render_json(item, document, language);
            if (!rendered) return rendered;
            out.push(std::move(*rendered));
        }
        return out;
    }
    if (value.is_object()) {
        Json out = Json::object();
        for (const auto& [name, member] : value.as_object()) {
            auto rendered = render_json(member, document, language);
            if (!rendered) return rendered;
            out.set(name, std::move(*rendered));
        }
        return out;
    }
    return value;
}

std::vector<std::string> expressions_in(const Json& value)
{
    std::vector<std::string> out;
    const auto add = [&](std::vector<std::string> more) { out.insert(out.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end())); };
    if (value.is_string() && value.as_string().find("${") != std::string::npos) {
        if (const auto read = Template::parse(value.as_string())) add(read->expressions());
    }
    for (const Json& item : value.as_array()) add(expressions_in(item));
    for (const auto& [name, member] : value.as_object()) add(expressions_in(member));
    return out;
}

}  // namespace mill::factory
