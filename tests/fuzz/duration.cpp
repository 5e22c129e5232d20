// Any text as an ISO 8601 duration and as the DSL's object: refused with words, or within bounds and the same when written again.
#include <cstdint>
#include <string_view>

#include <fmt/format.h>

#include "workflows/duration.h"

using namespace mill;
using namespace mill::workflows;

namespace {

void judge(const Result<Milliseconds>& read)
{
    if (!read) return check(!read.error().what.empty(), "a refusal without words");
    const auto count = read->count();
    check(count >= 0 && count <= 10'000LL * 86'400'000, "a duration out of bounds");
    const auto again = parse_iso_duration(fmt::format("PT{}.{:03}S", count / 1000, count % 1000));
    check(again && *again == *read, "a duration changed on its way through text");
    const auto object = duration_of(Json::object({{"milliseconds", static_cast<long long>(count)}}));
    check(object && *object == *read, "a duration changed on its way through an object");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    judge(parse_iso_duration(text));
    if (const auto json = parse_json(text)) judge(duration_of(*json));
    if (const auto short_form = parse_duration(text)) {  // the spelling of options and resources
        const auto again = parse_duration(format_duration(*short_form));
        check(again && *again == *short_form, "a duration changed on its way through its short form");
    }
    return 0;
}
