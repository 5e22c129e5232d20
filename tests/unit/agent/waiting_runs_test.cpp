#include "agent/waiting_runs.h"

#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "platform/base/ids.h"
#include "platform/files.h"

using namespace mill;

TEST_CASE("a waiting run is kept until it goes on, and damage is nothing kept", "[agent][waiting]")
{
    const std::string folder = (std::filesystem::temp_directory_path() / ("waiting-" + new_uid())).string();
    agent::WaitingRuns runs(folder);
    const protocol::AttemptId id{"job-1", 1, 2}, other{"job-1", 1, 3};
    CHECK(runs.forget(id));
    CHECK_FALSE(runs.find(id));
    REQUIRE(runs.keep(id, {7, Json::object({{"run", Json::object({{"x", 1}})}})}));
    const auto kept = agent::WaitingRuns(folder).find(id);
    REQUIRE(kept);
    CHECK(kept->after == 7);
    CHECK(kept->snapshot["run"]["x"] == Json(1));
    CHECK_FALSE(runs.find(other));
    SECTION("forgotten")
    {
        REQUIRE(runs.forget(id));
        CHECK_FALSE(runs.find(id));
        CHECK(runs.forget(id));
    }
    SECTION("damaged: one byte is another")
    {
        for (const auto& entry : std::filesystem::directory_iterator(folder)) {
            auto bytes = platform::read_file(entry.path().string(), 1 << 20);
            REQUIRE(bytes);
            bytes->at(bytes->size() - 3) ^= 1;
            std::ofstream(entry.path(), std::ios::binary) << *bytes;
        }
        CHECK_FALSE(runs.find(id));
    }
    SECTION("damaged: it stands where no run can")
    {
        REQUIRE(runs.keep(id, {std::uint64_t{1} << 63, Json::object()}));
        CHECK_FALSE(runs.find(id));
    }
    std::filesystem::remove_all(folder);
}
