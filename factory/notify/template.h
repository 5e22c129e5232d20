// factory/notify/template.h -- `${ … }` with plain paths and string interpolation; everything else is refused when it is read.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "platform/base/json.h"

namespace mill::factory {

/// A path into the notification document: `.output.order["a b"][0]`, or in SAP's spelling `invocation_context.conversationId`.
struct TemplatePath {
    std::vector<std::variant<std::string, std::size_t>> steps;
    std::string text;  ///< as written, for messages
    const Json& in(const Json& document) const;
};
/// What a path may begin with. The notification document's, unless another is given.
using TemplateMembers = std::span<const std::string_view>;
TemplateMembers notification_members();
/// Errors: invalid (says what is supported, and the known first members).
Result<TemplatePath> parse_path(std::string_view text, TemplateMembers members = notification_members());

/// A text with placeholders. Copies are cheap enough; read once, rendered often. Thread: any.
class Template {
public:
    /// Errors: invalid (an open placeholder, an expression that is no plain path or string, an unknown first member).
    static Result<Template> parse(std::string_view text, TemplateMembers members = notification_members());

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
    /// The paths that had no value.
    std::vector<std::string> missing(const Json& document) const;

private:
    std::vector<std::variant<std::string, TemplatePath>> parts_;
};

/// "output.order, error.detail has no value"
std::string missing_words(const std::vector<std::string>& paths);

/// Every string in `value` is a template. Errors: invalid, with the place.
Status check_templates(const Json& value, const std::string& where, TemplateMembers members = notification_members());
Result<Json> render_json(const Json& value, const Json& document, TemplateMembers members = notification_members());

/// `when`: PATH, PATH == LITERAL or PATH != LITERAL within `${ … }`. Errors: invalid.
class Condition {
public:
    static Result<Condition> parse(std::string_view text);
    bool holds(const Json& document) const;

private:
    TemplatePath path_;
    bool truth_ = false, equal_ = true;
    Json literal_;
};

}  // namespace mill::factory
