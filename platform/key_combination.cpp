#include "platform/key_combination.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "platform/base/text.h"

namespace mill::platform {
namespace {

struct Named {
    std::string_view name;
    std::uint32_t symbol;    // X11/keysymdef.h
    bool alone;              // nobody types with it
};

constexpr std::array kNamed{Named{"Pause", 0xff13, true},    Named{"Break", 0xff6b, true},   Named{"ScrollLock", 0xff14, true}, Named{"Escape", 0xff1b, false},
                            Named{"Insert", 0xff63, false},  Named{"Delete", 0xffff, false}, Named{"Home", 0xff50, false},      Named{"End", 0xff57, false},
                            Named{"PageUp", 0xff55, false},  Named{"PageDown", 0xff56, false}, Named{"Space", 0x20, false}};
constexpr std::uint32_t kF1 = 0xffbe;
constexpr std::string_view kForm = "such as 'Ctrl+Alt+Pause': Ctrl, Alt, Shift, Super and one of A to Z, 0 to 9, F1 to F24, Pause, Break, ScrollLock, Escape, Insert, Delete, "
                                   "Home, End, PageUp, PageDown, Space";

/// The key and whether it may stand alone; nothing: there is none of that name.
bool read_key(std::string_view word, KeyCombination& out, bool& alone)
{
    const std::string small = lower_case(word);
    for (const Named& each : kNamed)
        if (lower_case(each.name) == small) {
            out.key = each.name;
            out.symbol = each.symbol;
            alone = each.alone;
            return true;
        }
    if (small.size() == 1 && ((small[0] >= 'a' && small[0] <= 'z') || (small[0] >= '0' && small[0] <= '9'))) {
        out.key = upper_case(small);
        out.symbol = static_cast<unsigned char>(small[0]);
        return true;
    }
    if (small.size() < 2 || small.size() > 3 || small[0] != 'f' || small[1] == '0' || small.find_first_not_of("0123456789", 1) != std::string::npos) return false;
    const auto number = static_cast<std::uint32_t>(std::stoul(small.substr(1)));
    if (number > 24) return false;
    out.key = upper_case(small);
    out.symbol = kF1 + number - 1;
    alone = true;
    return true;
}

}  // namespace

Result<KeyCombination> parse_key_combination(std::string_view text)
{
    const auto wrong = [&](std::string_view why) { return fail(Errc::invalid, fmt::format("'{}' {}, {}", text.substr(0, 60), why, kForm)); };
    KeyCombination out;
    bool alone = false;
    for (std::string_view rest = text; !rest.empty();) {
        const std::size_t plus = rest.find('+');
        const std::string_view word = rest.substr(0, plus);
        rest.remove_prefix(plus == rest.npos ? rest.size() : plus + 1);
        const std::string small = lower_case(word);
        if (plus != word.npos && rest.empty()) return wrong("ends with a '+'");
        bool* const modifier = small == "ctrl" || small == "control" ? &out.control : small == "alt" ? &out.alt : small == "shift" ? &out.shift : small == "super" ? &out.super : nullptr;
        if (modifier != nullptr) {
            if (std::exchange(*modifier, true)) return wrong("says a key twice");
        } else if (!out.key.empty() || !read_key(word, out, alone)) {
            return wrong("is no combination of keys");
        }
    }
    if (out.key.empty()) return wrong("is no combination of keys");
    if (!alone && !out.control && !out.alt && !out.super) return wrong("is a key that people type with: it needs Ctrl, Alt or Super");
    return out;
}

std::string format_key(const KeyCombination& keys)
{
    return fmt::format("{}{}{}{}{}", keys.control ? "Ctrl+" : "", keys.alt ? "Alt+" : "", keys.shift ? "Shift+" : "", keys.super ? "Super+" : "", keys.key);
}

std::string portal_trigger(const KeyCombination& keys)
{
    // Names of xkbcommon, where they differ from ours.
    const std::string key = keys.key == "PageUp" ? "Prior" : keys.key == "PageDown" ? "Next" : keys.key == "Space" ? "space" : keys.key == "ScrollLock" ? "Scroll_Lock" : keys.key;
    return fmt::format("{}{}{}{}{}", keys.control ? "CTRL+" : "", keys.alt ? "ALT+" : "", keys.shift ? "SHIFT+" : "", keys.super ? "LOGO+" : "",
                       key.size() == 1 ? lower_case(key) : key);
}

}  // namespace mill::platform
