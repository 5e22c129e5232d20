// platform/http/local_callers.h -- who calls a local server at once, who of them makes room for whom, and what their names are.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <pwd.h>
#include <sys/types.h>

namespace mill::platform {

inline constexpr std::size_t kCallers = 32, kOfOne = kCallers / 2;   // at once, and of them one user's on a socket
inline constexpr std::size_t kParked = 16;                      // besides: those whose answers come later
inline constexpr std::size_t kNames = 64;
inline constexpr std::chrono::seconds kNameLife{60};

inline std::string user_name(uid_t uid)
{
    passwd entry{};
    passwd* found = nullptr;
    char text[4096];
    if (getpwuid_r(uid, &entry, text, sizeof text, &found) == 0 && found != nullptr) return found->pw_name;
    return std::to_string(uid);
}

/// Names as they were asked for lately: a directory over the network is not asked for each request. Thread: the server's.
class Names {
public:
    const std::string& of(uid_t uid)
    {
        const auto now = std::chrono::steady_clock::now();
        if (known_.size() >= kNames && !known_.contains(uid)) known_.clear();
        auto& [name, until] = known_[uid];
        if (name.empty() || until <= now) {
            name = user_name(uid);
            until = now + kNameLife;
        }
        return name;
    }

private:
    std::map<uid_t, std::pair<std::string, std::chrono::steady_clock::time_point>> known_;
};

/// All that call at once, in the order in which they came. Who hurries nobody makes room for those who do. Thread: the server's.
template <class Exchange>
struct Crowd {
    using Uid = std::optional<std::uint32_t>;
    std::map<std::uint64_t, Exchange*> silent;                    ///< whose request is not whole yet
    std::map<std::uint64_t, std::shared_ptr<Exchange>> parked;    ///< whose answers come later; they are no load
    std::map<Uid, std::size_t> of;                                ///< those that count, by user
    std::size_t callers = 0;                                      ///< all of them
    Names names;

    void enter(const Uid& uid)
    {
        ++callers;
        ++of[uid];
    }
    void leave(const Uid& uid)
    {
        --callers;
        if (const auto found = of.find(uid); --found->second == 0) of.erase(found);
    }
    /// Who goes for the newest, `number` of `uid`. The user's own first: nobody pushes others out by calling often.
    template <class Callers>
    static auto oldest(Callers& all, const Uid& uid, std::uint64_t number)
    {
        const auto own = std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.second->uid() == uid && each.first != number; });
        return own == all.end() ? all.begin() : own;
    }
    bool make_room(const Uid& uid, std::uint64_t number)
    {
        const auto found = of.find(uid);
        const bool has_his = uid && found != of.end() && found->second >= kOfOne;
        if (!has_his && callers < kCallers) return true;
        const auto least = oldest(silent, uid, number);
        if (least == silent.end() || (has_his && least->second->uid() != uid)) return false;
        least->second->drop();
        return true;
    }
};

}  // namespace mill::platform
