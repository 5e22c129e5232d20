// Text to value by nlohmann-json's event reader, and back. Nothing it throws leaves this file.
#include <charconv>
#include <cmath>
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "platform/base/json.h"

namespace mill {
namespace {

/// Builds the value while the text is read, so that limits hold before memory is spent.
class Builder : public nlohmann::json_sax<nlohmann::json> {
public:
    explicit Builder(const JsonLimits& limits) : limits_(limits) {}

    bool null() override { return put(Json()); }
    bool boolean(bool value) override { return put(Json(value)); }
    bool number_integer(number_integer_t value) override { return put(Json(static_cast<long long>(value))); }
    bool number_unsigned(number_unsigned_t value) override
    {
        if (limits_.exact && value > static_cast<number_unsigned_t>(INT64_MAX)) return refuse_integer(std::to_string(value));
        return put(Json(static_cast<unsigned long long>(value)));
    }
    bool number_float(number_float_t value, const string_t& text) override
    {
        if (limits_.exact && text.find_first_of(".eE") == string_t::npos) return refuse_integer(text);
        return put(Json(value));
    }
    bool string(string_t& value) override { return put(Json(std::move(value))); }
    bool binary(binary_t&) override { return false; }
    bool start_object(std::size_t) override { return open(Json(Json::Object())); }
    bool start_array(std::size_t) override { return open(Json(Json::Array())); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }

    bool key(string_t& value) override
    {
        if (open_.back().value.contains(value)) {
            error_ = Error{Errc::invalid, fmt::format("member \"{}\" is there twice", value)};
            return false;
        }
        open_.back().key = std::move(value);
        return true;
    }

    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override
    {
        if (!error_) {
            std::string_view what = error.what();  // "[json.exception...] parse error at line..: reason"
            if (const auto cut = what.find("] "); cut != std::string_view::npos) what.remove_prefix(cut + 2);
            error_ = Error{Errc::invalid, fmt::format("not JSON at byte {}: {}", position, what)};
        }
        return false;
    }

    Result<Json> take()
    {
        if (error_) return fail(*error_);
        return std::move(root_);
    }

private:
    bool refuse_integer(std::string_view text)
    {
        error_ = Error{Errc::invalid, fmt::format("the integer {} is beyond 64 bits: carry it as a string", text.substr(0, 40))};
        return false;
    }

    struct Open {
        Json value;
        std::string key;
    };

    bool open(Json value)
    {
        if (open_.size() >= limits_.depth) {
            error_ = Error{Errc::too_large, fmt::format("JSON nested deeper than {} levels", limits_.depth)};
            return false;
        }
        open_.push_back({std::move(value), {}});
        return true;
    }

    bool close()
    {
        Json value = std::move(open_.back().value);
        open_.pop_back();
        return put(std::move(value));
    }

    bool put(Json value)
    {
        if (open_.empty())
            root_ = std::move(value);
        else if (open_.back().value.is_array())
            open_.back().value.push(std::move(value));
        else
            open_.back().value.set(open_.back().key, std::move(value));
        return true;
    }

    JsonLimits limits_;
    std::vector<Open> open_;
    Json root_;
    std::optional<Error> error_;
};

/// Length of the UTF-8 sequence at `text`, 0 when it is none (RFC 3629: no surrogates, no overlong forms).
std::size_t utf8_length(std::string_view text)
{
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto trail = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xC0U) == 0x80U; };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) return trail(1) ? 2 : 0;
    if ((lead & 0xF0U) == 0xE0U && trail(1) && trail(2)) {
        if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F)) return 0;
        return 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4 && trail(1) && trail(2) && trail(3)) {
        if ((lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) return 0;
        return 4;
    }
    return 0;
}

void write_string(std::string& out, std::string_view text)
{
    out += '"';
    while (!text.empty()) {
        const char c = text.front();
        std::size_t length = 1;
        switch (c) {
        case '"': out += "\\\""; break;
        case '\\': out += "\\\\"; break;
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\t': out += "\\t"; break;
        case '\b': out += "\\b"; break;
        case '\f': out += "\\f"; break;
        default:
            if (static_cast<unsigned char>(c) < 0x20) {
                out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
            } else if (length = utf8_length(text); length == 0) {
                out += "\xEF\xBF\xBD";
                length = 1;
            } else {
                out.append(text.substr(0, length));
            }
        }
        text.remove_prefix(length);
    }
    out += '"';
}

void write_number(std::string& out, double value)
{
    if (!std::isfinite(value)) {
        out += "null";
        return;
    }
    char text[64];
    if (std::trunc(value) == value && std::fabs(value) < 1e15) {
        const auto end = std::to_chars(text, text + sizeof text, static_cast<long long>(value)).ptr;
        out.append(text, end);
        return;
    }
    const auto end = std::to_chars(text, text + sizeof text, value).ptr;
    out.append(text, end);
}

void write(std::string& out, const Json& value, int indent, int level)
{
    const auto line = [&](int at) {
        if (indent < 0) return;
        out += '\n';
        out.append(static_cast<std::size_t>(indent * at), ' ');
    };
    switch (value.kind()) {
    case Json::Kind::null: out += "null"; return;
    case Json::Kind::boolean: out += value.as_bool() ? "true" : "false"; return;
    case Json::Kind::integer: out += fmt::format_int(value.as_integer()).c_str(); return;
    case Json::Kind::number: write_number(out, value.as_number()); return;
    case Json::Kind::string: write_string(out, value.as_string()); return;
    case Json::Kind::array: {
        out += '[';
        bool first = true;
        for (const Json& item : value.as_array()) {
            if (!first) out += ',';
            first = false;
            line(level + 1);
            write(out, item, indent, level + 1);
        }
        if (!first) line(level);
        out += ']';
        return;
    }
    case Json::Kind::object: {
        out += '{';
        bool first = true;
        for (const auto& [key, member] : value.as_object()) {
            if (!first) out += ',';
            first = false;
            line(level + 1);
            write_string(out, key);
            out += indent < 0 ? ":" : ": ";
            write(out, member, indent, level + 1);
        }
        if (!first) line(level);
        out += '}';
        return;
    }
    }
}

}  // namespace

Result<Json> parse_json(std::string_view text, const JsonLimits& limits)
{
    if (text.size() > limits.bytes)
        return fail(Errc::too_large, fmt::format("JSON of {} bytes, more than {}", text.size(), limits.bytes));
    Builder builder(limits);
    try {
        nlohmann::json::sax_parse(text, &builder);
    } catch (const std::exception& error) {
        return fail(Errc::invalid, fmt::format("not JSON: {}", error.what()));
    }
    return builder.take();
}

std::string dump_json(const Json& value, int indent)
{
    std::string out;
    write(out, value, indent, 0);
    return out;
}

}  // namespace mill
