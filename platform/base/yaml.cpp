#include "platform/base/yaml.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "platform/base/text.h"

namespace mill {
namespace {

/// Where the text stops being UTF-8 that a person could have typed; nothing when it is fine.
std::optional<std::size_t> bad_byte(std::string_view text)
{
    for (std::size_t i = 0; i < text.size();) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c < 0x80) {
            if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) return i;
            ++i;
            continue;
        }
        const int more = c >= 0xf0 && c < 0xf5 ? 3 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xc2 && c < 0xe0 ? 1 : -1;
        if (more < 0 || i + static_cast<std::size_t>(more) >= text.size()) return i;
        std::uint32_t code = c & (0x3fU >> more);
        for (int k = 1; k <= more; ++k) {
            const auto next = static_cast<unsigned char>(text[i + static_cast<std::size_t>(k)]);
            if ((next & 0xc0) != 0x80) return i;
            code = (code << 6) | (next & 0x3fU);
        }
        if ((more == 2 && code < 0x800) || (more == 3 && (code < 0x10000 || code > 0x10ffff)) || (code >= 0xd800 && code < 0xe000))
            return i;
        i += static_cast<std::size_t>(more) + 1;
    }
    return std::nullopt;
}

bool digits(std::string_view text, std::string_view allowed = "0123456789")
{
    return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}

bool looks_like_float(std::string_view text)
{
    if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
    const std::size_t e = text.find_first_of("eE");
    if (e != std::string_view::npos) {
        std::string_view exponent = text.substr(e + 1);
        if (!exponent.empty() && (exponent[0] == '-' || exponent[0] == '+')) exponent.remove_prefix(1);
        if (!digits(exponent)) return false;
        text = text.substr(0, e);
    }
    const std::size_t dot = text.find('.');
    if (dot == std::string_view::npos) return digits(text);
    const std::string_view whole = text.substr(0, dot), part = text.substr(dot + 1);
    if (whole.empty()) return digits(part);
    return digits(whole) && (part.empty() || digits(part));
}

/// A plain scalar by the core schema of YAML 1.2; `problem` says why it can not be kept.
Json resolve(const std::string& text, std::string& problem)
{
    if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
    if (text == "true" || text == "True" || text == "TRUE") return true;
    if (text == "false" || text == "False" || text == "FALSE") return false;
    std::string_view number = text;
    int base = 10;
    if (number.starts_with("0x") && digits(number.substr(2), "0123456789abcdefABCDEF")) base = 16;
    if (number.starts_with("0o") && digits(number.substr(2), "01234567")) base = 8;
    if (base != 10) number.remove_prefix(2);
    std::string_view bare = number;
    if (base == 10 && !bare.empty() && (bare[0] == '-' || bare[0] == '+')) bare.remove_prefix(1);
    if (base != 10 || digits(bare)) {
        if (number[0] == '+') number.remove_prefix(1);
        std::int64_t value = 0;
        const auto [end, code] = std::from_chars(number.data(), number.data() + number.size(), value, base);
        if (code == std::errc() && end == number.data() + number.size()) return static_cast<long long>(value);
        problem = fmt::format("the integer {} does not fit 64 bits: quote it", text);
        return nullptr;
    }
    bare = text;
    if (!bare.empty() && (bare[0] == '-' || bare[0] == '+')) bare.remove_prefix(1);
    if (bare == ".inf" || bare == ".Inf" || bare == ".INF" || bare == ".nan" || bare == ".NaN" || bare == ".NAN") {
        problem = fmt::format("{} has no JSON form", text);
        return nullptr;
    }
    if (!looks_like_float(text)) return text;
    double value = 0;
    bare = text;
    if (bare[0] == '+') bare.remove_prefix(1);
    const auto [end, code] = std::from_chars(bare.data(), bare.data() + bare.size(), value);
    if (code != std::errc() || !std::isfinite(value)) problem = fmt::format("the number {} is out of range", text);
    return value;
}

