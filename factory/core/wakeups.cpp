#include <algorithm>
#include <mutex>

#include "factory/core.h"

namespace mill::factory {
namespace {

class LocalWakeups final : public Wakeups {
public:
    void publish(Topic topic, std::uint64_t number) override
    {
        std::vector<std::shared_ptr<Subscription>> heard;
        {
            const std::scoped_lock lock(shared_->mutex);
            for (auto it = shared_->all.begin(); it != shared_->all.end();) {
                if (auto one = it->lock()) {
                    if (one->topic == topic) heard.push_back(std::move(one));
                    ++it;
                } else {
                    it = shared_->all.erase(it);
                }
            }
        }
        for (const auto& one : heard) {
            // Its end waits here, so that nothing is called behind it; a subscription may end itself while it is called.
            const std::scoped_lock lock(one->mutex);
            if (one->call) one->call(number);
        }
    }

    std::shared_ptr<void> subscribe(Topic topic, std::function<void(std::uint64_t)> heard) override
    {
        auto one = std::make_shared<Subscription>();
        one->topic = topic;
        one->call = std::move(heard);
        {
            const std::scoped_lock lock(shared_->mutex);
            shared_->all.push_back(one);
        }
        Subscription* const raw = one.get();
        return std::shared_ptr<void>(raw, [one](void*) {
            const std::scoped_lock lock(one->mutex);
            one->call = nullptr;
        });
    }

private:
    struct Subscription {
        std::recursive_mutex mutex;
        Topic topic = Topic::feed;
        std::function<void(std::uint64_t)> call;
    };
    struct Shared {
        std::mutex mutex;
        std::vector<std::weak_ptr<Subscription>> all;
    };
    std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace

std::unique_ptr<Wakeups> make_local_wakeups() { return std::make_unique<LocalWakeups>(); }

std::string_view name(Standing standing)
{
    switch (standing) {
    case Standing::current: return "current";
    case Standing::stale: return "stale";
    case Standing::final: return "final";
    }
    return "unknown";
}

}  // namespace mill::factory
