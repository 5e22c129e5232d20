#include "agent/journal_record.h"

#include <optional>

#include "agent/checksum.h"

namespace mill::agent {
namespace {

constexpr std::uint32_t kMagic = 0x4C4E524AU;  // "JRNL" as bytes
constexpr std::size_t kFixed = 1 + 4 + 8 + 8 + 8 + 2;

template <class Int>
void put(std::string& out, Int value)
{
    for (std::size_t i = 0; i < sizeof value; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xFFU));
}

template <class Int>
Int get(std::string_view bytes, std::size_t at)
{
    Int value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i)
        value |= static_cast<Int>(static_cast<Int>(static_cast<unsigned char>(bytes[at + i])) << (8 * i));
    return value;
}

/// `body` is what follows the checksum, and its checksum was right; a writer of ours made it, so what is wrong here is a bug or chance.
std::optional<Record> parse_body(std::string_view body, std::uint64_t body_offset)
{
    if (body.size() < kFixed) return std::nullopt;
    const auto type = static_cast<unsigned char>(body[0]);
    if (type < 1 || type > 5) return std::nullopt;
    Record record;
    record.type = static_cast<RecordType>(type);
    record.id.attempt = get<std::uint32_t>(body, 1);
    record.id.epoch = get<std::uint64_t>(body, 5);
    record.sequence = get<std::uint64_t>(body, 13);
    record.number = get<std::uint64_t>(body, 21);
    const std::size_t job = get<std::uint16_t>(body, 29);
    if (body.size() < kFixed + job) return std::nullopt;
    record.id.job = std::string(body.substr(kFixed, job));
    record.text = body.substr(kFixed + job);
    record.text_offset = body_offset + kFixed + job;
    return record;
}

}  // namespace

std::size_t text_offset(const protocol::AttemptId& id)
{
    return kRecordHeader + kFixed + id.job.size();
}

std::string encode(const Record& record)
{
    std::string body;
    body.reserve(kFixed + record.id.job.size() + record.text.size());
    put(body, static_cast<std::uint8_t>(record.type));
    put(body, record.id.attempt);
    put(body, record.id.epoch);
    put(body, record.sequence);
    put(body, record.number);
    put(body, static_cast<std::uint16_t>(record.id.job.size()));
    body += record.id.job;
    body += record.text;
    std::string length;
    put(length, static_cast<std::uint32_t>(body.size()));
    std::string out;
    out.reserve(kRecordHeader + body.size());
    put(out, kMagic);
    out += length;
    put(out, crc32c(body, crc32c(length)));
    out += body;
    return out;
}

ScanReport scan(std::uint64_t total, const std::function<std::string_view(std::uint64_t, std::size_t)>& read,
                const std::function<void(const Record&)>& visit)
{
    ScanReport report;
    std::uint64_t at = 0;
    while (at + kRecordHeader + kFixed <= total) {
        const std::string_view head = read(at, kRecordHeader);
        if (head.size() < kRecordHeader) break;
        bool good = false;
        if (get<std::uint32_t>(head, 0) == kMagic) {
            const std::size_t length = get<std::uint32_t>(head, 4);
            const std::uint32_t sum = get<std::uint32_t>(head, 8);
            const std::uint32_t seed = crc32c(head.substr(4, 4));
            if (length <= kMaxRecord && at + kRecordHeader + length <= total) {
                const std::string_view body = read(at + kRecordHeader, length);
                if (body.size() == length && crc32c(body, seed) == sum) {
                    const auto record = parse_body(body, at + kRecordHeader);
                    if (record) {
                        report.damaged += at - report.good_end;
                        visit(*record);
                        ++report.records;
                        at += kRecordHeader + length;
                        report.good_end = at;
                        good = true;
                    }
                }
            }
        }
        if (!good) ++at;  // look for the next magic
    }
    report.torn = total - report.good_end;
    return report;
}

}  // namespace mill::agent
