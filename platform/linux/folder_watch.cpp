// Changes of folders as inotify(7) tells them.
#include "platform/folder_watch.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include <fmt/format.h>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

namespace mill::platform {
namespace {

constexpr std::uint32_t kChanges = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr std::size_t kEvents = 64 * 1024;

class Inotify : public FolderWatch {
public:
    Inotify(int watch, int wake, std::function<void(const std::string&)> changed) : watch_(watch), wake_(wake), changed_(std::move(changed)), thread_([this] { run(); }) {}
    Inotify(const Inotify&) = delete;
    Inotify& operator=(const Inotify&) = delete;
    ~Inotify() override
    {
        const std::uint64_t one = 1;
        while (write(wake_, &one, sizeof one) < 0 && errno == EINTR) {}
        thread_.join();
        close(wake_);
        close(watch_);
    }

    Status add(const std::string& folder) override
    {
        const std::scoped_lock lock(mutex_);
        const int number = inotify_add_watch(watch_, folder.c_str(), kChanges);
        if (number < 0) {
            const int error = errno;
            const Errc code = error == ENOENT ? Errc::not_found : error == EACCES ? Errc::denied : Errc::unavailable;
            if (error == ENOSPC) return fail(code, fmt::format("{}: this system watches no more folders (fs.inotify.max_user_watches)", folder));
            return fail(code, fmt::format("{}: {}", folder, std::strerror(error)));
        }
        folders_[number].insert(folder);   // two names may lead to one folder
        return {};
    }

    void remove(const std::string& folder) override
    {
        const std::scoped_lock lock(mutex_);
        for (auto& [number, names] : folders_)
            if (names.erase(folder) > 0 && names.empty()) {
                (void)inotify_rm_watch(watch_, number);   // IGNORED follows, and takes the entry away
                return;
            }
    }

private:
    void run()
    {
        alignas(inotify_event) std::array<char, kEvents> buffer;
        while (true) {
            pollfd waited[] = {{watch_, POLLIN, 0}, {wake_, POLLIN, 0}};
            const int ready = ::poll(waited, 2, -1);
            if (ready < 0 && errno == EINTR) continue;
            if (ready < 0 || (waited[1].revents & POLLIN) != 0) return;
            const ssize_t got = read(watch_, buffer.data(), buffer.size());
            if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
            if (got <= 0) return;
            for (const std::string& folder : changes({buffer.data(), static_cast<std::size_t>(got)})) changed_(folder);
        }
    }

    std::set<std::string> changes(std::string_view events)
    {
        std::set<std::string> out;
        const std::scoped_lock lock(mutex_);
        for (std::size_t at = 0; at + sizeof(inotify_event) <= events.size();) {
            inotify_event event{};
            std::memcpy(&event, events.data() + at, sizeof event);
            at += sizeof event + event.len;
            if ((event.mask & IN_Q_OVERFLOW) != 0) out.insert("");
            const auto found = folders_.find(event.wd);
            if (found == folders_.end()) continue;
            out.insert(found->second.begin(), found->second.end());
            if ((event.mask & IN_IGNORED) != 0) folders_.erase(found);
        }
        return out;
    }

    int watch_, wake_;
    std::function<void(const std::string&)> changed_;
    std::mutex mutex_;
    std::map<int, std::set<std::string>> folders_;   // by the number of the watch
    std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<FolderWatch>> watch_folders(std::function<void(const std::string&)> changed)
{
    const int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch < 0) return fail(Errc::unavailable, fmt::format("inotify: {}", std::strerror(errno)));
    const int wake = eventfd(0, EFD_CLOEXEC);
    if (wake < 0) {
        const int error = errno;
        close(watch);
        return fail(Errc::unavailable, fmt::format("eventfd: {}", std::strerror(error)));
    }
    return std::make_unique<Inotify>(watch, wake, std::move(changed));
}

}  // namespace mill::platform
