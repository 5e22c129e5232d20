#include "workflows/jq_text.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "platform/base/json.h"

namespace mill::workflows {
namespace {

bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool word(char c) { return letter(c) || (c >= '0' && c <= '9'); }

struct Scanner {
    std::string_view text;
    JqText out;
    std::vector<char> open;  // ( [ { and " for a string whose interpolation we are in
    std::size_t at = 0;
    int pattern = 0;         // > 0 while a pattern after `as` is read
    struct If {
        std::size_t at;
        bool has_else = false;
    };
    std::vector<If> ifs;     // those that are open

    Status scan()
    {
        while (at < text.size()) {
            const char c = text[at];
            if (c == '"') {
                ++at;
                if (Status ok = string(); !ok) return ok;
            } else if (c == '#') {
                while (at < text.size() && text[at] != '\n') ++at;
            } else if (c == '(' || c == '[' || c == '{') {
                open.push_back(c);
                ++at;
            } else if (c == ')' || c == ']' || c == '}') {
                if (Status ok = close(c); !ok) return ok;
            } else if (c == '$') {
                ++at;
                variable();
            } else if (letter(c)) {
                if (Status ok = name(); !ok) return ok;
            } else if (c >= '0' && c <= '9') {
                if (Status ok = number(); !ok) return ok;
            } else {
                if (c == '|' || c == ';') pattern = 0;
                ++at;
            }
        }
        if (open.empty()) return {};
        return fail(Errc::invalid, open.back() == '"' ? "a string does not end" : fmt::format("'{}' is not closed", open.back()));
    }

    /// Behind the opening quote, or back in the string after an interpolation.
    Status string()
    {
        while (at < text.size()) {
            if (text[at] == '"') {
                ++at;
                return {};
            }
            if (text[at] == '\\' && at + 1 < text.size() && text[at + 1] == '(') {
                at += 2;
                open.push_back('"');
                return {};  // the interpolation is scanned as code; its ')' brings us back
            }
            at += text[at] == '\\' ? 2 : 1;
        }
        return fail(Errc::invalid, "a string does not end");
    }

    Status close(char c)
    {
        ++at;
        const char want = c == ')' ? '(' : c == ']' ? '[' : '{';
        if (open.empty()) return fail(Errc::invalid, fmt::format("'{}' closes nothing", c));
        if (c == ')' && open.back() == '"') {
            open.pop_back();
            return string();
        }
        if (open.back() != want) return fail(Errc::invalid, fmt::format("'{}' does not match '{}'", c, open.back()));
        open.pop_back();
        return {};
    }

    /// jq would round a large integer without a word.
    Status number()
    {
        const std::size_t from = at;
        bool integer = true;
        for (; at < text.size(); ++at) {
            const char c = text[at];
            const bool sign = (c == '+' || c == '-') && (text[at - 1] == 'e' || text[at - 1] == 'E');
            if ((c < '0' || c > '9') && c != '.' && c != 'e' && c != 'E' && !sign) break;
            integer = integer && c >= '0' && c <= '9';
        }
        std::string_view digits = text.substr(from, at - from);
        while (digits.size() > 1 && digits[0] == '0') digits.remove_prefix(1);
        if (!integer || digits.size() < 16 || (digits.size() == 16 && digits <= "9007199254740992")) return {};
        return fail(Errc::invalid, fmt::format("the integer {} is beyond 2^53, which jq cannot keep exactly: write it as a string", digits.substr(0, 40)));
    }

    void variable()
    {
        const std::size_t from = at;
        while (at < text.size() && (word(text[at]) || (text[at] == ':' && at + 2 < text.size() && text[at + 1] == ':' && letter(text[at + 2]))))
            at += text[at] == ':' ? 2 : 1;
        std::string found(text.substr(from, at - from));
        if (found.empty()) return;
        if (pattern > 0) out.bound.insert(found);
        out.variables.insert(std::move(found));
    }

