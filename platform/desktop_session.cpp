#include "platform/desktop_session.h"

#include <cstdlib>

#include "platform/files.h"

namespace mill::platform {

std::string_view name(DesktopState state)
{
    switch (state) {
    case DesktopState::unknown: return "unknown";
    case DesktopState::none: return "none";
    case DesktopState::active: return "active";
    case DesktopState::idle: return "idle";
    case DesktopState::locked: return "locked";
    case DesktopState::presentation: return "presentation";
    case DesktopState::other_user: return "other_user";
    }
    return "unknown";
}

DesktopSession session_of(const DesktopSigns& signs)
{
    DesktopSession out;
    out.user = signs.user;
    out.display = signs.display;
    if (!signs.session) {
        if (signs.asked) out.state = DesktopState::none;
        return out;
    }
    if (signs.user.empty()) out.unknown.emplace_back("user");
    if (!signs.locked) out.unknown.emplace_back("lock");
    if (!signs.idle) out.unknown.emplace_back("idle");
    if (!signs.fullscreen) out.unknown.emplace_back("presentation");
    out.state = !signs.active.value_or(true)          ? DesktopState::other_user
                : signs.locked.value_or(false)        ? DesktopState::locked
                : signs.fullscreen.value_or(false)    ? DesktopState::presentation   // who watches touches nothing
                : signs.idle.value_or(false)          ? DesktopState::idle
                                                      : DesktopState::active;
    return out;
}

std::string desktop_lock_path(std::string_view program)
{
    const auto variable = [](const char* name) {
        const char* value = std::getenv(name);
        return std::string(value == nullptr ? "" : value);
    };
    const std::string folder = variable("XDG_RUNTIME_DIR");
    if (folder.empty() || folder.front() != '/' || !is_folder(folder)) return {};
    std::string session;
    for (const char* each : {"XDG_SESSION_ID", "WAYLAND_DISPLAY", "DISPLAY"})
        if (session.empty()) session = variable(each);
    for (char& c : session)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-')) c = '_';
    return folder + "/" + std::string(program) + (session.empty() ? "" : "-" + session.substr(0, 64)) + ".lock";
}

}  // namespace mill::platform
