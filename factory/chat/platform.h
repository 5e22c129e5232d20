// factory/chat/platform.h -- the chat platforms whose calls are taken.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace mill::factory {

enum class ChatPlatform { sap_cai, slack, teams, rasa, botpress, webhook };
inline constexpr std::array kChatPlatforms = {ChatPlatform::sap_cai, ChatPlatform::slack, ChatPlatform::teams, ChatPlatform::rasa, ChatPlatform::botpress, ChatPlatform::webhook};

std::string_view name(ChatPlatform platform);                            ///< as a Trigger and a Notifier say it: "sap-cai"
std::optional<ChatPlatform> parse_chat_platform(std::string_view text);
bool signs(ChatPlatform platform);                                       ///< it signs its calls; the others bring the trigger's token

}  // namespace mill::factory
