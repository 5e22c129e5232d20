// platform/base/redact.h -- takes secrets out of text before it is shown.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace mill {

class Spellings;

/// Replaces each known secret, however it is written (platform/base/spellings.h), by "***". Tokens of the form mw_KIND_ID_SECRET lose
/// their secret part even when they are not known. Not thread-safe; cheap to copy.
class Redactor {
public:
    /// False when the value has less than 4 bytes: masking it would eat ordinary text. Who adds it says so, by the value's name.
    bool add(std::string_view secret);
    std::string apply(std::string_view text) const;
    /// The same; what was masked is added to `masked`.
    std::string apply(std::string_view text, std::size_t& masked) const;
    bool empty() const { return spellings_ == nullptr; }

private:
    friend class RedactedStream;
    std::shared_ptr<Spellings> spellings_;  // shared by copies until one of them learns another secret
};

/// The same for a text that comes in pieces, or whose end was cut off: what may be the beginning of a secret is kept until more comes.
class RedactedStream {
public:
    explicit RedactedStream(Redactor redactor) : redactor_(std::move(redactor)) {}
    std::string add(std::string_view piece);  ///< what can be shown by now
    enum class Ends { here, cut };
    std::string end(Ends how = Ends::here);   ///< the rest; when it was cut, without the beginning of a secret at its end
    std::size_t masked() const { return masked_; }

private:
    Redactor redactor_;
    std::string kept_;
    std::size_t masked_ = 0;
};

/// Whether an HTTP header of this name proves who calls: Authorization, Cookie, X-Api-Key and their like.
bool is_secret_header(std::string_view name);

/// The process-wide redactor that `log` uses. Thread: any.
void redact_in_log(std::string_view secret);
/// The same for a member of a credential. The log is warned once, by their names, of a value that is too short to be masked.
void redact_in_log(std::string_view secret, std::string_view credential, std::string_view member);
std::string redacted(std::string_view text);

}  // namespace mill
