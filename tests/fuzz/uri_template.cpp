// A URI template and its data: refused with words, or expanded so that no value can change the address's shape.
#include <algorithm>
#include <cstdint>
#include <string>

#include "tests/fuzz/parts.h"
#include "workflows/uri.h"

using namespace mill;

namespace {

/// The template with each `{…}` taken out: what its author wrote himself.
std::string literal(std::string_view text)
{
    std::string out;
    for (std::size_t open = text.find('{'); open != std::string_view::npos; open = text.find('{')) {
        out += text.substr(0, open);
        text.remove_prefix(std::min(text.find('}', open), text.size() - 1) + 1);
    }
    return out + std::string(text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto [text, values] = fuzz::parts(data, size);
    const auto json = parse_json(values.empty() ? "{}" : values);
    if (!json) return 0;
    const auto expanded = workflows::expand_uri(text, *json);
    if (!expanded) {
        check(!expanded.error().what.empty(), "a refusal without words");
        return 0;
    }
    const std::string written = literal(text);
    for (const char c : std::string_view("/?#@:&=;\\ \n{}"))
        check(std::count(expanded->begin(), expanded->end(), c) == std::count(written.begin(), written.end(), c), "a value changed the address's shape");
    return 0;
}
