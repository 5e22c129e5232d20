#include <catch2/catch.hpp>

#include <sys/statvfs.h>
#include <unistd.h>

#include "platform/machine.h"

using namespace mill;
using namespace mill::platform;

TEST_CASE("the usage of the system is what the kernel says beside it", "[platform][machine]")
{
    const auto usage = system_usage({"/", "/tmp"});
    REQUIRE(usage);
    CHECK((*usage)["memory"]["total"].as_integer() == static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE));
    CHECK((*usage)["memory"]["used"].as_integer() + (*usage)["memory"]["available"].as_integer() == (*usage)["memory"]["total"].as_integer());
    struct statvfs root {};
    REQUIRE(statvfs("/", &root) == 0);
    CHECK((*usage)["disks"].as_array()[0]["total"].as_integer() == static_cast<std::int64_t>(root.f_blocks * root.f_frsize));
    CHECK((*usage)["disks"].as_array()[1]["path"].as_string() == "/tmp");
    CHECK((*usage)["load"]["cpus"].as_integer() == sysconf(_SC_NPROCESSORS_ONLN));
    CHECK((*usage)["processes"].as_integer() > 1);
    CHECK((*usage)["uptimeSeconds"].as_integer() > 0);
    CHECK((*usage)["host"].as_string() == host_name());
}

TEST_CASE("a disk that is none is named", "[platform][machine]")
{
    const auto usage = system_usage({"/no/such/disk"});
    REQUIRE_FALSE(usage);
    CHECK(usage.error().code == Errc::invalid);
    CHECK_THAT(usage.error().what, Catch::Contains("/no/such/disk"));
}

TEST_CASE("facts name the system, its size and the programs there are", "[platform][machine]")
{
    const Json facts = find_facts();
    CHECK_FALSE(facts["os"]["name"].as_string().empty());
    CHECK_FALSE(facts["os"]["kernel"].as_string().empty());
    CHECK(facts["cpus"].as_integer() > 0);
    CHECK(facts["memory"].as_integer() > 0);
    CHECK(facts["programs"].contains("bash"));
    CHECK_THAT(facts["programs"]["bash"].as_string(), Catch::Matches("[0-9]+\\.[0-9.]+"));
    CHECK(facts["isolation"].contains("memory"));
}
