#include <algorithm>

#include "platform/base/log.h"
#include "tests/unit/agent/journal_world.h"

using namespace mill;
using namespace mill::journal_test;

namespace {

/// Thousands of damaged journals need no line each.
[[maybe_unused]] const bool kQuiet = [] {
    log::set_level(log::Level::error);
    return true;
}();

}  // namespace

TEST_CASE("what was recorded is there again after a restart", "[journal]")
{
    const Folder folder;
    write_two_attempts(*opened(folder.file()));
    const auto journal = opened(folder.file());
    const auto held = journal->held();
    REQUIRE(held.size() == 2);
    CHECK(held[0].stage == Stage::ended);
    CHECK(held[0].offer == R"({"job":"a"})");
    CHECK(held[0].started == SteadyTime{77});
    CHECK(held[0].last_sequence == 5);
    CHECK(held[1].stage == Stage::taken);
    auto batches = journal->pending(1 << 20);
    REQUIRE(batches);
    REQUIRE(batches->size() == 1);
    CHECK(sequences(batches->front()) == std::vector<std::uint64_t>{1, 2, 3, 4, 5});
}

TEST_CASE("nothing is offered for sending before it is safe on disk", "[journal]")
{
    const Folder folder;
    const auto journal = opened(folder.file());
    REQUIRE(journal->start(kA, running(), SteadyTime{1}));
    CHECK(journal->pending(1000)->empty());
    CHECK_FALSE(journal->wait_pending(Milliseconds(0), {}));
    REQUIRE(journal->sync());
    CHECK(journal->wait_pending(Milliseconds(0), {}));
    CHECK(journal->pending(1000)->size() == 1);
}

TEST_CASE("an acknowledged event is not sent again, also after a restart", "[journal]")
{
    const Folder folder;
    {
        const auto journal = opened(folder.file());
        write_two_attempts(*journal);
        REQUIRE(journal->acknowledge(kA, 3));
        CHECK(sequences(journal->pending(1 << 20)->front()) == std::vector<std::uint64_t>{4, 5});
    }
    const auto journal = opened(folder.file());
    CHECK(sequences(journal->pending(1 << 20)->front()) == std::vector<std::uint64_t>{4, 5});
    REQUIRE(journal->acknowledge(kA, 5));
    CHECK(journal->empty());
    SECTION("and a finished attempt is known by name, so that its offer never starts it twice")
    {
        CHECK(journal->knows(kA));
        CHECK(journal->held().size() == 1);
        CHECK(opened(folder.file())->knows(kA));
        CHECK_FALSE(journal->knows(AttemptId{kA.job, 1, 2}));
    }
}

TEST_CASE("an acknowledgement beyond what exists forgets only what exists", "[journal]")
{
    const Folder folder;
    const auto journal = opened(folder.file());
    REQUIRE(journal->start(kA, running(), SteadyTime{1}));
    REQUIRE(journal->acknowledge(kA, 900));
    REQUIRE(journal->add(kA, log_event(2)));
    REQUIRE(journal->sync());
    CHECK(sequences(journal->pending(1 << 20)->front()) == std::vector<std::uint64_t>{2});
}

TEST_CASE("a journal cut at any byte gives every whole record and no hole", "[journal]")
{
    const Folder folder;
    write_two_attempts(*opened(folder.file()));
    const std::string whole = slurp(folder.file());
    std::uint64_t last = 0;
    for (std::size_t size = 0; size <= whole.size(); ++size) {
        const std::string_view cut = std::string_view(whole).substr(0, size);
        agent::JournalState state;
        const auto report = agent::scan(size, [&](std::uint64_t offset, std::size_t count) { return cut.substr(offset, count); },
                                        [&](const agent::Record& record) { state.apply(record); });
        REQUIRE(report.damaged == 0);
        REQUIRE(report.good_end + report.torn == size);
        REQUIRE(report.good_end >= last);
        last = report.good_end;
        for (const auto& [id, entry] : state.open()) {
            std::uint64_t next = entry.acknowledged + 1;
            for (const auto& event : entry.events) REQUIRE(event.sequence == next++);
        }
    }
    CHECK(last == whole.size());
}

TEST_CASE("a journal that was cut opens and goes on", "[journal]")
{
    const Folder folder;
    write_two_attempts(*opened(folder.file()));
    const std::string whole = slurp(folder.file());
    for (std::size_t size = 0; size <= whole.size(); size += 37) {
        spill(folder.file(), whole.substr(0, size));
        const AttemptId next{"0192-c", 1, 1};
        {
            const auto journal = opened(folder.file());
            REQUIRE(journal->start(next, running(), SteadyTime{1}));
            REQUIRE(journal->sync());
        }
        const auto again = opened(folder.file());
        REQUIRE(again->knows(next));
        REQUIRE(again->report().torn == 0);
        REQUIRE(again->report().damaged == 0);
    }
}

