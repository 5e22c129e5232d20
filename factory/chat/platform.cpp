#include "factory/chat/platform.h"

namespace mill::factory {

std::string_view name(ChatPlatform platform)
{
    switch (platform) {
    case ChatPlatform::sap_cai: return "sap-cai";
    case ChatPlatform::slack: return "slack";
    case ChatPlatform::teams: return "teams";
    case ChatPlatform::rasa: return "rasa";
    case ChatPlatform::botpress: return "botpress";
    case ChatPlatform::webhook: return "webhook";
    }
    return "webhook";
}

std::optional<ChatPlatform> parse_chat_platform(std::string_view text)
{
    for (const ChatPlatform each : kChatPlatforms)
        if (text == name(each)) return each;
    return std::nullopt;
}

bool signs(ChatPlatform platform) { return platform == ChatPlatform::slack || platform == ChatPlatform::teams; }

}  // namespace mill::factory
