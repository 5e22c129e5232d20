// Any bytes as a journal: the scan ends, finds only records whose checksum holds, and the state they add up to has no holes.
#include <cstdlib>
#include <string>

#include "agent/journal_record.h"
#include "agent/journal_state.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size)
{
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    mill::agent::JournalState state;
    const auto report = mill::agent::scan(
        size, [&](std::uint64_t offset, std::size_t count) { return bytes.substr(offset, count); },
        [&](const mill::agent::Record& record) { state.apply(record); });
    if (report.good_end + report.torn != size) std::abort();
    for (const auto& [id, entry] : state.open()) {
        std::uint64_t next = entry.acknowledged + 1;
        for (const auto& ref : entry.events) {
            if (ref.sequence != next++ || ref.offset + ref.length > size) std::abort();
        }
        if (!entry.events.empty() && entry.events.back().sequence != entry.last_sequence) std::abort();
    }
    return 0;
}
