// What was acknowledged stays for a factory whose store went back.
#include "tests/unit/agent/journal_world.h"

using namespace mill;
using namespace mill::journal_test;

TEST_CASE("what was acknowledged can be said again, after a restart and a compaction, too", "[journal]")
{
    const Folder folder;
    Journal::Options options;
    options.compact_above = 1;
    {
        const auto journal = opened(folder.file());
        write_two_attempts(*journal);
        REQUIRE(journal->acknowledge(kA, 5));
        REQUIRE(journal->start(kB, running(), SteadyTime{78}));
        REQUIRE(journal->add(kB, log_event(2)));
        REQUIRE(journal->sync());
        REQUIRE(journal->acknowledge(kB, 1));
    }
    for (int round = 0; round < 3; ++round) {
        const auto journal = opened(folder.file(), options);   // compacts each time
        CHECK(journal->held().size() == 1);
        const auto last = journal->last_finished();
        REQUIRE(last);
        CHECK(last->first == kA);
        CHECK(last->second == 5);
        auto said = journal->said_after({});
        REQUIRE(said);
        REQUIRE(*said);
        CHECK((*said)->id == kA);
        CHECK((*said)->offer == R"({"job":"a"})");
        CHECK(sequences({kA, (*said)->events}) == std::vector<std::uint64_t>{1, 2, 3, 4, 5});
        said = journal->said_after(kA);
        REQUIRE(*said);
        CHECK((*said)->id == kB);
        CHECK(sequences({kB, (*said)->events}) == std::vector<std::uint64_t>{1, 2});   // the second is not acknowledged yet
        CHECK_FALSE(*journal->said_after(kB));
        auto batches = journal->pending(1 << 20);
        REQUIRE(batches);
        REQUIRE(batches->size() == 1);
        CHECK(sequences(batches->front()) == std::vector<std::uint64_t>{2});
    }
}

TEST_CASE("what is kept to be said again is bounded: the oldest attempts go, and of one its first, its last and its newest events stay", "[journal]")
{
    const Folder folder;
    Journal::Options options;
    options.compact_above = 1;
    options.kept_bytes = 2000;
    options.said_bytes = 300;
    std::vector<AttemptId> ids;
    {
        const auto journal = opened(folder.file());
        for (int i = 0; i < 20; ++i) {
            const AttemptId id{"job-" + std::to_string(100 + i), 1, 1};
            ids.push_back(id);
            REQUIRE(journal->take(id, R"({"job":"x"})"));
            REQUIRE(journal->start(id, running(), SteadyTime{1}));
            for (std::uint64_t n = 2; n <= 20; ++n) REQUIRE(journal->add(id, log_event(n)));
            REQUIRE(journal->add(id, successful(21)));
            REQUIRE(journal->sync());
            REQUIRE(journal->acknowledge(id, 21));
        }
    }
    const auto journal = opened(folder.file(), options);
    std::size_t left = 0;
    AttemptId at;
    for (auto said = journal->said_after(at); *said; said = journal->said_after(at)) {
        at = (*said)->id;
        ++left;
        const auto numbers = sequences({at, (*said)->events});
        CHECK(numbers.front() == 1);
        CHECK(numbers.back() == 21);
        CHECK(numbers.size() < 8);
        CHECK(numbers[numbers.size() - 2] == 20);
    }
    CHECK(left > 0);
    CHECK(left < 6);
    CHECK(at == ids.back());
    for (const AttemptId& id : ids) CHECK(journal->knows(id));   // their names stay: none is started again
    CHECK(journal->file_size() < 6000);
}
