#include "workflows/check/insert.h"

#include <algorithm>
#include <optional>
#include <regex>

#include <fmt/format.h>

#include "platform/base/text.h"

namespace mill::workflows {
namespace {

std::string flow(const Json& value)
{
    if (value.is_string()) {
        static const std::regex kPlain("[A-Za-z/_][A-Za-z0-9/_.-]*");
        static const std::regex kWords("(true|false|null|yes|no|on|off)", std::regex::icase);
        const std::string& text = value.as_string();
        return text.size() < 200 && std::regex_match(text, kPlain) && !std::regex_match(text, kWords) ? text : dump_json(value);
    }
    std::string out;
    for (const Json& item : value.as_array()) out += (out.empty() ? "" : ", ") + flow(item);
    for (const auto& [key, member] : value.as_object()) out += (out.empty() ? "" : ", ") + flow(Json(key)) + ": " + flow(member);
    if (value.is_array()) return "[ " + out + " ]";
    return value.is_object() ? "{ " + out + " }" : dump_json(value);
}

/// `value` with the remedy in it.
Json with_remedy(const Json& value, const Remedy& remedy, std::size_t depth)
{
    Json out = value;
    if (depth < remedy.path.size()) {
        out.set(remedy.path[depth], with_remedy(value[remedy.path[depth]], remedy, depth + 1));
    } else if (!remedy.member.empty()) {
        if (!out.contains(remedy.member)) out.set(remedy.member, remedy.item);
    } else if (std::find(out.as_array().begin(), out.as_array().end(), remedy.item) == out.as_array().end()) {
        out.push(remedy.item);
    }
    return out;
}

/// One text and the places in it. Positions are offsets.
class Text {
public:
    Text(std::string_view text, const YamlDocument& document) : text_(text), document_(document) {}

    /// Where the value of the member at `pointer` begins: behind its colon. The root's is its first character.
    std::optional<std::size_t> value_of(const std::string& pointer) const
    {
        const auto found = document_.marks.find(pointer);
        if (found == document_.marks.end()) return std::nullopt;
        std::size_t at = offset(found->second);
        if (pointer.empty()) return at;
        if (at < text_.size() && (text_[at] == '"' || text_[at] == '\'')) at = text_.find(text_[at], at + 1);
        at = text_.find(':', at);
        return at == std::string_view::npos ? std::nullopt : std::optional(at + 1);
    }

    std::size_t offset(const Mark& mark) const
    {
        std::size_t at = 0;
        for (int line = 1; line < mark.line; ++line) at = text_.find('\n', at) + 1;
        return std::min(at + static_cast<std::size_t>(mark.column) - 1, text_.size());
    }

    std::size_t skip_blanks(std::size_t at) const
    {
        while (at < text_.size() && (text_[at] == ' ' || text_[at] == '\t')) ++at;
        return at;
    }

    /// The bracket that closes the flow collection at `at`.
    std::optional<std::size_t> closing(std::size_t at) const
    {
        int depth = 0;
        for (; at < text_.size(); ++at) {
            const char c = text_[at];
            if (c == '"' || c == '\'') {
                for (++at; at < text_.size() && text_[at] != c; ++at)
                    if (c == '"' && text_[at] == '\\') ++at;
            } else if (c == '#' && at > 0 && (text_[at - 1] == ' ' || text_[at - 1] == '\n')) {
                at = std::min(text_.find('\n', at), text_.size());
            } else if (c == '[' || c == '{') {
                ++depth;
            } else if ((c == ']' || c == '}') && --depth == 0) {
                return at;
            }
        }
        return std::nullopt;
    }

    /// The end of the block whose lines are indented by at least `indent`, from the line behind `at` on: behind its last line
    /// that is neither blank nor a comment. `dash`: lines of a list at that indent belong, others do not.
    std::size_t block_end(std::size_t at, std::size_t indent, bool dash) const
    {
        std::size_t end = at, line = at;
        while (line < text_.size()) {
            const std::size_t next = std::min(text_.find('\n', line), text_.size() - 1) + 1;
            std::size_t first = line;
            while (first < next && text_[first] == ' ') ++first;
            const bool empty = first >= next || text_[first] == '\n' || text_[first] == '\r' || text_[first] == '#';
            if (!empty) {
                const std::size_t width = first - line;
                if (width < indent || (dash && width == indent && text_[first] != '-') || (width == 0 && (text_.substr(line, 3) == "---" || text_.substr(line, 3) == "..."))) break;
                end = next;
            }
            line = next;
        }
        return end;
    }

