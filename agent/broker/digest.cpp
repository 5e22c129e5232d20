#include "agent/broker/digest.h"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "agent/broker/exchange.h"
#include "platform/base/text.h"
#include "platform/crypto_digest.h"

namespace mill::broker {
namespace {

struct Scheme {
    std::string name;
    std::map<std::string, std::string> parameters;
};

/// `Scheme key=value, key="value", Other …` and `Scheme token68`, several in one value.
class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    std::vector<Scheme> all()
    {
        std::vector<Scheme> out;
        while (skip(" \t,"), at_ < text_.size()) {
            const std::string word = token();
            if (word.empty()) {
                ++at_;
                continue;
            }
            const std::size_t behind = at_;
            skip(" \t");
            if (!out.empty() && take('=')) {
                skip(" \t");
                out.back().parameters[word] = peek() == '"' ? quoted() : token();
                continue;
            }
            at_ = behind;
            out.push_back({word, {}});
            skip(" \t");
            const std::size_t before = at_;
            if (token().empty() || (skip(" \t"), peek() != '=') || (at_ + 1 < text_.size() && text_[at_ + 1] == '=')) skip_to_comma();
            else at_ = before;
        }
        return out;
    }

private:
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool take(char c)
    {
        if (peek() != c) return false;
        ++at_;
        return true;
    }
    void skip(std::string_view which)
    {
        while (at_ < text_.size() && which.find(text_[at_]) != std::string_view::npos) ++at_;
    }
    void skip_to_comma()
    {
        while (at_ < text_.size() && text_[at_] != ',') ++at_;
    }
    std::string token()
    {
        const std::size_t from = at_;
        while (at_ < text_.size() && std::string_view(" \t,=\"").find(text_[at_]) == std::string_view::npos) ++at_;
        return std::string(text_.substr(from, at_ - from));
    }
    std::string quoted()
    {
        std::string out;
        for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
            if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
            out += text_[at_];
        }
        take('"');
        return out;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

std::string hash(bool sha256, std::string_view text)
{
    if (!sha256) return platform::md5_hex(text);
    platform::Digest digest;
    digest.add(text);
    return digest.text().substr(7);  // behind "sha256:"
}

std::string quote(std::string_view text)
{
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

/// Nothing when the algorithm or all of its qop are unknown.
std::optional<Challenge> read(const Scheme& scheme)
{
    Challenge out;
    const auto value = [&](std::string_view key) -> std::string {
        for (const auto& [name, text] : scheme.parameters)
            if (lower_case(name) == key) return text;
        return {};
    };
    out.realm = value("realm");
    out.nonce = value("nonce");
    out.opaque = value("opaque");
    if (const std::string algorithm = value("algorithm"); !algorithm.empty()) out.algorithm = algorithm;
    std::string known = lower_case(out.algorithm);
    if (known.ends_with("-sess")) {
        out.session = true;
        known.resize(known.size() - 5);
    }
    out.sha256 = known == "sha-256";
    if (!out.sha256 && known != "md5") return std::nullopt;
    const std::string qop = lower_case(value("qop"));
    for (std::size_t from = 0; from < qop.size();) {
        const std::size_t end = std::min(qop.find(',', from), qop.size());
        std::string_view word = std::string_view(qop).substr(from, end - from);
        while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
        while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
        out.qop = out.qop || word == "auth";
        from = end + 1;
    }
    if (!qop.empty() && !out.qop) return std::nullopt;
    out.stale = lower_case(value("stale")) == "true";
    out.user_hash = lower_case(value("userhash")) == "true";
    if (out.nonce.empty()) return std::nullopt;
    return out;
}

}  // namespace

Result<Challenge> choose_challenge(const std::vector<std::string>& www_authenticate)
{
    std::optional<Challenge> best;
    bool any = false;
    for (const std::string& text : www_authenticate)
        for (const Scheme& scheme : Parser(text).all()) {
            if (lower_case(scheme.name) != "digest") continue;
            any = true;
            if (auto found = read(scheme); found && (!best || (found->sha256 && !best->sha256))) best = std::move(found);
        }
    if (best) return std::move(*best);
    return any ? fail(Errc::invalid, "the server's digest challenge has neither MD5 nor SHA-256, or no qop 'auth', or no nonce") : fail(Errc::not_found, "the server asks for no digest authentication");
}

std::string digest_header(const Challenge& challenge, std::string_view user, std::string_view password, std::string_view method, std::string_view uri,
                          std::uint32_t count, std::string_view client_nonce)
{
    const auto h = [&](std::string_view text) { return hash(challenge.sha256, text); };
    std::string first = h(fmt::format("{}:{}:{}", user, challenge.realm, password));
    if (challenge.session) first = h(fmt::format("{}:{}:{}", first, challenge.nonce, client_nonce));
    const std::string second = h(fmt::format("{}:{}", method, uri));
    const std::string number = fmt::format("{:08x}", count);
    const std::string response = challenge.qop ? h(fmt::format("{}:{}:{}:{}:auth:{}", first, challenge.nonce, number, client_nonce, second))
                                               : h(fmt::format("{}:{}:{}", first, challenge.nonce, second));
    std::string out = fmt::format("Digest username={}, realm={}, nonce={}, uri={}, algorithm={}, response={}",
                                  quote(challenge.user_hash ? h(fmt::format("{}:{}", user, challenge.realm)) : std::string(user)), quote(challenge.realm),
                                  quote(challenge.nonce), quote(uri), challenge.algorithm, quote(response));
    if (challenge.qop) out += fmt::format(", qop=auth, nc={}, cnonce={}", number, quote(client_nonce));
    if (!challenge.opaque.empty()) out += ", opaque=" + quote(challenge.opaque);
    if (challenge.user_hash) out += ", userhash=true";
    return out;
}

}  // namespace mill::broker
