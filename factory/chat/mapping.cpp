#include "factory/chat/mapping.h"

#include <array>

#include <fmt/format.h>

#include "factory/notify/template.h"

namespace mill::factory {
namespace {

constexpr std::array<std::string_view, 6> kInputMembers = {"text", "user", "conversation", "memory", "entities", "platform"};
constexpr std::array<std::string_view, 7> kReplyMembers = {"text", "user", "conversation", "memory", "entities", "platform", "job"};
constexpr int kDeepest = 16;

/// Reads the jq object of an input and makes the template object of it.
class ObjectText {
public:
    explicit ObjectText(std::string_view text) : rest_(text) {}

    Result<Json> read()
    {
        auto out = value(0);
        if (!out) return out;
        skip();
        if (!rest_.empty()) return refuse("is not expected behind the object");
        return out;
    }

private:
    tl::unexpected<Error> refuse(std::string_view what) const
    {
        return fail(Errc::invalid, fmt::format("'{}' {}; an object of plain paths, strings, numbers, true, false, null, objects and lists is supported here", rest_.substr(0, 40), what));
    }
    void skip()
    {
        while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n' || rest_.front() == '\t' || rest_.front() == '\r')) rest_.remove_prefix(1);
    }
    bool take(char c)
    {
        skip();
        if (rest_.empty() || rest_.front() != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    static bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

    /// With its quotes; nothing when it is not closed.
    std::string_view quoted()
    {
        for (std::size_t i = 1; i < rest_.size(); ++i) {
            if (rest_[i] == '\\') ++i;
            else if (rest_[i] == '"') {
                const auto out = rest_.substr(0, i + 1);
                rest_.remove_prefix(i + 1);
                return out;
            }
        }
        return {};
    }

    Result<Json> object(int depth)
    {
        Json out = Json::object();
        if (take('}')) return out;
        do {
            skip();
            std::string key;
            if (!rest_.empty() && rest_.front() == '"') {
                const auto read = parse_json(quoted());
                if (!read) return refuse("is no name");
                key = read->as_string();
            } else {
                std::size_t end = 0;
                while (end < rest_.size() && is_word(rest_[end])) ++end;
                if (end == 0) return refuse("is no name");
                key = std::string(rest_.substr(0, end));
                rest_.remove_prefix(end);
            }
            if (out.contains(key)) return fail(Errc::invalid, fmt::format("'{}' stands twice", key));
            if (!take(':')) return refuse(fmt::format("is not ':' behind '{}'", key));
            auto member = value(depth + 1);
            if (!member) return member;
            out.set(key, std::move(*member));
        } while (take(','));
        if (!take('}')) return refuse("is not ',' or '}'");
        return out;
    }

    Result<Json> list(int depth)
    {
        Json out = Json::array();
        if (take(']')) return out;
        do {
            auto item = value(depth + 1);
            if (!item) return item;
            out.push(std::move(*item));
        } while (take(','));
        if (!take(']')) return refuse("is not ',' or ']'");
        return out;
    }

    Result<Json> value(int depth)
    {
        if (depth > kDeepest) return fail(Errc::invalid, fmt::format("more than {} objects within each other", kDeepest));
        if (take('{')) return object(depth);
        if (take('[')) return list(depth);
        skip();
        if (rest_.empty()) return refuse("ends too early");
        if (rest_.front() == '"') {
            const auto text = quoted();
            if (text.empty()) return refuse("is a string that is not closed");
            return Json(fmt::format("${{ {} }}", text));
        }
        if (rest_.front() == '.') return Json(fmt::format("${{ {} }}", path()));
        std::size_t end = 0;
        while (end < rest_.size() && (is_word(rest_[end]) || rest_[end] == '-' || rest_[end] == '+' || rest_[end] == '.')) ++end;
        const auto read = parse_json(rest_.substr(0, end));
        if (end == 0 || !read) return refuse("is not expected");
        rest_.remove_prefix(end);
        return *read;
    }

    std::string_view path()
    {
        const std::string_view all = rest_;
        while (!rest_.empty() && (is_word(rest_.front()) || rest_.front() == '.' || rest_.front() == '[' || rest_.front() == '"')) {
            if (rest_.front() == '[') {
                const auto end = rest_.size() > 1 && rest_[1] == '"' ? std::string_view::npos : rest_.find(']');
                if (end == std::string_view::npos) {
                    rest_.remove_prefix(1);
                    if (quoted().empty() || rest_.empty() || rest_.front() != ']') break;
                    rest_.remove_prefix(1);
                    continue;
                }
                rest_.remove_prefix(end + 1);
            } else if (rest_.front() == '"') {
                if (quoted().empty()) break;
            } else {
                rest_.remove_prefix(1);
            }
        }
        return all.substr(0, all.size() - rest_.size());
    }

    std::string_view rest_;
};

std::string_view chat_trimmed(std::string_view text)
{
    while (!text.empty() && (text.front() == ' ' || text.front() == '\n' || text.front() == '\t' || text.front() == '\r')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\n' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
    return text;
}

Json without_missing(const Json& value)
{
    if (!value.is_object()) return value;
    Json out = Json::object();
    for (const auto& [name, member] : value.as_object())
        if (!member.is_null()) out.set(name, without_missing(member));
    return out;
}

}  // namespace

Result<Json> chat_input_template(const Json& written)
{
    Json out = written;
    if (written.is_string()) {
        std::string_view text = chat_trimmed(written.as_string());
        if (text.starts_with("${") && text.ends_with('}')) text = chat_trimmed(text.substr(2, text.size() - 3));
        else return fail(Errc::invalid, "must be an object, or a jq object such as ${ {order: .text} }");
        if (!text.starts_with('{')) return fail(Errc::invalid, fmt::format("'{}' makes no object: the input of a job is one, such as ${{ {{order: .text}} }}", text.substr(0, 80)));
        auto read = ObjectText(text).read();
        if (!read) return read;
        out = std::move(*read);
    }
    if (!out.is_object()) return fail(Errc::invalid, "must be an object, or a jq object such as ${ {order: .text} }");
    if (auto checked = check_templates(out, "", {kInputMembers, false}); !checked) return fail(std::move(checked.error()));
    return out;
}

Result<Json> chat_input(const Json& written, const Json& neutral)
{
    const auto made = chat_input_template(written);
    if (!made) return made;
    auto rendered = render_json(*made, neutral, {kInputMembers, false});
    if (!rendered) return rendered;
    return without_missing(*rendered);
}

Status check_chat_reply(std::string_view reply)
{
    if (auto read = Template::parse(reply, {kReplyMembers, false}); !read) return fail(std::move(read.error()));
    return {};
}

Result<std::string> chat_reply(std::string_view reply, const Json& neutral, std::string_view job, std::string_view waiting_for)
{
    const auto read = Template::parse(reply, {kReplyMembers, false});
    if (!read) return fail(read.error());
    Json document = neutral;
    document.set("job", Json::object({{"uid", Json(job)}, {"waitingFor", waiting_for.empty() ? Json() : Json(waiting_for)}}));
    return read->text(document);
}

}  // namespace mill::factory