TEST_CASE("a flipped byte costs at most the record that it lies in", "[journal]")
{
    const Folder folder;
    write_two_attempts(*opened(folder.file()));
    const std::string whole = slurp(folder.file());
    const std::uint64_t records = opened(folder.file())->report().records;
    for (std::size_t at = 0; at < whole.size(); at += 3) {
        std::string bytes = whole;
        bytes[at] = static_cast<char>(bytes[at] ^ 0x41);
        spill(folder.file(), bytes);
        for (const auto& entry : std::filesystem::directory_iterator(folder.path))
            if (entry.path().string().find(".damaged-") != std::string::npos) std::filesystem::remove(entry.path());
        const auto journal = opened(folder.file());
        REQUIRE(journal->report().records == records - 1);
        // The stream has no hole: a gap stands for what was lost, so that the factory is never stuck.
        const auto batches = journal->pending(1 << 20);
        REQUIRE(batches);
        for (const auto& batch : *batches) {
            const auto numbers = sequences(batch);
            for (std::size_t i = 0; i < numbers.size(); ++i) REQUIRE(numbers[i] == i + 1);
        }
        if (journal->report().damaged > 0) {
            const bool kept = std::any_of(std::filesystem::directory_iterator(folder.path), {}, [](const auto& entry) {
                return entry.path().string().find(".damaged-") != std::string::npos;
            });
            REQUIRE(kept);
        }
    }
}

TEST_CASE("a record lost in the middle is reported as a gap", "[journal]")
{
    const Folder folder;
    write_two_attempts(*opened(folder.file()));
    std::string bytes = slurp(folder.file());
    const std::size_t third = bytes.find("\"sequence\":3");
    REQUIRE(third != std::string::npos);
    bytes[third] = '#';
    spill(folder.file(), bytes);
    const auto journal = opened(folder.file());
    const auto batches = journal->pending(1 << 20);
    REQUIRE(batches->front().events.size() == 5);
    CHECK_THAT(batches->front().events[2], Catch::Contains("\"gap\""));
}

TEST_CASE("the file is made smaller when most of it is acknowledged, and nothing is lost by it", "[journal]")
{
    const Folder folder;
    Journal::Options options;
    options.compact_above = 16 * 1024;
    options.kept_bytes = 0;   // what is kept to be said again has a test of its own
    const auto journal = opened(folder.file(), options);
    REQUIRE(journal->take(kB, "{\"keep\":true}"));
    REQUIRE(journal->start(kB, running(), SteadyTime{5}));
    REQUIRE(journal->add(kB, log_event(2, "kept")));
    for (int job = 0; job < 200; ++job) {
        const AttemptId id{"job-" + std::to_string(job), 1, 1};
        REQUIRE(journal->take(id, std::string(200, 'x')));
        REQUIRE(journal->start(id, running(), SteadyTime{1}));
        REQUIRE(journal->add(id, successful(2)));
        REQUIRE(journal->sync());
        REQUIRE(journal->acknowledge(id, 2));
    }
    CHECK(journal->file_size() < 100'000);
    for (const auto& reread : {opened(folder.file(), options)}) {
        CHECK(reread->knows(AttemptId{"job-0", 1, 1}));
        CHECK(reread->knows(AttemptId{"job-199", 1, 1}));
        REQUIRE(reread->held().size() == 1);
        CHECK(reread->held()[0].offer == "{\"keep\":true}");
        CHECK(reread->held()[0].started == SteadyTime{5});
        CHECK(sequences(reread->pending(1 << 20)->front()) == std::vector<std::uint64_t>{1, 2});
    }
    SECTION("partly acknowledged attempts go on where they were")
    {
        REQUIRE(journal->acknowledge(kB, 1));
        for (int i = 0; i < 300; ++i) {
            const AttemptId id{"more-" + std::to_string(i), 1, 1};
            REQUIRE(journal->take(id, std::string(300, 'y')));
            REQUIRE(journal->sync());
            REQUIRE(journal->finish(id));
        }
        REQUIRE(journal->add(kB, log_event(3)));
        REQUIRE(journal->sync());
        const auto reread = opened(folder.file(), options);
        CHECK(sequences(reread->pending(1 << 20)->front()) == std::vector<std::uint64_t>{2, 3});
        CHECK(reread->held()[0].started == SteadyTime{5});
    }
}

TEST_CASE("finished names are forgotten after thirty days", "[journal]")
{
    const Folder folder;
    FakeClock clock;
    Journal::Options options;
    options.compact_above = 1;
    auto journal = Journal::open(folder.file(), clock, options);
    REQUIRE(journal);
    REQUIRE((*journal)->take(kA, "{}"));
    REQUIRE((*journal)->finish(kA));
    REQUIRE((*journal)->sync());
    clock.advance(std::chrono::hours(24 * 29));
    REQUIRE((*journal)->take(kB, std::string(4000, 'x')));
    REQUIRE((*journal)->sync());
    CHECK((*journal)->knows(kA));
    clock.advance(std::chrono::hours(24 * 2));
    journal->reset();
    auto later = Journal::open(folder.file(), clock, options);
    CHECK_FALSE((*later)->knows(kA));
    CHECK((*later)->knows(kB));
}

TEST_CASE("one attempt's flood does not hold up the others", "[journal]")
{
    const Folder folder;
    const auto journal = opened(folder.file());
    REQUIRE(journal->start(kA, running(), SteadyTime{1}));
    for (std::uint64_t i = 2; i < 200; ++i) REQUIRE(journal->add(kA, log_event(i, std::string(1000, 'x'))));
    REQUIRE(journal->start(kB, running(), SteadyTime{1}));
    REQUIRE(journal->sync());
    bool served = false;
    for (int call = 0; call < 2; ++call) {
        const auto batches = journal->pending(5000);
        REQUIRE(batches);
        for (const auto& batch : *batches) served = served || batch.id == kB;
    }
    CHECK(served);
}
