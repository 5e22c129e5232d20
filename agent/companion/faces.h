// agent/companion/faces.h -- notices, tray and what is said of them to the agent: what the person sees, kept as the agent says it is.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "agent/companion/errands.h"
#include "agent/companion/notices.h"
#include "agent/companion/person_client.h"
#include "platform/key_combination.h"
#include "platform/shortcut_portal.h"
#include "platform/tray.h"

namespace mill::companion {

struct FacesParts {
    Language language = Language::english;
    const PersonClient& client;
    Errands& errands;
    platform::SessionBus* bus = nullptr;                    ///< none: neither notices nor a tray
    std::string no_bus = {};                                ///< why
    std::optional<platform::KeyCombination> keys = {};      ///< none: this person wants no stop key
    bool wayland = false;
    std::string display = {}, authority = {};               ///< DISPLAY and XAUTHORITY: for an agent that began before there was a desktop
    std::string page = {}, no_page = {};                    ///< its address, or why there is none
    /// Opens the page in the browser. Blocks; any thread.
    std::function<Status(const std::string& what, const std::string& id)> show_page;
};

/// Thread: that of the bus.
class Faces {
public:
    explicit Faces(FacesParts parts);
    Faces(const Faces&) = delete;
    Faces& operator=(const Faces&) = delete;

    void hear(const News& news);
    void key_works();
    void key_works_not(const Error& why);
    void stopped(const Result<Said>& how);
    /// Nothing stays on the screen of what nobody would hear any more.
    void clear();
    /// What POST /v1/faces says.
    Json report() const;

private:
    void show_open(const Json& person);
    void act(const std::string& name, const Deed& deed);
    void chosen(const std::string& item);
    void answered(const std::string& name, const Deed& deed, const Result<Said>& said);
    void say(const std::string& name, platform::Notice notice);
    void stop(const std::string& way);
    void send_report();

    const FacesParts parts_;
    Json person_;                              ///< null: the agent is away
    bool told_ = false, reporting_ = false;    ///< this agent has heard of us; is being told
    Json reported_;
    std::uint64_t agent_ = 0;                  ///< counts those that went away
    std::map<std::string, Shown> shown_;       ///< by name: what is open at the agent and was shown
    std::map<std::string, std::map<std::string, Deed>> ended_;   ///< buttons of notices of ends
    Ends ends_;
    std::string key_problem_ = "it is being asked for";
    bool key_there_ = false;
    std::unique_ptr<platform::Notifications> notifications_;
    std::unique_ptr<platform::Tray> tray_;
    std::unique_ptr<platform::ShortcutPortal> portal_;
};

}  // namespace mill::companion
