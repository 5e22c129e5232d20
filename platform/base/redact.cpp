#include "platform/base/redact.h"

#include <algorithm>
#include <mutex>

#include "platform/base/encode.h"
#include "platform/base/json.h"
#include "platform/base/text.h"

namespace mill {
namespace {

constexpr std::size_t kLeastSecret = 4;
constexpr std::string_view kMask = "***";

bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/// mw_KIND_ID_SECRET: all behind the third underscore goes.
std::string mask_tokens(std::string text)
{
    std::size_t at = 0;
    while ((at = text.find("mw_", at)) != std::string::npos) {
        std::size_t end = at;
        while (end < text.size() && is_token_char(text[end])) ++end;
        std::size_t cut = text.find('_', at + 3);
        if (cut != std::string::npos && cut < end) cut = text.find('_', cut + 1);
        if (cut != std::string::npos && cut + 1 < end && end - cut > 16) {
            text.replace(cut + 1, end - cut - 1, kMask);
            at = cut + 1 + kMask.size();
        } else {
            at += 3;
        }
    }
    return text;
}

std::mutex g_mutex;
Redactor g_redactor;

}  // namespace

void Redactor::add(std::string_view secret)
{
    if (secret.size() < kLeastSecret) return;
    std::string json = dump_json(Json(secret));
    const auto put = [&](std::string spelling) {
        if (spelling.size() >= kLeastSecret && std::find(spellings_.begin(), spellings_.end(), spelling) == spellings_.end())
            spellings_.push_back(std::move(spelling));
    };
    put(std::string(secret));
    put(json.substr(1, json.size() - 2));
    put(percent_encode(secret));
    put(to_base64(secret));
    put(to_base64url(secret));
    // Inside a longer base64 text the secret starts at one of three offsets; the first and last characters mix with others.
    for (std::size_t offset = 1; offset < 3; ++offset) {
        const std::string text = to_base64url(std::string(offset, '\0') + std::string(secret));
        if (text.size() > 8) put(text.substr(offset + 1, text.size() - offset - 2));
    }
    std::sort(spellings_.begin(), spellings_.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
}

std::string Redactor::apply(std::string_view text) const
{
    std::string out(text);
    for (const std::string& spelling : spellings_) {
        std::size_t at = 0;
        while ((at = out.find(spelling, at)) != std::string::npos) {
            out.replace(at, spelling.size(), kMask);
            at += kMask.size();
        }
    }
    return mask_tokens(std::move(out));
}

bool is_secret_header(std::string_view name)
{
    const std::string lower = lower_case(name);
    for (const std::string_view secret : {"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"})
        if (lower == secret) return true;
    return false;
}

void redact_in_log(std::string_view secret)
{
    const std::scoped_lock lock(g_mutex);
    g_redactor.add(secret);
}

std::string redacted(std::string_view text)
{
    const std::scoped_lock lock(g_mutex);
    return g_redactor.apply(text);
}

}  // namespace mill
