#include "platform/base/spellings.h"

#include <algorithm>
#include <set>
#include <utility>

#include "platform/base/encode.h"

namespace mill {
namespace {

constexpr std::size_t kMostBackslashes = 7;  // JSON in JSON in JSON
constexpr std::size_t kMostEncodings = 3;            // a URI inside the query of a URI…
constexpr std::size_t kMostGrowth = 16;      // text for one byte, at most
constexpr std::string_view kEscapes = "\"'/bfnrt", kEscaped = "\"'/\b\f\n\r\t";

int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_base64_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '-' || c == '_';
}

/// One character of a secret as it is written in a text: how much of either it takes. Nothing of the text: it is not that character.
struct Step {
    std::size_t secret = 0, text = 0;
    bool cut = false;  ///< the text ends before it can be told
};

Step percent(char wanted, std::string_view text, std::size_t at)
{
    std::size_t digits = at + 1;
    for (std::size_t level = 0; level < kMostEncodings; ++level, digits += 2) {
        if (digits + 2 > text.size()) return {0, 0, true};
        const int high = hex_value(text[digits]), low = hex_value(text[digits + 1]);
        if (high < 0 || low < 0) return {};
        if (static_cast<unsigned char>(wanted) == high * 16 + low) return {1, digits + 2 - at};
        if (text.substr(digits, 2) != "25") return {};  // "%2541" is "%41" encoded again
    }
    return {};
}

/// The character of UTF-8 that begins there and its length; a length of 0 when there is none.
std::pair<std::uint32_t, std::size_t> utf8_at(std::string_view text, std::size_t at)
{
    const auto lead = static_cast<unsigned char>(text[at]);
    const std::size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 0;
    if (length == 0 || at + length > text.size()) return {0, 0};
    std::uint32_t code = length == 1 ? lead : lead & (0x7FU >> length);
    for (std::size_t index = 1; index < length; ++index) code = code << 6U | (static_cast<unsigned char>(text[at + index]) & 0x3FU);
    return {code, length};
}

/// "uXXXX" at `at`, as a number; -1 when it is none, -2 when the text ends before.
int unit_at(std::string_view text, std::size_t at)
{
    if (at < text.size() && text[at] != 'u') return -1;
    if (at + 5 > text.size()) return -2;
    int unit = 0;
    for (std::size_t index = at + 1; index < at + 5; ++index) {
        const int digit = hex_value(text[index]);
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

std::size_t backslashes_at(std::string_view text, std::size_t at)
{
    std::size_t count = 0;
    while (count < kMostBackslashes && at + count < text.size() && text[at + count] == '\\') ++count;
    return count;
}

Step json_escape(std::string_view secret, std::size_t index, std::string_view text, std::size_t at)
{
    const std::size_t letter = at + backslashes_at(text, at);
    if (letter == text.size()) return {0, 0, true};
    if (const auto known = kEscapes.find(text[letter]); known != std::string_view::npos)
        return kEscaped[known] == secret[index] ? Step{1, letter + 1 - at} : Step{};
    const int unit = unit_at(text, letter);
    if (unit == -2) return {0, 0, true};
    if (unit < 0) return {};
    const std::size_t end = letter + 5;
    if (unit == static_cast<unsigned char>(secret[index])) return {1, end - at};
    const auto [code, length] = utf8_at(secret, index);
    if (length < 2) return {};
    if (code < 0x10000) return static_cast<std::uint32_t>(unit) == code ? Step{length, end - at} : Step{};
    if (static_cast<std::uint32_t>(unit) != 0xD800 + ((code - 0x10000) >> 10U)) return {};
    const std::size_t second = end + backslashes_at(text, end);
    const int low = unit_at(text, second);
    if (low == -2) return {0, 0, true};
    return second > end && low >= 0 && static_cast<std::uint32_t>(low) == 0xDC00 + (code & 0x3FFU) ? Step{length, second + 5 - at} : Step{};
}

Step encoded(std::string_view secret, std::size_t index, std::string_view text, std::size_t at)
{
    switch (text[at]) {
    case '+': return secret[index] == ' ' ? Step{1, 1} : Step{};
    case '%': return percent(secret[index], text, at);
    case '\\': return json_escape(secret, index, text, at);
    default: return {};
    }
}

struct Match {
    enum { no, whole, cut } kind = no;
    std::size_t end = 0;    ///< whole
    std::size_t chars = 0;  ///< cut: so many of the secret's stand in the text
};

/// A '%' or a backslash of the secret may be one in the text or the beginning of more: every way is gone, each place once.
Match match_every_way(std::string_view secret, std::size_t index, std::string_view text, std::size_t at)
{
    Match best;
    std::set<std::pair<std::size_t, std::size_t>> open{{index, at}};
    const auto cut = [&](std::size_t chars) {
        if (best.kind != Match::whole) best = {Match::cut, 0, std::max(best.chars, chars)};
    };
    while (!open.empty()) {
        const auto [from, place] = *open.begin();
        open.erase(open.begin());
        if (from == secret.size()) {
            best = {Match::whole, std::max(best.end, place), from};
            continue;
        }
        if (place >= text.size()) {
            cut(from);
            continue;
        }
        if (text[place] == secret[from]) open.emplace(from + 1, place + 1);
        if (secret[from] == '\\')
            for (const std::size_t run : {2U, 4U})
                if (backslashes_at(text, place) >= run) open.emplace(from + 1, place + run);
        for (std::size_t end = place + 3; secret[from] == '%' && text[place] == '%' && end <= place + 1 + 2 * kMostEncodings; end += 2) {
            if (end > text.size()) cut(from);
            if (end > text.size() || text.substr(end - 2, 2) != "25") break;
            open.emplace(from + 1, end);  // "%25", "%2525", "%252525"
        }
        const Step step = encoded(secret, from, text, place);
        if (step.text > 0) open.emplace(from + step.secret, place + step.text);
        else if (step.cut) cut(from);
    }
    return best;
}

Match match(std::string_view secret, std::string_view text, std::size_t at)
{
    std::size_t index = 0;
    while (index < secret.size()) {
        if (at >= text.size()) return {Match::cut, 0, index};
        const char wanted = secret[index];
        if (wanted == '%' || wanted == '\\') return match_every_way(secret, index, text, at);
        if (text[at] == wanted) {
            ++index;
            ++at;
            continue;
        }
        const Step step = encoded(secret, index, text, at);
        if (step.cut) return {Match::cut, 0, index};
        if (step.text == 0) return {};
        index += step.secret;
        at += step.text;
    }
    return {Match::whole, at, index};
}

}  // namespace

void Spellings::add(std::string_view secret)
{
    put({std::string(secret)});
    for (std::size_t offset = 0; offset < 3; ++offset) {
        // The first and last characters mix with others, unless the secret begins or ends with a whole group.
        const std::string padded = std::string(offset, '\0') + std::string(secret);
        const std::size_t front = offset == 0 ? 0 : offset + 1;
        const bool mixed_end = padded.size() % 3 != 0;
        for (const bool url : {false, true}) {
            std::string text = url ? to_base64url(padded) : to_base64(padded);
            text.erase(std::min(text.size(), text.find_last_not_of('=') + 1));
            text.erase(text.size() - (mixed_end ? 1 : 0));
            put({text.substr(front), true, offset != 0, mixed_end});
        }
    }
}

bool Spellings::knows(std::string_view secret) const
{
    return std::any_of(patterns_.begin(), patterns_.end(), [&](const Pattern& pattern) { return !pattern.base64 && pattern.text == secret; });
}

void Spellings::put(Pattern pattern)
{
    if (std::any_of(patterns_.begin(), patterns_.end(), [&](const Pattern& other) { return other.text == pattern.text && other.base64 == pattern.base64; })) return;
    const auto index = static_cast<std::uint32_t>(patterns_.size());
    const char first = pattern.text[0], second = pattern.text[1];
    std::string behind{second, '%', '\\'};  // what can stand behind the first
    if (second == ' ') behind += '+';
    for (const char c : behind) note(first, c, index);
    if (first == ' ')
        for (const char c : behind) note('+', c, index);
    const auto byte = static_cast<unsigned char>(first);
    constexpr std::string_view kLower = "0123456789abcdef", kUpper = "0123456789ABCDEF";
    for (const char digit : {kLower[byte >> 4U], kUpper[byte >> 4U], '2'}) note('%', digit, index);
    for (const char c : {'u', '\\'}) note('\\', c, index);
    if (const auto known = kEscaped.find(first); known != std::string_view::npos) note('\\', kEscapes[known], index);
    longest_ = std::max(longest_, pattern.text.size());
    patterns_.push_back(std::move(pattern));
}

void Spellings::note(char first, char second, std::uint32_t index)
{
    const auto pair = static_cast<std::uint16_t>(static_cast<unsigned char>(first) << 8U | static_cast<unsigned char>(second));
    begins_[pair / 64] |= std::uint64_t{1} << (pair % 64);
    std::vector<std::uint32_t>& patterns = by_pair_[pair];
    if (patterns.empty() || patterns.back() != index) patterns.push_back(index);
}

std::optional<Spellings::Place> Spellings::longest(std::string_view text, std::size_t at) const
{
    const auto pair = static_cast<std::uint16_t>(static_cast<unsigned char>(text[at]) << 8U | static_cast<unsigned char>(text[at + 1]));
    std::optional<Place> best;
    for (const std::uint32_t index : by_pair_.find(pair)->second) {
        const Pattern& pattern = patterns_[index];
        const Match found = match(pattern.text, text, at);
        if (found.kind != Match::whole) continue;
        Place place{at, found.end};
        if (pattern.mixed_left && at > 0 && is_base64_char(text[at - 1])) --place.begin;
        if (pattern.mixed_right && place.end < text.size() && is_base64_char(text[place.end])) ++place.end;
        if (pattern.base64)
            while (place.end < text.size() && text[place.end] == '=') ++place.end;
        best = best ? Place{std::min(best->begin, place.begin), std::max(best->end, place.end)} : place;
    }
    return best;
}

std::optional<Spellings::Place> Spellings::find(std::string_view text, std::size_t from) const
{
    for (std::size_t at = from; at + 1 < text.size(); ++at) {
        if (!may_begin(text, at)) continue;
        auto place = longest(text, at);
        if (!place) continue;
        place->begin = std::max(place->begin, from);
        for (std::size_t next = at + 1; next < place->end && next + 1 < text.size(); ++next) {
            if (!may_begin(text, next)) continue;
            if (const auto other = longest(text, next)) place->end = std::max(place->end, other->end);
        }
        return place;
    }
    return std::nullopt;
}

std::size_t Spellings::unfinished(std::string_view text, std::size_t least) const
{
    const std::size_t most = longest_ * kMostGrowth;
    for (std::size_t at = text.size() - std::min(text.size(), most); at < text.size(); ++at) {
        const bool last = at + 1 == text.size();
        if (!last && !may_begin(text, at)) continue;
        for (const Pattern& pattern : patterns_) {
            const Match found = match(pattern.text, text, at);
            if (found.kind == Match::cut && found.chars >= least) return at - (pattern.mixed_left && at > 0 && is_base64_char(text[at - 1]) ? 1 : 0);
        }
    }
    return text.size();
}

}  // namespace mill