    Status name()
    {
        const std::size_t from = at;
        while (at < text.size() && word(text[at])) ++at;
        const std::string_view found = text.substr(from, at - from);
        if (from > 0 && (text[from - 1] == '.' || text[from - 1] == '@')) return {};  // a member, a format
        std::size_t next = at;
        while (next < text.size() && (text[next] == ' ' || text[next] == '\n' || text[next] == '\t')) ++next;
        std::size_t before = from;
        while (before > 0 && (text[before - 1] == ' ' || text[before - 1] == '\n' || text[before - 1] == '\t')) --before;
        const bool member = next < text.size() && !open.empty() && open.back() == '{' && before > 0 && (text[before - 1] == '{' || text[before - 1] == ',');
        if (member && (text[next] == ':' || text[next] == ',' || text[next] == '}')) return {};  // {date: …} and {date}
        if (found == "as" || found == "def" || found == "label") pattern = 1;
        else if (found == "import" || found == "include") return fail(Errc::invalid, fmt::format("'{}' is not allowed in expressions", found));
        static const std::set<std::string_view> kDates = {"strptime", "mktime", "fromdate", "fromdateiso8601", "dateadd", "datesub", "date", "dateparse"};
        if (kDates.contains(found))
            return fail(Errc::invalid, fmt::format("the function '{}' differs between systems and is left out: use `call: date.parse`", found));
        if (found == "if") ifs.push_back({from});
        else if (found == "else" && !ifs.empty()) ifs.back().has_else = true;
        else if (found == "end" && !ifs.empty()) {
            if (!ifs.back().has_else && !out.if_without_else) out.if_without_else = ifs.back().at;
            ifs.pop_back();
        }
        out.words.emplace(found);
        return {};
    }
};

}  // namespace

Result<JqText> read_jq(std::string_view expression, std::size_t* stopped)
{
    if (expression.find('\0') != std::string_view::npos) return fail(Errc::invalid, "a NUL byte");
    Scanner scanner;
    scanner.text = expression;
    if (Status ok = scanner.scan(); !ok) {
        if (stopped != nullptr) *stopped = std::min(scanner.at, expression.size());
        return fail(std::move(ok.error()));
    }
    return std::move(scanner.out);
}

std::optional<std::string> interpolated(std::string_view text)
{
    const auto quoted = [](std::string_view piece) {
        const std::string json = dump_json(Json(piece));
        return json.substr(1, json.size() - 2);
    };
    std::string out = "\"";
    std::size_t at = 0;
    for (std::size_t open = 0; (open = text.find("${", at)) != std::string_view::npos;) {
        out += quoted(text.substr(at, open - at));
        std::size_t close = open + 2;
        bool in_string = false;
        for (int depth = 1; close < text.size(); ++close) {
            const char c = text[close];
            if (in_string && c == '\\') ++close;
            else if (c == '"') in_string = !in_string;
            else if (!in_string && c == '{') ++depth;
            else if (!in_string && c == '}' && --depth == 0) break;
        }
        if (close >= text.size()) return std::nullopt;
        std::string_view inner = text.substr(open + 2, close - open - 2);
        while (!inner.empty() && inner.front() == ' ') inner.remove_prefix(1);
        while (!inner.empty() && inner.back() == ' ') inner.remove_suffix(1);
        if (inner.empty() || inner.find('\n') != std::string_view::npos) return std::nullopt;
        out += fmt::format("\\({})", inner);
        at = close + 1;
    }
    return out + quoted(text.substr(at)) + "\"";
}

bool foreign_to_shells(std::string_view command)
{
    for (std::size_t at = 0; (at = command.find("${", at)) != std::string_view::npos;) {
        at += 2;
        if (at < command.size() && std::string_view(" .$(\"").find(command[at]) != std::string_view::npos && !command.substr(at).starts_with("$}")) return true;
    }
    return false;
}

}  // namespace mill::workflows
