#include <string>

#include <catch2/catch.hpp>

#include "agent/finished_names.h"

using namespace mill;
using agent::FinishedNames;
using protocol::AttemptId;

namespace {

AttemptId numbered(int number) { return {"job-" + std::to_string(number), 1, 1}; }
constexpr std::int64_t kMinute = 60'000'000;

}  // namespace

TEST_CASE("names of finished attempts are found, each part of a name counts", "[journal]")
{
    FinishedNames names;
    for (int i = 0; i < 3000; ++i) names.add(numbered(i), WallTime{i * kMinute});
    CHECK(names.size() == 3000);
    int found = 0;
    for (int i = 0; i < 6000; ++i) found += names.contains(numbered(i)) ? 1 : 0;
    CHECK(found == 3000);
    CHECK_FALSE(names.contains({"job-7", 2, 1}));
    CHECK_FALSE(names.contains({"job-7", 1, 2}));
    CHECK_FALSE(names.contains({"job-7", 0, 0}));
}

TEST_CASE("names are forgotten by their time, and the later time of one said twice counts", "[journal]")
{
    FinishedNames names;
    for (int i = 0; i < 1000; ++i) names.add(numbered(i), WallTime{i * kMinute});
    names.add(numbered(0), WallTime{900 * kMinute});
    names.forget_before(WallTime{500 * kMinute});
    CHECK(names.size() == 501);
    CHECK(names.contains(numbered(0)));
    CHECK_FALSE(names.contains(numbered(499)));
    CHECK(names.contains(numbered(500)));
}

TEST_CASE("a million names stay, the newest", "[journal][huge]")
{
    FinishedNames names;
    const int all = static_cast<int>(FinishedNames::kMost) + 2000;
    for (int i = 0; i < all; ++i) names.add({std::to_string(i), 1, 1}, WallTime{i / 100 * kMinute});
    CHECK(names.size() <= FinishedNames::kMost);
    CHECK(names.size() > FinishedNames::kMost / 8 * 7 - 1);
    CHECK(names.contains({std::to_string(all - 1), 1, 1}));
    CHECK_FALSE(names.contains({"0", 1, 1}));
    for (int i = all - 800'000; i < all; i += 1000) CHECK(names.contains({std::to_string(i), 1, 1}));
}