/// Builds documents out of the parser's events. Refusals are thrown as the parser's own exception: parse_stream catches it.
class Builder : public YAML::EventHandler {
public:
    explicit Builder(const YamlLimits& limits) : limits_(limits) {}

    std::vector<YamlDocument> documents;
    bool too_large = false;

    void OnDocumentStart(const YAML::Mark& mark) override
    {
        if (mark.pos == start_) refuse(mark, "nothing can stand here");  // the parser does not get past it, and says no more than that
        start_ = mark.pos;
        documents.emplace_back();
    }
    void OnDocumentEnd() override {}
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse(mark, "aliases (*name) are not allowed"); }
    void OnAnchor(const YAML::Mark& mark, const std::string&) override { refuse(mark, "anchors (&name) are not allowed"); }
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { scalar(mark, "?", anchor, ""); }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override
    {
        scalar(mark, tag, anchor, value);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override
    {
        open(mark, tag, anchor, Json::array());
    }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override
    {
        open(mark, tag, anchor, Json::object());
    }
    void OnSequenceEnd() override { close(); }
    void OnMapEnd() override { close(); }

private:
    struct Level {
        Json value;
        std::string pointer;
        std::string key;
        bool has_key = false;
    };

    [[noreturn]] static void refuse(const YAML::Mark& mark, const std::string& why) { throw YAML::ParserException(mark, why); }

    void count(const YAML::Mark& mark, YAML::anchor_t anchor)
    {
        if (anchor != YAML::NullAnchor) refuse(mark, "anchors (&name) are not allowed");
        if (++nodes_ > limits_.nodes) {
            too_large = true;
            refuse(mark, fmt::format("more than {} nodes", limits_.nodes));
        }
    }

    void scalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& text)
    {
        count(mark, anchor);
        if (tag != "!" && tag != "?" && !tag.empty()) refuse(mark, "tags (!name) are not allowed");
        if (expects_key()) return key(mark, tag != "!", text);
        if (tag == "!") return put(mark, text);
        std::string problem;
        Json value = resolve(text, problem);
        if (!problem.empty()) refuse(mark, problem);
        put(mark, std::move(value));
    }

    void key(const YAML::Mark& mark, bool plain, const std::string& text)
    {
        Level& level = stack_.back();
        if (plain && text == "<<") refuse(mark, "merge keys (<<) are not allowed");
        if (plain && !limits_.scalar_keys) {
            std::string problem;
            if (!resolve(text, problem).is_string() || !problem.empty())
                refuse(mark, fmt::format("the key {} is not a string: quote it", text.empty() ? "(nothing)" : text));
        }
        if (level.value.contains(text)) refuse(mark, fmt::format("the key '{}' stands here twice", text));
        level.key = text;
        level.has_key = true;
        here().marks.emplace(level.pointer + "/" + escape_pointer(text), Mark{mark.line + 1, mark.column + 1});
    }

    void put(const YAML::Mark& mark, Json value)
    {
        mark_value(mark);
        attach(std::move(value));
    }

    /// A member's place is its key's, already written; an item's and the root's is the value's own.
    void mark_value(const YAML::Mark& mark)
    {
        const Mark at{mark.line + 1, mark.column + 1};
        if (stack_.empty()) here().marks.emplace("", at);
        else if (stack_.back().value.is_array()) here().marks.emplace(child_pointer(), at);
    }

    void attach(Json value)
    {
        if (stack_.empty()) {
            here().value = std::move(value);
            return;
        }
        Level& level = stack_.back();
        if (level.value.is_array()) level.value.push(std::move(value));
        else level.value.set(level.key, std::move(value));
        level.has_key = false;
    }

    std::string child_pointer() const
    {
        if (stack_.empty()) return {};
        const Level& level = stack_.back();
        return level.pointer + "/" + (level.value.is_array() ? std::to_string(level.value.size()) : escape_pointer(level.key));
    }

    void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Json empty)
    {
        count(mark, anchor);
        if (!tag.empty() && tag != "?" && tag != "!") refuse(mark, "tags (!name) are not allowed");
        if (expects_key()) refuse(mark, "a key must be a string");
        if (stack_.size() >= limits_.depth) {
            too_large = true;
            refuse(mark, fmt::format("nested deeper than {} levels", limits_.depth));
        }
        mark_value(mark);
        stack_.push_back({std::move(empty), child_pointer(), {}, false});
    }

    void close()
    {
        Json value = std::move(stack_.back().value);
        stack_.pop_back();
        attach(std::move(value));
    }

    bool expects_key() const { return !stack_.empty() && stack_.back().value.is_object() && !stack_.back().has_key; }
    YamlDocument& here() { return documents.back(); }

    YamlLimits limits_;
    std::vector<Level> stack_;
    std::size_t nodes_ = 0;
    int start_ = -1;  // of the last document
};

