// agent/companion/catalogue.h -- every text that a person reads beside an agent, in English and German: the page's own files (studio/beside/messages).
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "platform/base/json.h"

namespace mill::companion {

enum class Language { english, german };

/// "de_AT.UTF-8", "de:en", "de-DE": by its first two letters; what is neither is English.
Language language_of(std::string_view locale);
/// As the session says: LANGUAGE, LC_ALL, LC_MESSAGES, LANG, the first that is set. Thread: any that changes no environment.
Language session_language();

struct Argument {
    std::string_view name, value;
};

/// The text with its {arguments} put in, each once and as it is: what is in a value is never looked at again.
/// A key that is not there ends the process: it is our own mistake. Thread: any.
std::string say(Language language, std::string_view key, std::initializer_list<Argument> arguments = {});

/// Why something was not done: what the `code` of a refusal of DIR/person has for words ("why.CODE"), else its `detail`.
std::string why_not(Language language, const Json& refusal);

/// say(key + ".one") or say(key + ".many", {count}).
std::string say_count(Language language, std::string_view key, std::size_t count);

}  // namespace mill::companion
