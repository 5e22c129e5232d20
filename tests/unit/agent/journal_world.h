// tests/unit/agent/journal_world.h -- a journal in a temporary folder, and what is written to it.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "agent/journal.h"
#include "platform/base/ids.h"

namespace mill::journal_test {

using agent::Journal;
using agent::Stage;
using protocol::AttemptId;
using protocol::Event;
using protocol::EventKind;
using protocol::JobState;
using protocol::Reason;

struct Folder {
    std::string path = (std::filesystem::temp_directory_path() / ("mill-journal-" + new_uid())).string();
    Folder() { std::filesystem::create_directories(path); }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string file() const { return path + "/journal"; }
};

inline std::string slurp(const std::string& path)
{
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

inline void spill(const std::string& path, const std::string& bytes)
{
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline const AttemptId kA{"0192-a", 1, 1};
inline const AttemptId kB{"0192-b", 1, 2};

inline Event log_event(std::uint64_t sequence, const std::string& text = "hello")
{
    return {sequence, WallTime{1'700'000'000'000'000}, EventKind::log, Json::object({{"level", "info"}, {"text", text}})};
}

inline Event running() { return protocol::state_event(1, WallTime{1'700'000'000'000'000}, JobState::running); }
inline Event successful(std::uint64_t sequence)
{
    return protocol::state_event(sequence, WallTime{1'700'000'000'000'000}, JobState::successful, Reason::completed);
}

inline std::vector<std::uint64_t> sequences(const Journal::Batch& batch)
{
    std::vector<std::uint64_t> out;
    for (const std::string& text : batch.events) {
        auto json = parse_json(text);
        REQUIRE(json);
        auto event = protocol::parse_event(*json);
        REQUIRE(event);
        out.push_back(event->sequence);
    }
    return out;
}

inline std::unique_ptr<Journal> opened(const std::string& path, Journal::Options options = {})
{
    auto journal = Journal::open(path, system_clock(), options);
    REQUIRE(journal);
    return std::move(*journal);
}

inline void write_two_attempts(Journal& journal)
{
    REQUIRE(journal.take(kA, R"({"job":"a"})"));
    REQUIRE(journal.start(kA, running(), SteadyTime{77}));
    REQUIRE(journal.take(kB, R"({"job":"b"})"));
    for (std::uint64_t i = 2; i <= 4; ++i) REQUIRE(journal.add(kA, log_event(i)));
    REQUIRE(journal.add(kA, successful(5)));
    REQUIRE(journal.sync());
}

}  // namespace mill::journal_test
