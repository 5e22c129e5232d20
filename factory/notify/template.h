// factory/notify/template.h -- `${ … }` with plain paths and string interpolation; any other jq is somebody else's to evaluate, or refused when it is read.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "platform/base/json.h"

namespace mill::factory {

/// The member of a document that holds what jq expressions came to, by their text. No path names it, and `.` is without it.
inline constexpr std::string_view kEvaluated = "$evaluated";

/// A path into the notification document: `.output.order["a b"][0]`, or in SAP's spelling `invocation_context.conversationId`.
/// A jq expression is the path to its value below kEvaluated.
struct TemplatePath {
    std::vector<std::variant<std::string, std::size_t>> steps;
    std::string text;         ///< as written, for messages
    bool evaluated = false;   ///< jq that is no plain path
    Json in(const Json& document) const;
};
/// What a path may begin with.
using TemplateMembers = std::span<const std::string_view>;
/// What a template may say: the members, and whether all of jq.
struct TemplateLanguage {
    TemplateMembers members;
    bool jq = false;
};
/// The notification document's, unless another is given.
TemplateLanguage notification_language();
/// Errors: invalid (says what is supported, and the known first members).
Result<TemplatePath> parse_path(std::string_view text, TemplateMembers members = notification_language().members);

/// A text with placeholders. Copies are cheap enough; read once, rendered often. Thread: any.
class Template {
public:
    /// Errors: invalid (an open placeholder, an unknown first member; without jq: an expression that is no plain path or string).
    static Result<Template> parse(std::string_view text, const TemplateLanguage& language = notification_language());

    /// The whole text is one placeholder: its value keeps its kind.
    bool is_value() const { return parts_.size() == 1 && std::holds_alternative<TemplatePath>(parts_.front()); }
    bool is_plain() const { return parts_.empty() || (parts_.size() == 1 && std::holds_alternative<std::string>(parts_.front())); }
    Json value(const Json& document) const;
    /// Strings as they are, null as nothing, all else as JSON.
    std::string text(const Json& document) const;
    /// As text, each inserted value through `encode`.
    std::string text(const Json& document, std::string (*encode)(std::string_view)) const;
    /// For a template that is JSON text: inside quotes a value is escaped text, outside it is JSON.
    std::string json_text(const Json& document) const;
    /// The paths and expressions that had no value.
    std::vector<std::string> missing(const Json& document) const;
    /// The jq in it, as written.
    std::vector<std::string> expressions() const;

private:
    std::vector<std::variant<std::string, TemplatePath>> parts_;
};

/// "output.order, error.detail has no value"
std::string missing_words(const std::vector<std::string>& paths);

/// Every string in `value` is a template. Errors: invalid, with the place.
Status check_templates(const Json& value, const std::string& where, const TemplateLanguage& language = notification_language());
Result<Json> render_json(const Json& value, const Json& document, const TemplateLanguage& language = notification_language());
/// The jq expressions in all strings of `value`, in order, each time one stands there; none in what cannot be read.
std::vector<std::string> expressions_in(const Json& value);

/// `when`: PATH, PATH == LITERAL, PATH != LITERAL or any jq within `${ … }`. Errors: invalid.
class Condition {
public:
    static Result<Condition> parse(std::string_view text);
    bool holds(const Json& document) const;
    bool needs_evaluation() const { return path_.evaluated; }
    const std::string& expression() const { return path_.text; }   ///< of one that needs it

private:
    TemplatePath path_;
    bool truth_ = false, equal_ = true;
    Json literal_;
};

}  // namespace mill::factory
