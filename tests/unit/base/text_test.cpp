#include <catch2/catch.hpp>

#include <set>
#include <thread>

#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/base/log.h"
#include "platform/base/mailbox.h"
#include "platform/base/nearest.h"
#include "platform/base/text.h"
#include "platform/base/units.h"

using namespace mill;
using namespace std::chrono_literals;

TEST_CASE("base64 matches RFC 4648 and reads either alphabet", "[base][encode]")
{
    for (const auto& [plain, coded] : std::vector<std::pair<std::string, std::string>>{{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}}) {
        CHECK(to_base64(plain) == coded);
        CHECK(*from_base64(coded) == plain);
        CHECK(*from_base64(to_base64url(plain)) == plain);
    }
    CHECK(to_base64url("\xfb\xff") == "-_8");
    CHECK(*from_base64("+/8=") == *from_base64("-_8"));
    for (const char* wrong : {"A", "AAAAA", "A!==", "Zh==", "Z g=="}) CHECK_FALSE(from_base64(wrong));
}

TEST_CASE("hex and percent-encoding read back what they wrote", "[base][encode]")
{
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    CHECK(*from_hex(to_hex(all)) == all);
    CHECK(*percent_decode(percent_encode(all)) == all);
    CHECK(percent_encode("a b/\xC3\xA9~") == "a%20b%2F%C3%A9~");
    CHECK(*percent_decode("a+b%41") == "a+bA");
    for (const char* wrong : {"%", "%4", "%4g", "a%"}) CHECK_FALSE(percent_decode(wrong));
    CHECK_FALSE(from_hex("abc"));
    CHECK_FALSE(from_hex("zz"));
}

TEST_CASE("uids are of version 7, differ, and sort by time", "[base][ids]")
{
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i) seen.insert(new_uid());
    CHECK(seen.size() == 1000);
    const std::string uid = new_uid();
    CHECK(uid.size() == 36);
    CHECK(uid[14] == '7');
    CHECK(std::string("89ab").find(uid[19]) != std::string::npos);
    CHECK(random_bytes(100).size() == 100);
    CHECK(random_bytes(16) != random_bytes(16));
}

TEST_CASE("sizes are read and written with their unit", "[base][units]")
{
    CHECK(*parse_bytes("256MiB") == mebibytes(256));
    CHECK(*parse_bytes("64KiB") == kibibytes(64));
    CHECK(parse_bytes("100")->bytes == 100);
    CHECK(format_bytes(mebibytes(1024)) == "1GiB");
    CHECK(format_bytes(ByteCount{1500}) == "1500B");
    CHECK(format_bytes(ByteCount{}) == "0B");
    for (const char* wrong : {"", "MiB", "5MB", "5 MiB", "-5", "1.5GiB", "99999999999TiB", "0x10"}) CHECK_FALSE(parse_bytes(wrong));
}

TEST_CASE("the nearest name is one that could have been meant", "[base][text]")
{
    CHECK(nearest("file.raed", {"file.read", "file.write"}) == "file.read");
    CHECK(nearest("Set", {"set", "switch"}) == "set");
    CHECK(nearest("timelin", {"jobs", "timeline", "trigger"}) == "timeline");
    CHECK(nearest("zzzzzz", {"set", "switch"}).empty());
    CHECK(nearest("xy", {"z"}).empty());
    CHECK(nearest("", {"set"}).empty());
    CHECK(did_you_mean("jbos", {"jobs"}) == "; did you mean 'jobs'?");
}

TEST_CASE("a mailbox keeps order and bound, and ends when closed or stopped", "[base][mailbox]")
{
    Mailbox<int> box(2);
    CHECK(box.try_send(1));
    CHECK(box.try_send(2));
    CHECK_FALSE(box.try_send(3));
    CHECK(*box.receive() == 1);
    std::jthread sender([&] {
        for (int i = 3; i < 100; ++i) (void)box.send(i);
        box.close();
    });
    int next = 2;
    while (const auto value = box.receive()) CHECK(*value == next++);
    CHECK(next == 100);
    CHECK_FALSE(box.send(1));
    Mailbox<int> idle;
    CHECK_FALSE(idle.receive_for(1ms));
    std::stop_source stop;
    std::jthread stopper([&] { stop.request_stop(); });
    CHECK_FALSE(idle.receive(stop.get_token()));
    CHECK(idle.drain().empty());
}

TEST_CASE("levels of the log are read by name", "[base][log]")
{
    CHECK(*log::parse_level("warning") == log::Level::warning);
    CHECK_THAT(log::parse_level("loud").error().what, Catch::Contains("loud"));
}
