// The network's coming back, in a network namespace of its own; skipped where none can be made.
#include <atomic>
#include <thread>

#include <sched.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "platform/network_watch.h"
#include "platform/process.h"

using namespace mill;
using namespace std::chrono_literals;

namespace {

bool until(const std::atomic<int>& count, int least)
{
    for (int i = 0; i < 400 && count < least; ++i) std::this_thread::sleep_for(25ms);
    return count >= least;
}

}  // namespace

TEST_CASE("a link that comes up is told, one that goes down is not", "[network]")
{
    std::atomic<bool> done = false, skipped = false;
    // A thread has a namespace of its own; the rest of the program keeps its network.
    std::thread([&] {
        if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
            skipped = true;
            return;
        }
        const auto ip = [](const std::string& words) { return std::system(("ip " + words + " 2>/dev/null").c_str()) == 0; };
        if (!ip("link add watched type veth peer name other")) {
            skipped = true;
            return;
        }
        // No address of their own: it would come when nobody expects it, once nobody else was found to have it.
        CHECK(ip("link set watched addrgenmode none"));
        CHECK(ip("link set other addrgenmode none"));
        std::atomic<int> told = 0;
        auto watch = platform::watch_network([&] { ++told; });
        CHECK(watch);
        if (!watch) return;
        CHECK(ip("link set other up"));
        std::this_thread::sleep_for(500ms);
        CHECK(told == 0);   // nothing runs yet
        CHECK(ip("link set watched up"));
        CHECK(until(told, 1));
        std::this_thread::sleep_for(500ms);   // what belongs to it (an address of its own, routes)
        const int after_up = told;
        CHECK(ip("address add 192.0.2.7/24 dev watched"));
        CHECK(until(told, after_up + 1));
        std::this_thread::sleep_for(500ms);
        const int before_down = told;
        CHECK(ip("link set watched down"));
        std::this_thread::sleep_for(500ms);
        CHECK(told == before_down);
        watch->reset();
        CHECK(ip("link set watched up"));
        std::this_thread::sleep_for(300ms);
        CHECK(told == before_down);   // nobody listens any more
        done = true;
    }).join();
    if (skipped) WARN("SKIP: no network namespace can be made here");
    else CHECK(done);
}
