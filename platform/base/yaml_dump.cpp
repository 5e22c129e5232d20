#include <cctype>

#include "platform/base/yaml.h"

namespace mill {
namespace {

/// Plain only when nobody could read it as anything else; all other strings are written as JSON strings, which are YAML too.
bool plain_safe(const std::string& text)
{
    if (text.empty() || text.size() > 120) return false;
    const auto first = static_cast<unsigned char>(text[0]);
    if (std::isalpha(first) == 0 && first != '_' && first != '/') return false;
    for (const char c : text) {
        const auto u = static_cast<unsigned char>(c);
        if (std::isalnum(u) == 0 && c != '_' && c != '-' && c != '.' && c != '/' && c != ' ') return false;
    }
    if (text.back() == ' ') return false;
    for (const char* word : {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}) {
        std::string lower;
        for (const char c : text) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        if (lower == word) return false;
    }
    return true;
}

std::string text_of(const std::string& text) { return plain_safe(text) ? text : dump_json(text); }

void write(std::string& out, const Json& value, std::size_t indent, bool after_dash)
{
    const std::string margin(indent, ' ');
    if (value.is_object() && !value.empty()) {
        bool first = after_dash;
        for (const auto& [key, member] : value.as_object()) {
            if (!first) out += margin;
            first = false;
            out += text_of(key) + ":";
            const bool nested = (member.is_object() || member.is_array()) && !member.empty();
            if (nested) {
                out += "\n";
                write(out, member, indent + 2, false);
            } else {
                out += " ";
                write(out, member, 0, false);
                out += "\n";
            }
        }
    } else if (value.is_array() && !value.empty()) {
        bool first = after_dash;
        for (const Json& item : value.as_array()) {
            if (!first) out += margin;
            first = false;
            out += "- ";
            const bool nested = (item.is_object() || item.is_array()) && !item.empty();
            write(out, item, indent + 2, nested);
            if (!nested) out += "\n";
        }
    } else {
        out += value.is_string() ? text_of(value.as_string()) : dump_json(value);
    }
}

}  // namespace

std::string dump_yaml(const Json& value)
{
    std::string out;
    write(out, value, 0, false);
    if (out.empty() || out.back() != '\n') out += '\n';
    return out;
}

}  // namespace mill