bool begins_with_tab(std::string_view text, int line)
{
    for (; line > 0; --line) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
    const auto first = text.find_first_not_of(' ');
    return first != std::string_view::npos && text[first] == '\t';
}

tl::unexpected<Error> at(Errc code, int line, int column, std::string_view what)
{
    return fail(code, fmt::format("{}:{}: {}", line, column, what));
}

}  // namespace

Mark nearest_mark(const Marks& marks, std::string_view pointer)
{
    for (;;) {
        if (const auto found = marks.find(pointer); found != marks.end()) return found->second;
        const std::size_t slash = pointer.rfind('/');
        if (slash == std::string_view::npos) return {};
        pointer = pointer.substr(0, slash);
    }
}

Result<std::vector<YamlDocument>> parse_yaml_stream(std::string_view text, const YamlLimits& limits)
{
    if (text.size() > limits.bytes)
        return at(Errc::too_large, 1, 1, fmt::format("{} bytes of YAML, at most {} are read", text.size(), limits.bytes));
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    if (const auto bad = bad_byte(text)) {
        int line = 1, column = 1;
        for (const char c : text.substr(0, *bad)) {
            column = c == '\n' ? 1 : column + 1;
            if (c == '\n') ++line;
        }
        const auto byte = static_cast<unsigned char>(text[*bad]);
        if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) return at(Errc::invalid, line, column, "UTF-16 text: UTF-8 is expected");
        return at(Errc::invalid, line, column, byte < 0x80 ? fmt::format("a control character (U+{:04X})", byte) : "not UTF-8 text");
    }
    Builder builder(limits);
    try {
        std::istringstream stream{std::string(text)};
        YAML::Parser parser(stream);
        while (parser.HandleNextDocument(builder)) {}
    } catch (const YAML::Exception& error) {
        const int line = std::max(error.mark.line, 0);
        return at(builder.too_large ? Errc::too_large : Errc::invalid, line + 1, std::max(error.mark.column, 0) + 1,
                  begins_with_tab(text, line) ? error.msg + "; this line begins with a tab, YAML is indented by spaces" : error.msg);
    } catch (const std::exception& error) {
        return at(Errc::invalid, 1, 1, error.what());
    }
    return std::move(builder.documents);
}

Result<YamlDocument> parse_yaml(std::string_view text, const YamlLimits& limits)
{
    Result<std::vector<YamlDocument>> documents = parse_yaml_stream(text, limits);
    if (!documents) return fail(std::move(documents.error()));
    if (documents->empty()) {
        YamlDocument empty;
        empty.marks.emplace("", Mark{});
        return empty;
    }
    if (documents->size() > 1) {
        const Mark second = (*documents)[1].mark("");
        return at(Errc::invalid, second.line, second.column, "a second document (---) is not allowed here");
    }
    return std::move(documents->front());
}

}  // namespace mill
