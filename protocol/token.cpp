#include "protocol/token.h"

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/ids.h"

namespace mill::protocol {
namespace {

constexpr std::string_view kIdAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::size_t kIdLength = 12;
constexpr std::size_t kSecretBytes = 32;

std::string random_id()
{
    std::string id;
    while (id.size() < kIdLength)
        for (const char c : random_bytes(16)) {
            const auto value = static_cast<unsigned char>(c);  // 252 = 7 * 36: above it the choice would not be even
            if (value < 252 && id.size() < kIdLength) id += kIdAlphabet[value % kIdAlphabet.size()];
        }
    return id;
}

}  // namespace

Token make_token(std::string_view kind)
{
    Token token{std::string(kind), random_id(), {}};
    token.text = fmt::format("mw_{}_{}_{}", token.kind, token.id, to_hex(random_bytes(kSecretBytes)));
    return token;
}

Result<Token> parse_token(std::string_view text)
{
    const auto wrong = [] { return fail(Errc::invalid, "not a token of the form mw_KIND_ID_SECRET"); };
    if (text.size() > 200 || !text.starts_with("mw_")) return wrong();
    const std::size_t after_kind = text.find('_', 3);
    const std::size_t after_id = after_kind == std::string_view::npos ? after_kind : text.find('_', after_kind + 1);
    if (after_id == std::string_view::npos) return wrong();
    const std::string_view kind = text.substr(3, after_kind - 3);
    const std::string_view id = text.substr(after_kind + 1, after_id - after_kind - 1);
    const std::string_view secret = text.substr(after_id + 1);
    if (kind.empty() || kind.find_first_not_of("abcdefghijklmnopqrstuvwxyz") != std::string_view::npos) return wrong();
    if (id.size() != kIdLength || id.find_first_not_of(kIdAlphabet) != std::string_view::npos) return wrong();
    if (secret.size() != 2 * kSecretBytes || secret.find_first_not_of("0123456789abcdef") != std::string_view::npos) return wrong();
    return Token{std::string(kind), std::string(id), std::string(text)};
}

}  // namespace mill::protocol
