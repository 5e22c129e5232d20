// platform/base/redact.h -- takes secrets out of text before it is shown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mill {

/// Replaces each known secret, and its base64, URL-encoded and JSON-escaped spellings, by "***". Values shorter than
/// 4 bytes are not masked (they would eat ordinary text). Tokens of the form mw_KIND_ID_SECRET lose their secret part even
/// when they are not known. Not thread-safe; cheap to copy.
class Redactor {
public:
    void add(std::string_view secret);
    std::string apply(std::string_view text) const;
    bool empty() const { return spellings_.empty(); }

private:
    std::vector<std::string> spellings_;  // longest first
};

/// Whether an HTTP header of this name proves who calls: Authorization, Cookie, X-Api-Key and their like.
bool is_secret_header(std::string_view name);

/// The process-wide redactor that `log` uses. Thread: any.
void redact_in_log(std::string_view secret);
std::string redacted(std::string_view text);

}  // namespace mill
