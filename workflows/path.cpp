#include "workflows/path.h"

#include <charconv>

#include "platform/base/json.h"

namespace mill::workflows {
namespace {

bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool word(char c) { return letter(c) || (c >= '0' && c <= '9'); }

struct PathReader {
    std::string_view text;
    std::size_t at = 0;
    char peek() const { return at < text.size() ? text[at] : '\0'; }
    bool take(char c)
    {
        if (peek() != c) return false;
        ++at;
        return true;
    }
    std::string name()
    {
        const std::size_t from = at;
        if (!letter(peek())) return {};
        while (word(peek())) ++at;
        return std::string(text.substr(from, at - from));
    }
    /// A JSON string without interpolation.
    std::optional<std::string> quoted()
    {
        const std::size_t from = at;
        if (!take('"')) return std::nullopt;
        while (at < text.size() && text[at] != '"') at += text[at] == '\\' ? 2 : 1;
        if (at >= text.size()) return std::nullopt;
        ++at;
        const Result<Json> parsed = parse_json(text.substr(from, at - from));
        if (!parsed || !parsed->is_string()) return std::nullopt;
        return parsed->as_string();
    }
};

}  // namespace

std::optional<PlainPath> parse_plain_path(std::string_view text)
{
    while (!text.empty() && (text.back() == ' ' || text.back() == '\n' || text.back() == '\t')) text.remove_suffix(1);
    while (!text.empty() && (text.front() == ' ' || text.front() == '\n' || text.front() == '\t')) text.remove_prefix(1);
    PlainPath path;
    PathReader in{text};
    bool need_dot = false;  // after a variable, members need their dot, and `.` alone is no path
    if (in.take('$')) {
        path.root = in.name();
        if (path.root.empty() || path.root == "__loc__" || path.root == "ENV") return std::nullopt;
        need_dot = true;
    } else if (in.peek() != '.') {
        return std::nullopt;
    } else if (text == ".") {
        return path;
    }
    bool first = !need_dot;
    while (in.at < text.size()) {
        if (in.take('.')) {
            if (letter(in.peek())) {
                path.steps.emplace_back(in.name());
                first = false;
                continue;
            }
            if (in.peek() == '"') {
                const auto key = in.quoted();
                if (!key) return std::nullopt;
                path.steps.emplace_back(*key);
                first = false;
                continue;
            }
            if (!first || in.peek() != '[') return std::nullopt;  // `.[0]` only at the beginning
        } else if (first) {
            return std::nullopt;
        }
        first = false;
        if (!in.take('[')) return std::nullopt;
        if (in.peek() == '"') {
            const auto key = in.quoted();
            if (!key || !in.take(']')) return std::nullopt;
            path.steps.emplace_back(*key);
            continue;
        }
        long long index = 0;
        const char* begin = text.data() + in.at;
        const auto [end, code] = std::from_chars(begin, text.data() + text.size(), index);
        if (code != std::errc()) return std::nullopt;
        in.at += static_cast<std::size_t>(end - begin);
        if (!in.take(']')) return std::nullopt;
        path.steps.emplace_back(index);
    }
    return path;
}

std::vector<PlainPath> secret_paths(std::string_view text)
{
    const auto part = [&](std::size_t at) { return at < text.size() && (word(text[at]) || text[at] == '.'); };
    std::vector<PlainPath> out;
    for (std::size_t at = text.find("$secrets"); at != std::string_view::npos; at = text.find("$secrets", at + 1)) {
        std::size_t end = at + 8;
        while (part(end)) ++end;
        if (end < text.size() && text[end] == '[') {
            const std::size_t close = text.find(']', end);
            end = close == std::string_view::npos ? end : close + 1;
            while (part(end)) ++end;
        }
        if (auto path = parse_plain_path(text.substr(at, end - at)); path && path->root == "secrets") out.push_back(std::move(*path));
    }
    return out;
}

}  // namespace mill::workflows
