// agent/journal_record.h -- one record of the journal as bytes, and the search for good records in damaged bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "protocol/event.h"

namespace mill::agent {

enum class RecordType : std::uint8_t {
    taken = 1,         ///< text: the offer; the attempt is ours but not started
    started = 2,       ///< text: the `running` event, sequence 1; number: steady microseconds of the start
    event = 3,         ///< text: the event; number: 1 when it is final
    acknowledged = 4,  ///< sequence: the highest that the factory has
    finished = 5,      ///< number: wall microseconds; nothing of the attempt is needed but its name
};

struct Record {
    RecordType type = RecordType::event;
    protocol::AttemptId id;
    std::uint64_t sequence = 0;
    std::uint64_t number = 0;
    std::string_view text;
    std::uint64_t text_offset = 0;  ///< in the file; filled in by scan
};

/// Layout, little endian: magic u32, length u32 of what follows the checksum, CRC-32C u32 over length and what follows, then
/// type u8, attempt u32, epoch u64, sequence u64, number u64, length u16 of the job's uid, the uid, the text.
inline constexpr std::size_t kRecordHeader = 12;
inline constexpr std::size_t kMaxRecord = 20 * 1024 * 1024;
std::string encode(const Record& record);
/// Where the text of a record of `id` begins, counted from the record's first byte.
std::size_t text_offset(const protocol::AttemptId& id);

struct ScanReport {
    std::uint64_t records = 0;
    std::uint64_t good_end = 0;      ///< behind the last good record
    std::uint64_t damaged = 0;       ///< bytes in front of good records that belong to none
    std::uint64_t torn = 0;          ///< bytes behind the last good record
};

/// Gives every good record to `visit`, in order, also those behind damaged bytes. `read(offset, size)` gives up to `size` bytes of
/// a file of `total` bytes; a view stays valid until the next read. A job cannot forge a record inside its own text: texts are
/// JSON, which holds no zero byte, and every header does.
ScanReport scan(std::uint64_t total, const std::function<std::string_view(std::uint64_t offset, std::size_t size)>& read,
                const std::function<void(const Record&)>& visit);

}  // namespace mill::agent
