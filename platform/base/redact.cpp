#include "platform/base/redact.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <utility>

#include <fmt/core.h>

#include "platform/base/log.h"
#include "platform/base/spellings.h"
#include "platform/base/text.h"

namespace mill {
namespace {

constexpr std::size_t kLeastSecret = 4;
constexpr std::size_t kLongestToken = 512;  // what is longer is text, and is not waited for
constexpr std::string_view kMask = "***";

bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/// mw_KIND_ID_SECRET: all behind the third underscore goes. When the text was cut, also of a token that is not whole.
std::string mask_tokens(std::string text, bool cut, std::size_t& masked)
{
    std::size_t at = 0;
    while ((at = text.find("mw_", at)) != std::string::npos) {
        std::size_t end = at;
        while (end < text.size() && is_token_char(text[end])) ++end;
        std::size_t secret = text.find('_', at + 3);
        if (secret != std::string::npos && secret < end) secret = text.find('_', secret + 1);
        if (secret != std::string::npos && secret + 1 < end && (end - secret > 16 || (cut && end == text.size()))) {
            text.replace(secret + 1, end - secret - 1, kMask);
            at = secret + 1 + kMask.size();
            ++masked;
        } else {
            at += 3;
        }
    }
    return text;
}

/// Where a token may begin that goes on behind the end.
std::size_t unfinished_token(std::string_view text)
{
    std::size_t begin = text.size();
    while (begin > 0 && is_token_char(text[begin - 1])) --begin;
    const std::string_view run = text.substr(begin);
    if (const auto token = run.find("mw_"); token != std::string_view::npos && run.size() - token <= kLongestToken) return begin + token;
    return text.size() - (run.ends_with("mw") ? 2 : run.ends_with("m") ? 1 : 0);
}

std::string mask(const Spellings* spellings, std::string_view text, bool cut, std::size_t& masked)
{
    std::string out;
    std::size_t from = 0;
    while (spellings != nullptr) {
        const auto place = spellings->find(text, from);
        if (!place) break;
        out += text.substr(from, place->begin - from);
        out += kMask;
        ++masked;
        from = place->end;
    }
    out += text.substr(from);
    return mask_tokens(std::move(out), cut, masked);
}

bool is_token(std::string_view text)
{
    std::size_t masked = 0;
    (void)mask_tokens(std::string(text), false, masked);
    return masked > 0 && text.starts_with("mw_") && std::all_of(text.begin(), text.end(), is_token_char);
}

std::mutex g_mutex;
Redactor g_redactor;
std::set<std::string> g_too_short;

}  // namespace

bool Redactor::add(std::string_view secret)
{
    if (secret.size() < kLeastSecret) return secret.empty();
    if (spellings_ != nullptr && spellings_->knows(secret)) return true;
    if (spellings_ == nullptr) spellings_ = std::make_shared<Spellings>();
    else if (spellings_.use_count() > 1) spellings_ = std::make_shared<Spellings>(*spellings_);
    spellings_->add(secret);
    return true;
}

std::string Redactor::apply(std::string_view text) const
{
    std::size_t masked = 0;
    return apply(text, masked);
}

std::string Redactor::apply(std::string_view text, std::size_t& masked) const { return mask(spellings_.get(), text, false, masked); }

std::string RedactedStream::add(std::string_view piece)
{
    kept_ += piece;
    const Spellings* spellings = redactor_.spellings_.get();
    std::size_t hold = std::min(unfinished_token(kept_), spellings == nullptr ? kept_.size() : spellings->unfinished(kept_, 0));
    // A secret that overlaps what is held, or that may go on with what comes, is held whole.
    for (std::size_t from = 0; spellings != nullptr;) {
        const auto place = spellings->find(kept_, from);
        if (!place) break;
        if (place->end >= std::min(hold, kept_.size())) {
            hold = std::min(hold, place->begin);
            break;
        }
        from = place->end;
    }
    std::string out = mask(spellings, std::string_view(kept_).substr(0, hold), false, masked_);
    kept_.erase(0, hold);
    return out;
}

std::string RedactedStream::end(Ends how)
{
    const Spellings* spellings = redactor_.spellings_.get();
    const bool cut = how == Ends::cut;
    const std::size_t begin = cut && spellings != nullptr ? spellings->unfinished(kept_, kLeastSecret) : kept_.size();
    std::string out = mask(spellings, std::string_view(kept_).substr(0, begin), cut && begin == kept_.size(), masked_);
    if (begin < kept_.size()) {
        out += kMask;
        ++masked_;
    }
    kept_.clear();
    return out;
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
    if (is_token(secret)) return;  // masked anyway; there is one for each attempt
    const std::scoped_lock lock(g_mutex);
    g_redactor.add(secret);
}

void redact_in_log(std::string_view secret, std::string_view credential, std::string_view member)
{
    if (secret.empty() || secret.size() >= kLeastSecret) return redact_in_log(secret);
    {
        const std::scoped_lock lock(g_mutex);
        if (!g_too_short.insert(fmt::format("{}.{}", credential, member)).second) return;
    }
    log::warning("secrets", "credential '{}': the value of '{}' has less than {} bytes, so it cannot be masked in logs and answers", credential, member, kLeastSecret);
}

std::string redacted(std::string_view text)
{
    const std::scoped_lock lock(g_mutex);
    return g_redactor.apply(text);
}

}  // namespace mill
