// A secret, and what stands before it in a text: in no way of writing it does it come through, whole or in pieces.
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/core.h>

#include "platform/base/encode.h"
#include "platform/base/json.h"
#include "platform/base/redact.h"
#include "tests/fuzz/parts.h"

using namespace mill;

namespace {

std::string every_byte(std::string_view format, std::string_view secret)
{
    std::string out;
    for (const char c : secret) out += fmt::format(fmt::runtime(format), static_cast<unsigned char>(c));
    return out;
}

std::string form(std::string_view secret)
{
    std::string out = percent_encode(secret);
    for (auto at = out.find("%20"); at != std::string::npos; at = out.find("%20", at)) out.replace(at, 3, "+");
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size > 2000) return 0;
    const auto [given, before] = fuzz::parts(data, size);
    const std::string secret(given);
    Redactor redactor;
    check(redactor.add(secret) == (secret.size() >= 4 || secret.empty()), "only what is long enough is taken");
    if (redactor.empty() || secret.find('*') != std::string::npos) return 0;  // a mask is no secret
    const std::string json = dump_json(Json(secret)), inner = json.substr(1, json.size() - 2);
    const std::string in_json = dump_json(Json(inner));
    for (const std::string& written : {secret, percent_encode(secret), form(secret), percent_encode(percent_encode(secret)), every_byte("%{:02x}", secret), every_byte("%{:02X}", secret),
                                       every_byte("\\u{:04x}", secret), inner, in_json.substr(1, in_json.size() - 2)}) {
        // JSON replaces bytes that are no UTF-8: then it is no spelling of this secret.
        if (written.find("\xEF\xBF\xBD") != std::string::npos && secret.find("\xEF\xBF\xBD") == std::string::npos) continue;
        const std::string text = std::string(before) + written + std::string(before);
        std::size_t masked = 0;
        const std::string shown = redactor.apply(text, masked);
        check(masked > 0 && shown.find(written) == std::string::npos && shown.find(secret) == std::string::npos, "a secret came through");
        RedactedStream stream(redactor);
        std::string pieces = stream.add(std::string_view(text).substr(0, text.size() / 2));
        pieces += stream.add(std::string_view(text).substr(text.size() / 2));
        pieces += stream.end();
        check(pieces.find(written) == std::string::npos && pieces.find(secret) == std::string::npos, "a secret came through in pieces");
    }
    for (const std::string& coded : {to_base64(std::string(before) + secret + "x"), to_base64url(std::string(before) + secret + std::string(before))}) {
        const std::string shown = redactor.apply(coded);
        const auto again = from_base64(shown);
        check(!again || again->find(secret) == std::string::npos, "a secret came through in base64");
        check(shown.find("***") != std::string::npos, "a secret in base64 was not found");
    }
    return 0;
}
