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
    const char* folder = std::getenv("XDG_RUNTIME_DIR");
    if (folder == nullptr || *folder != '/' || !is_folder(folder)) return {};
    return std::string(folder) + "/" + std::string(program) + ".lock";
}

}  // namespace mill::platform