    std::size_t line_behind(std::size_t at) const { return std::min(text_.find('\n', at), text_.size() - 1) + 1; }
    char at(std::size_t position) const { return position < text_.size() ? text_[position] : '\n'; }
    std::string_view all() const { return text_; }

private:
    std::string_view text_;
    const YamlDocument& document_;
};

struct Edit {
    std::size_t at = 0;
    std::string text;
};

/// An edit that adds `entry` ("item", or "key: value") to the non-null collection at `pointer`.
std::optional<Edit> add_to(const Text& text, const Json& collection, const YamlDocument& document, const std::string& pointer, const std::string& entry)
{
    const auto value = text.value_of(pointer);
    if (!value) return std::nullopt;
    const std::size_t first = text.skip_blanks(*value);
    if (text.at(first) == '[' || text.at(first) == '{') {
        const auto close = text.closing(first);
        if (!close) return std::nullopt;
        std::size_t last = *close;
        while (last > first + 1 && (text.at(last - 1) == ' ' || text.at(last - 1) == '\n' || text.at(last - 1) == '\t')) --last;
        if (last == first + 1) return Edit{last, " " + entry + (text.at(last) == ' ' ? "" : " ")};
        const bool comma = text.at(last - 1) == ',';
        return Edit{last, (comma ? " " : ", ") + entry + (last == *close && comma ? " " : "")};
    }
    if (collection.empty()) return std::nullopt;
    if (!pointer.empty() && text.at(first) != '\n' && text.at(first) != '\r' && text.at(first) != '#') return std::nullopt;
    if (collection.is_array()) {
        // The first dash: items' marks stand behind it.
        const auto item = document.marks.find(pointer + "/0");
        if (item == document.marks.end()) return std::nullopt;
        std::size_t dash = text.offset(item->second);
        while (dash > 0 && text.at(dash) != '-') --dash;
        std::size_t start = dash;
        while (start > 0 && text.at(start - 1) == ' ') --start;
        const std::size_t indent = dash - start;
        const std::size_t end = text.block_end(start, indent, true);
        return Edit{end, std::string(indent, ' ') + "- " + entry + "\n"};
    }
    const auto member = document.marks.find(pointer + "/" + escape_pointer(collection.as_object().begin()->first));
    if (member == document.marks.end()) return std::nullopt;
    const auto indent = static_cast<std::size_t>(member->second.column) - 1;
    const std::size_t start = text.offset(member->second) - indent;
    return Edit{text.block_end(start, indent, false), std::string(indent, ' ') + entry + "\n"};
}

tl::unexpected<Error> by_hand(const Remedy& remedy)
{
    return fail(Errc::invalid, fmt::format("{}: its form does not admit a change by itself; add {}", remedy.file, shown(remedy)));
}

}  // namespace

std::string shown(const Remedy& remedy)
{
    std::string path;
    for (const std::string& step : remedy.path) path += (path.empty() ? "" : ".") + step;
    return fmt::format("{}: {}", path, flow(remedy.member.empty() ? Json::array({remedy.item}) : Json::object({{remedy.member, remedy.item}})));
}

Result<std::string> insert(std::string_view yaml, const Remedy& remedy)
{
    Result<YamlDocument> document = parse_yaml(yaml);
    if (!document) return fail(remedy.file, std::move(document.error()));
    const Json wanted = with_remedy(document->value, remedy, 0);
    if (wanted == document->value) return std::string(yaml);
    std::string whole(yaml);
    if (!whole.ends_with('\n')) whole += '\n';
    // As deep as the text goes already.
    const Json* at = &document->value;
    std::string pointer;
    std::size_t depth = 0;
    while (depth < remedy.path.size() && !(*at)[remedy.path[depth]].is_null()) {
        at = at->find(remedy.path[depth]);
        pointer += "/" + escape_pointer(remedy.path[depth++]);
    }
    const Text text(whole, *document);
    std::optional<Edit> edit;
    Json rest = remedy.member.empty() ? Json::array({remedy.item}) : Json::object({{remedy.member, remedy.item}});
    if (depth == remedy.path.size()) {
        if (at->empty() || at->is_array() == remedy.member.empty())
            edit = add_to(text, *at, *document, pointer, remedy.member.empty() ? flow(remedy.item) : flow(Json(remedy.member)) + ": " + flow(remedy.item));
    } else {
        for (std::size_t i = remedy.path.size() - 1; i > depth; --i) rest = Json::object({{remedy.path[i], std::move(rest)}});
        const std::string& key = remedy.path[depth];
        if (at->contains(key)) {  // `permissions:` and nothing behind it
            if (const auto value = text.value_of(pointer + "/" + escape_pointer(key))) edit = Edit{*value, " " + flow(rest)};
        } else if (at->is_object()) {
            edit = add_to(text, *at, *document, pointer, key + ": " + flow(rest));
        }
    }
    if (!edit) return by_hand(remedy);
    whole.insert(edit->at, edit->text);
    const Result<YamlDocument> outcome = parse_yaml(whole);
    if (!outcome || !(outcome->value == wanted)) return by_hand(remedy);
    return whole;
}

}  // namespace mill::workflows
