#include "platform/base/printable.h"

namespace mill {

char32_t next_code_point(std::string_view text, std::size_t& at)
{
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(at);
    const std::size_t length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (length == 0 || at + length > text.size()) {
        ++at;
        return 0xFFFD;
    }
    char32_t point = length == 1 ? first : first & (0xFFu >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(at + i) & 0xC0) != 0x80) {
            ++at;
            return 0xFFFD;
        }
        point = (point << 6) | (byte(at + i) & 0x3Fu);
    }
    at += length;
    return point;
}

namespace {

std::string cleaned(std::string_view text, bool keep_lines)
{
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t from = at;
        const char32_t point = next_code_point(text, at);
        if (point == '\n' || point == '\t') {
            out += keep_lines ? static_cast<char>(point) : ' ';
        } else if (point == '\r' && at < text.size() && text[at] == '\n') {
            continue;
        } else if (point < 0x20 || (point >= 0x7F && point < 0xA0) || (point >= 0x202A && point <= 0x202E) ||
                   (point >= 0x2066 && point <= 0x2069)) {
            out += '?';  // would move the cursor, change colours or turn the text's direction
        } else if (point == 0xFFFD && text[from] != '\xEF') {
            out += "\xEF\xBF\xBD";
        } else {
            out += text.substr(from, at - from);
        }
    }
    return out;
}

}  // namespace

std::string one_line(std::string_view text) { return cleaned(text, false); }
std::string printable(std::string_view text) { return cleaned(text, true); }

}  // namespace mill
