// agent/attend/person_words.h -- what the agent says to the person, as lines of a terminal. Values in, text out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/companion/catalogue.h"
#include "platform/base/json.h"

namespace mill::agent {

/// What has a number in the list, in its order.
struct Item {
    enum class Kind { running, consent, question, tell, launchable } kind = Kind::running;
    Json value;
    std::string title;
};

std::vector<Item> items_of(const Json& person);
std::string text_of(const Json& person, const std::vector<Item>& items, companion::Language language);
std::string details_of(const Item& item, companion::Language language);
std::string history_of(const Json& person, companion::Language language);
std::string choice_words(const std::string& choice, companion::Language language);

}  // namespace mill::agent
