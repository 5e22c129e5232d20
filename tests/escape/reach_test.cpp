// The second line behind mounts and namespaces: what confine_files() takes from a thread that has confined itself, in the sandbox that would let it.
#include <catch2/catch.hpp>

#include "platform/confine_files.h"
#include "tests/escape/attempt.h"

using namespace mill;
using namespace mill::escape;

namespace {

bool kernel_lacks(int abi)
{
    if (platform::can_confine_files() >= abi) return false;
    skip("Landlock ABI " + std::to_string(platform::can_confine_files()) + ", " + std::to_string(abi) + " is needed");
    return true;
}

/// Refused to the one who has confined itself so; the same sandbox without that lets it pass.
void refused_beyond(const std::string& reach, Words words, const std::string& refused, const std::string& control)
{
    INFO(reach << ": " << words.front() << " " << words.back());
    CHECK(matches(inside(words).out, control));
    words.insert(words.begin(), {"--reach", reach});
    CHECK(inside(std::move(words)).out == refused);
}

std::string seen(const std::string& reach, Words words)
{
    words.insert(words.begin(), {"--reach", reach});
    return inside(std::move(words)).out;
}

constexpr const char* kNo = "refused EACCES";

}  // namespace

TEST_CASE("files outside the reach are neither read nor written, whatever is mounted", "[escape]")
{
    if (no_sandbox_here() || kernel_lacks(1)) return;
    refused_beyond("r/usr,w/work", {"read", "/etc/ld.so.cache"}, kNo, "got *");
    refused_beyond("r/usr,w/work", {"list", "/"}, kNo, "got *");
    refused_beyond("r/usr,w/work", {"write", "/tmp/file"}, kNo, "got");
    refused_beyond("r/,w/work", {"write", "/tmp/file"}, kNo, "got");
    refused_beyond("r/,w/work", {"node", "/tmp/pipe"}, kNo, inside({"node", "/tmp/pipe"}).out);
    refused_beyond("r/,w/work", {"read-by-link", "/etc/ld.so.cache", "/tmp/link"}, kNo, "got *");
    CHECK(seen("r/usr,w/work", {"write", "/work/file"}) == "got");
    CHECK(seen("r/", {"read", "/etc/ld.so.cache"}).starts_with("got"));
    CHECK(seen("r/nowhere,w/work", {"write", "/work/file"}) == "got");  // a path that is not there is passed over
}

TEST_CASE("a program outside the reach is not started", "[escape]")
{
    if (no_sandbox_here() || kernel_lacks(1)) return;
    refused_beyond("r/", {"exec", "/millwright/escape_payload", "uid"}, kNo, "got *");
    refused_beyond("r/,x/usr", {"exec", "/millwright/escape_payload", "uid"}, kNo, "got *");
    CHECK(seen("x/", {"exec", "/millwright/escape_payload", "uid"}).starts_with("got"));
}

TEST_CASE("ports outside the reach are not connected to", "[escape]")
{
    if (no_sandbox_here() || kernel_lacks(4)) return;
    refused_beyond("x/,p", {"tcp", "127.0.0.1", "9"}, kNo, "refused ECONNREFUSED");
    refused_beyond("x/,p", {"tcp", "::1", "9"}, kNo, "refused ECONNREFUSED");
    refused_beyond("x/,p3128", {"tcp", "127.0.0.1", "9"}, kNo, "refused ECONNREFUSED");
    CHECK(seen("x/,p9", {"tcp", "127.0.0.1", "9"}) == "refused ECONNREFUSED");
}

TEST_CASE("a process apart signals nobody who is not", "[escape]")
{
    if (no_sandbox_here() || kernel_lacks(6)) return;
    refused_beyond("x/,a", {"signal", "parent", "0"}, "refused EPERM", "got");
    CHECK(seen("x/,a", {"signal-own-parent", "15"}) == "got");
}
