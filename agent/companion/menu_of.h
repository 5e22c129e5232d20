// agent/companion/menu_of.h -- the tray's look and menu for what the agent says. Values in, values out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/companion/catalogue.h"
#include "agent/companion/deed.h"
#include "platform/base/clock.h"
#include "platform/tray.h"

namespace mill::companion {

/// `person` null: the agent is away.
platform::TrayLook look_of(const Json& person, Language language);
std::vector<platform::MenuItem> menu_of(const Json& person, Language language);
/// What an item of that name asks for; nothing: it is none of ours.
std::optional<Deed> deed_of(const std::string& item, WallTime now);

}  // namespace mill::companion
