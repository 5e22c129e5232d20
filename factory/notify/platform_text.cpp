#include "factory/notify/platform_text.h"

#include <algorithm>

namespace mill::factory {

bool is_conversation_id(std::string_view id)
{
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("._:@-").find(c) != std::string_view::npos;
    };
    return !id.empty() && id.size() <= 200 && std::all_of(id.begin(), id.end(), allowed) && id.find_first_not_of('.') != std::string_view::npos;
}

std::string slack_escaped(std::string_view text)
{
    std::string out;
    for (const char c : text) {
        if (c == '&') out += "&amp;";
        else if (c == '<') out += "&lt;";
        else if (c == '>') out += "&gt;";
        else out += c;
    }
    return out;
}

}  // namespace mill::factory
